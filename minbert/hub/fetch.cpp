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

constexpr std::string_view kConfig = "config.json", kIndex = "model.safetensors.index.json", kModules = "modules.json";
/// Requested one by one when the repository cannot be listed. All but the last three lie in the encoder's folder.
constexpr std::array<std::string_view, 15> kSmallFiles = {kConfig,
                                                          "tokenizer.json",
                                                          "tokenizer_config.json",
                                                          "vocab.txt",
                                                          "special_tokens_map.json",
                                                          "sentence_bert_config.json",
                                                          "sentence_roberta_config.json",
                                                          "sentence_distilbert_config.json",
                                                          "sentence_camembert_config.json",
                                                          "sentence_albert_config.json",
                                                          "sentence_xlm-roberta_config.json",
                                                          "sentence_xlnet_config.json",
                                                          "1_Pooling/config.json",
                                                          "config_sentence_transformers.json",
                                                          kModules};
/// The first of these that exists holds the weights, or names their shards.
constexpr std::array<std::string_view, 3> kWeights = {"model.safetensors", kIndex, "pytorch_model.bin"};
constexpr std::size_t kMaxListingBytes = 64 << 20;

bool is_small_file(std::string_view name) {
  const bool tokenizer = name.starts_with("tokenizer") && name.find('/') == std::string_view::npos;
  return tokenizer || std::find(kSmallFiles.begin(), kSmallFiles.end(), name) != kSmallFiles.end();
}

/// Whether a module of this type is a file of weights beside its config.json.
bool may_have_weights(std::string_view type) {
  return !type.ends_with("Pooling") && !type.ends_with("Normalize") && !type.ends_with("Dropout");
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
      list();
      const std::vector<Module> modules = fetch_modules_list();
      const bool inside = !modules.empty() && !modules.front().path.empty();  // in folders of old versions
      const std::string encoder = inside ? modules.front().path + "/" : "";
      fetch_small_files(encoder);
      for (std::size_t i = 1; i < modules.size(); ++i) fetch_module(modules[i]);
      if (!fetch_weights(encoder))
        throw Error(ErrorTag::kModel, files_url_ + encoder, "expected model.safetensors or pytorch_model.bin, got neither",
                    "weights of other formats (ONNX, TensorFlow, Flax) are not read");
    } else {
      for (const std::string& name : options_.files) fetch_required(name);
    }
    for (const auto& [name, sha256] : options_.sha256)
      if (std::ranges::find(fetched_, name, &FetchedFile::name) == fetched_.end())
        throw Error(ErrorTag::kUsage, name, "has a checksum and is none of the files that were fetched");
    return std::move(fetched_);
  }

 private:
  /// A line of modules.json.
  struct Module {
    std::string type, path;
  };

  void list();
  std::vector<Module> fetch_modules_list();
  void fetch_small_files(const std::string& encoder);
  void fetch_module(const Module& module);
  bool fetch_weights(const std::string& folder);
  void fetch_shards(const std::string& folder);
  bool fetch_listed(const std::string& name);
  bool fetch(const std::string& name);
  void fetch_required(const std::string& name);

  const FetchOptions& options_;
  const OnFetchProgress& on_progress_;
  Downloader downloader_;
  std::string files_url_, listing_url_;
  std::optional<std::set<std::string>> listing_;  // names of all files, unless the endpoint does not list them
  std::vector<FetchedFile> fetched_;
};

/// Notes the names of all files, unless the endpoint has no listing, as a plain copy of a hub's files.
void ModelFetch::list() {
  const auto page = downloader_.text(listing_url_, kMaxListingBytes);
  if (!page) return;
  const Json listing = parse_json(*page, listing_url_, ErrorTag::kModel);
  const auto siblings = listing.find("siblings");
  if (siblings == listing.end() || !siblings->is_array())
    throw Error(ErrorTag::kModel, listing_url_, "expected a list \"siblings\" of files");
  listing_.emplace();
  for (const Json& sibling : *siblings) {
    const auto name = sibling.find("rfilename");
    if (name == sibling.end() || !name->is_string())
      throw Error(ErrorTag::kModel, listing_url_, "expected a name \"rfilename\" in each entry");
    expect_safe(name->get<std::string>(), listing_url_);
    listing_->insert(name->get<std::string>());
  }
}

/// What modules.json names; none where there is no such file. Entries that say no path are left to those who read the folder.
std::vector<ModelFetch::Module> ModelFetch::fetch_modules_list() {
  std::vector<Module> modules;
  if (!fetch_listed(std::string(kModules))) return modules;
  const fs::path file = place_below(options_.out_dir, kModules);
  for (const Json& entry : read_json(file, ErrorTag::kModel)) {
    const auto text = [&](const char* key) {
      return entry.is_object() && entry.contains(key) && entry[key].is_string() ? entry[key].get<std::string>() : "";
    };
    const Module& module = modules.emplace_back(Module{text("type"), text("path")});
    if (!module.path.empty()) expect_safe(module.path, file.string());
  }
  return modules;
}

void ModelFetch::fetch_small_files(const std::string& encoder) {
  const std::string config = encoder + std::string(kConfig);
  if (listing_) {
    if (!listing_->contains(config))
      throw Error(ErrorTag::kModel, listing_url_, fmt::format("expected a {}, got none", config),
                  "not a repository of a Transformers model");
    for (const std::string& name : *listing_)
      if (is_small_file(name) || (name.starts_with(encoder) && is_small_file(std::string_view(name).substr(encoder.size()))))
        fetch_required(name);
    return;
  }
  if (!fetch(config)) throw_not_found(files_url_ + config, "check the names of repository and revision");
  for (const std::string_view name : kSmallFiles)
    for (const std::string& folder : std::set<std::string>{"", encoder}) fetch(folder + std::string(name));
}

void ModelFetch::fetch_module(const Module& module) {
  if (module.path.empty()) return;
  fetch_listed(fmt::format("{}/{}", module.path, kConfig));
  if (may_have_weights(module.type)) fetch_weights(module.path + "/");
}

/// Fetches the weights in a folder ("" or "NAME/"); false where there are none.
bool ModelFetch::fetch_weights(const std::string& folder) {
  for (const std::string_view name : kWeights) {
    if (!fetch_listed(folder + std::string(name))) continue;
    if (name == kIndex) fetch_shards(folder);
    return true;
  }
  return false;
}

void ModelFetch::fetch_shards(const std::string& folder) {
  const fs::path index_path = place_below(options_.out_dir, folder + std::string(kIndex));
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
  for (const std::string& shard : shards) fetch_required(folder + shard);
}

/// False where there is no such file, without a request where the listing says so.
bool ModelFetch::fetch_listed(const std::string& name) {
  if (!listing_) return fetch(name);
  if (!listing_->contains(name)) return false;
  fetch_required(name);
  return true;
}

/// False where there is no such file.
bool ModelFetch::fetch(const std::string& name) {
  expect_safe(name, files_url_);
  if (std::any_of(fetched_.begin(), fetched_.end(), [&](const FetchedFile& file) { return file.name == name; })) return true;
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
