// fetch_model: the files that a BERT needs, from a repository of a Hugging Face hub or a mirror of one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/hub/download.h"

namespace minbert {

struct FetchOptions {
  std::string endpoint = "https://huggingface.co";
  std::filesystem::path out_dir = ".";
  std::string revision = "main";              ///< branch, tag or commit
  std::vector<std::string> files;             ///< exactly these; empty: those that a BERT needs
  std::map<std::string, std::string> sha256;  ///< expected checksums by file name, for any of the files
  DownloadOptions download;
};

struct FetchProgress {
  std::string_view file;                         ///< its name in the repository
  std::int64_t done_bytes = 0, total_bytes = 0;  ///< of this file; total 0 while unknown
};
using OnFetchProgress = std::function<void(const FetchProgress&)>;

struct FetchedFile {
  std::string name;  ///< relative to out_dir
  Download download;
};

/// Downloads `repo` ("owner/name" or "name") into out_dir: config, tokenizer, the modules of sentence-transformers that modules.json names,
/// and model.safetensors, else its shards, else pytorch_model.bin. Complete files are kept, cut ones resumed, nothing outside out_dir is
/// written. Throws Error: kUsage for a malformed repo or endpoint, kModel for what is not there or not allowed, kResources as Downloader.
std::vector<FetchedFile> fetch_model(const std::string& repo, const FetchOptions& options, const OnFetchProgress& on_progress = {});

/// Whether a file name from a repository stays inside the folder it is put in: relative, without "..", "\" and control characters.
bool is_safe_file_name(std::string_view name);
/// The path of such a file below out_dir; its folder is made. Throws Error(kResources) where a link leads out of out_dir.
std::filesystem::path place_below(const std::filesystem::path& out_dir, std::string_view name);

}  // namespace minbert
