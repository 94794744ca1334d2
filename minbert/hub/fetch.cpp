// fetch_model: which files, from where, to where.
#include "minbert/hub/fetch.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <set>
#include <span>

#include "minbert/base/check.h"
#include "minbert/base/files.h"
#include "minbert/base/json.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfig = "config.json", kIndex = "model.safetensors.index.json";
/// Requested one by one when the repository cannot be listed.
constexpr std::array<std::string_view, 8> kSmallFiles = {kConfig,
                                                         "tokenizer.json",
                                                         "tokenizer_config.json",
                                                         "vocab.txt",
                                                         "special_tokens_map.json",
                                                         "modules.json",
                                                         "sentence_bert_config.json",
                                                         "1_Pooling/config.json"};
/// The first of these that exists holds the weights, or names their shards.
constexpr std::array<std::string_view, 3> kWeights = {"model.safetensors", kIndex, "pytorch_model.bin"};
constexpr std::size_t kMaxListingBytes = 64 << 20;

bool is_small_file(std::string_view name) {
  const bool tokenizer = name.starts_with("tokenizer") && name.find('/') == std::string_view::npos;
  return tokenizer || std::find(kSmallFiles.begin(), kSmallFiles.end(), name) != kSmallFiles.end();
}

void expect_repo(std::string_view repo) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/';
  };
  const bool good =
      is_safe_file_name(repo) && std::all_of(repo.begin(), repo.end(), allowed) && std::count(repo.begin(), repo.end(), '/') <= 1;
  if (!good) {
    throw Error(ErrorTag::kUsage, repo, "expected the name of a repository, OWNER/NAME",
                "for example sentence-transformers/all-MiniLM-L6-v2");
  }
}

std::string expect_endpoint(std::string endpoint) {
  if (!endpoint.starts_with("https://") && !endpoint.starts_with("http://")) {
    throw Error(ErrorTag::kUsage, endpoint, "expected an endpoint that begins with https:// or http://");
  }
  while (endpoint.ends_with('/')) endpoint.pop_back();
  return endpoint;
}

void expect_safe(std::string_view name, const std::string& place) {
  if (is_safe_file_name(name)) return;
  throw Error(ErrorTag::kModel, place, fmt::format("expected names of files in the repository, got {}", dump_json(Json(std::string(name)))),
              "such a name would be written outside the output folder");
}

/// Fetches one repository at one revision into one folder.
class ModelFetch {
 public:
  ModelFetch(const std::string& repo, const FetchOptions& options, const OnFetchProgress& on_progress)
      : options_(options), on_progress_(on_progress), downloader_(options.download) {
    expect_repo(repo);
    const std::string endpoint = expect_endpoint(options.endpoint), revision = url_encode(options.revision);
    files_url_ = fmt::format("{}/{}/resolve/{}/", endpoint, repo, revision);
    listing_url_ = fmt::format("{}/api/models/{}/revision/{}", endpoint, repo, revision);
  }

  std::vector<FetchedFile> run() {
    if (options_.files.empty()) {
      const std::optional<std::vector<std::string>> listing = list();
      fetch_small_files(listing);
      fetch_weights(listing);
    } else {
      for (const std::string& name : options_.files) fetch_required(name);
    }
    return std::move(fetched_);
  }

 private:
  std::optional<std::vector<std::string>> list();
  void fetch_small_files(const std::optional<std::vector<std::string>>& listing);
  void fetch_weights(const std::optional<std::vector<std::string>>& listing);
  void fetch_shards();
  bool fetch(const std::string& name);
  void fetch_required(const std::string& name);

  const FetchOptions& options_;
  const OnFetchProgress& on_progress_;
  Downloader downloader_;
  std::string files_url_, listing_url_;
  std::vector<FetchedFile> fetched_;
};

/// Names of all files, or nothing when the endpoint has no listing, as a plain copy of a hub's files.
std::optional<std::vector<std::string>> ModelFetch::list() {
  const auto page = downloader_.text(listing_url_, kMaxListingBytes);
  if (!page) return std::nullopt;
  const Json listing = parse_json(*page, listing_url_, ErrorTag::kModel);
  const auto siblings = listing.find("siblings");
  if (siblings == listing.end() || !siblings->is_array())
    throw Error(ErrorTag::kModel, listing_url_, "expected a list \"siblings\" of files");
  std::vector<std::string> names;
  for (const Json& sibling : *siblings) {
    const auto name = sibling.find("rfilename");
    if (name == sibling.end() || !name->is_string())
      throw Error(ErrorTag::kModel, listing_url_, "expected a name \"rfilename\" in each entry");
    names.push_back(name->get<std::string>());
    expect_safe(names.back(), listing_url_);
  }
  return names;
}

