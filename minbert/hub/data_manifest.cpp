// Data manifests: reading, checking, fetching.
#include "minbert/hub/data_manifest.h"

#include <algorithm>
#include <set>

#include "minbert/base/files.h"
#include "minbert/base/nearest.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// Calls refuse(key, message), which throws, at the first thing wrong with a set.
template <class Refuse>
void check_set(const DataSet& set, std::set<std::string>& paths, const Refuse& refuse) {
  if (set.licence.empty()) refuse("licence", "expected a licence, or what is known of it");
  if (set.files.empty()) refuse("file", "expected at least one [[data.file]]");
  for (std::size_t i = 0; i < set.files.size(); ++i) {
    const DataFile& file = set.files[i];
    const auto key = [&](std::string_view name) { return fmt::format("file.{}.{}", i, name); };
    if (!file.url.starts_with("https://") && !file.url.starts_with("http://"))
      refuse(key("url"), fmt::format("expected an address that begins with https:// or http://, got \"{}\"", file.url));
    if (!is_safe_file_name(file.path)) refuse(key("path"), fmt::format("expected a path below the output folder, got \"{}\"", file.path));
    if (!paths.insert(file.path).second) refuse(key("path"), fmt::format("\"{}\" stands there twice", file.path));
    if (!file.sha256.empty() && !is_sha256(file.sha256))
      refuse(key("sha256"), fmt::format("expected 64 hexadecimal digits in lower case, got \"{}\"", file.sha256));
  }
}

std::vector<std::string> names_of(const DataManifest& manifest) {
  std::vector<std::string> names;
  for (const DataSet& set : manifest.sets) names.push_back(set.name);
  return names;
}

}  // namespace

DataManifest parse_data_manifest(std::string_view text, std::string_view place) {
  const TomlValue table = parse_toml(text, place, fs::current_path());
  const auto manifest = read_options<DataManifest>(TomlNode(table));
  std::set<std::string> names, paths;
  for (std::size_t i = 0; i < manifest.sets.size(); ++i) {
    const DataSet& set = manifest.sets[i];
    const auto refuse = [&](std::string_view key, std::string_view message) {
      const std::string name = set.name.empty() ? std::to_string(i) : set.name;
      throw Error(ErrorTag::kUsage, place, fmt::format("key \"{}.{}\": {}", join_key("data", name), key, message));
    };
    if (set.name.empty()) refuse("name", "expected a name");
    if (!names.insert(set.name).second) refuse("name", fmt::format("two sets are named \"{}\"", set.name));
    check_set(set, paths, refuse);
  }
  if (manifest.sets.empty()) throw Error(ErrorTag::kUsage, place, "expected at least one [[data]]");
  return manifest;
}

DataManifest read_data_manifest(const fs::path& file) { return parse_data_manifest(read_file(file, ErrorTag::kUsage), file.string()); }

std::vector<DataSet> select_data(const DataManifest& manifest, const std::vector<std::string>& names) {
  if (names.empty()) return manifest.sets;
  std::vector<DataSet> chosen;
  for (const std::string& name : names) {
    const auto found = std::find_if(manifest.sets.begin(), manifest.sets.end(), [&](const DataSet& set) { return set.name == name; });
    if (found == manifest.sets.end())
      throw Error(ErrorTag::kUsage, name, fmt::format("expected one of {}", fmt::join(names_of(manifest), ", ")),
                  suggest(name, names_of(manifest)));
    chosen.push_back(*found);
  }
  return chosen;
}

std::vector<FetchedFile> fetch_data(const DataSet& set, const fs::path& out_dir, DownloadOptions options,
                                    const OnFetchProgress& on_progress) {
  options.refused = ErrorTag::kData;
  Downloader downloader(options);
  std::vector<FetchedFile> fetched;
  for (const DataFile& file : set.files) {
    const auto report = [&](std::int64_t done_bytes, std::int64_t total_bytes) {
      if (on_progress) on_progress({file.path, done_bytes, total_bytes});
    };
    const fs::path path = place_below(out_dir, file.path);
    auto download = downloader.file(file.url, path, file.sha256, report);
    if (!download)
      throw Error(ErrorTag::kData, file.url, "HTTP status 404: not found", fmt::format("{} may say where it is now", set.home));
    if (download->sha256.empty()) download->sha256 = sha256_file(path, ErrorTag::kResources);
    fetched.push_back({file.path, std::move(*download)});
  }
  return fetched;
}

}  // namespace minbert
