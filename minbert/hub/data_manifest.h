// Data manifests: where the files of data sets are, under which licence, and what they must hash to; and fetching them.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/options.h"
#include "minbert/hub/fetch.h"

namespace minbert {

struct DataFile {
  std::string url;
  std::string path;    ///< below the output folder
  std::string sha256;  ///< empty: not known, nothing is checked
  std::string split;
};
template <class V>
void visit_options(V& v, DataFile& o) {
  v.field("url", o.url, "where it is");
  v.field("path", o.path, "where it goes, below the output folder");
  v.field("sha256", o.sha256, "64 hexadecimal digits that it must hash to; empty: not checked, the program prints what it got");
  v.field("split", o.split, "train, dev, test, or what it holds");
}

struct DataSet {
  std::string name, title, home, licence, note;
  std::vector<DataFile> files;
};
template <class V>
void visit_options(V& v, DataSet& o) {
  v.field("name", o.name, "what --only asks for");
  v.field("title", o.title, "what it is");
  v.field("home", o.home, "page of those who made it");
  v.field("licence", o.licence, "printed before anything is fetched");
  v.field("note", o.note, "printed afterwards: how to unpack it");
  v.field("file", o.files, "");
}

struct DataManifest {
  std::int64_t format = 1;
  std::vector<DataSet> sets;
};
template <class V>
void visit_options(V& v, DataManifest& o) {
  v.field("format", o.format, "version of this file's format", between(1, 1));
  v.field("data", o.sets, "");
}

/// Reads and checks a TOML file. Throws Error(kUsage): a set without name, licence or files, a name or path that stands there twice, a path
/// that leads out of the output folder, an address that is not http or https, a malformed checksum.
DataManifest read_data_manifest(const std::filesystem::path& file);
/// Reads and checks the text of such a file; `place` is its name in errors.
DataManifest parse_data_manifest(std::string_view text, std::string_view place);
/// The text of recipes/sources.toml: the paper's data sets that are publicly available.
std::string_view paper_data_manifest();

/// The sets with these names, or all when there are no names. An unknown name throws Error(kUsage) that lists the known ones.
std::vector<DataSet> select_data(const DataManifest& manifest, const std::vector<std::string>& names);

/// Downloads every file of a set below out_dir, as fetch_model does; and returns the sha256 of each. Throws Error: kData for a file that is
/// missing, refused or not the expected one, kResources as Downloader.
std::vector<FetchedFile> fetch_data(const DataSet& set, const std::filesystem::path& out_dir, DownloadOptions options = {},
                                    const OnFetchProgress& on_progress = {});

}  // namespace minbert