void ModelFetch::fetch_small_files(const std::optional<std::vector<std::string>>& listing) {
  if (listing) {
    const std::set<std::string> names(listing->begin(), listing->end());
    if (!names.contains(std::string(kConfig))) {
      throw Error(ErrorTag::kModel, listing_url_, "expected a config.json, got none", "not a repository of a Transformers model");
    }
    for (const std::string& name : names) {
      if (is_small_file(name)) fetch_required(name);
    }
    return;
  }
  for (const std::string_view name : kSmallFiles) {
    if (!fetch(std::string(name)) && name == kConfig) {
      throw_not_found(files_url_ + std::string(kConfig), "check the names of repository and revision");
    }
  }
}

void ModelFetch::fetch_weights(const std::optional<std::vector<std::string>>& listing) {
  for (const std::string_view name : kWeights) {
    if (listing && std::find(listing->begin(), listing->end(), name) == listing->end()) continue;
    if (!fetch(std::string(name))) continue;
    if (name == kIndex) fetch_shards();
    return;
  }
  throw Error(ErrorTag::kModel, files_url_, "expected model.safetensors or pytorch_model.bin, got neither",
              "weights of other formats (ONNX, TensorFlow, Flax) are not read");
}

void ModelFetch::fetch_shards() {
  const fs::path index_path = place_below(options_.out_dir, kIndex);
  const Json index = read_json(index_path, ErrorTag::kModel);
  const auto weight_map = index.find("weight_map");
  std::set<std::string> shards;
  if (weight_map != index.end()) {
    for (const Json& shard : *weight_map) {
      if (shard.is_string()) shards.insert(shard.get<std::string>());
    }
  }
  if (shards.empty()) throw Error(ErrorTag::kModel, index_path.string(), "expected a \"weight_map\" that names files");
  for (const std::string& shard : shards) expect_safe(shard, index_path.string());
  for (const std::string& shard : shards) fetch_required(shard);
}

/// False where there is no such file.
bool ModelFetch::fetch(const std::string& name) {
  expect_safe(name, files_url_);
  const auto expected = options_.sha256.find(name);
  const auto report = [&](std::int64_t done_bytes, std::int64_t total_bytes) {
    if (on_progress_) on_progress_({name, done_bytes, total_bytes});
  };
  const auto download = downloader_.file(files_url_ + url_encode(name, "/"), place_below(options_.out_dir, name),
                                         expected == options_.sha256.end() ? std::string_view{} : expected->second, report);
  if (download) fetched_.push_back({name, *download});
  return download.has_value();
}

void ModelFetch::fetch_required(const std::string& name) {
  if (!fetch(name)) throw_not_found(files_url_ + url_encode(name, "/"), "check the names of repository, revision and file");
}

}  // namespace

bool is_safe_file_name(std::string_view name) {
  const auto unsafe = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || c == '\\'; };
  if (name.empty() || name.size() > 512 || std::any_of(name.begin(), name.end(), unsafe)) return false;
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

fs::path place_below(const fs::path& out_dir, std::string_view name) {
  const fs::path path = out_dir / name;
  make_directories(out_dir);
  const fs::path root = fs::canonical(out_dir);
  fs::path folder = out_dir;
  for (const fs::path& part : fs::path(name).parent_path()) {
    folder /= part;
    // The check comes before the folder is made, since making it would follow links.
    if (fs::symlink_status(folder).type() != fs::file_type::not_found) {
      std::error_code error;  // of a link that leads to nothing
      const fs::path real = fs::canonical(folder, error);
      if (error || std::mismatch(root.begin(), root.end(), real.begin(), real.end()).first != root.end())
        throw Error(ErrorTag::kResources, path.string(), fmt::format("leads out of the output folder, by the link {}", folder.string()));
    }
    make_directories(folder);
  }
  return path;
}

std::vector<FetchedFile> fetch_model(const std::string& repo, const FetchOptions& options, const OnFetchProgress& on_progress) {
  return ModelFetch(repo, options, on_progress).run();
}

}  // namespace minbert
