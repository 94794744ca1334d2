// Finds, reads and writes model folders.
#include "minbert/pipeline/model_folder.h"

#include <algorithm>
#include <array>

#include "minbert/base/files.h"
#include "minbert/base/hash.h"
#include "minbert/data/run_status.h"
#include "minbert/model/checkpoint.h"
#include "minbert/model/hf_export.h"
#include "minbert/model/weight_source.h"
#include "minbert/pipeline/sentence_folder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kFormat = 1;

/// Reads minbert.json, which folders written by minbert have.
void read_minbert_json(ModelFolder& folder, const fs::path& file) {
  const JsonNode json = JsonNode::read(file, ErrorTag::kModel);
  json.expect_format(kFormat);
  folder.max_length = json.at("max_length").as_whole<std::int64_t>(3);
  folder.dtype = json.at("dtype").as_text();
  if (folder.dtype != "f32" && folder.dtype != "bf16") json.at("dtype").fail("f32 or bf16");
  for (const JsonNode& task : json.at("tasks").items()) {
    folder.tasks.push_back(parse_task(task));
    const auto same_name = [&](const TaskSpec& other) { return other.name == folder.tasks.back().name; };
    if (std::ranges::count_if(folder.tasks, same_name) > 1) task.at("name").complain("another task has this name");
  }
}

Pooling common_pooling(std::span<const TaskSpec> tasks) {
  const bool cls = !tasks.empty() && std::all_of(tasks.begin(), tasks.end(), [](const TaskSpec& task) { return task.pool == Pool::kCls; });
  return {.modes = {cls ? TokenPool::kCls : TokenPool::kMean}};
}

/// What to do where OWNER/NAME of the hub stands for a folder: a config makes it absolute, and then there is a folder above OWNER.
std::string hub_hint(const fs::path& path) {
  std::error_code ignored;
  const fs::path owner = path.parent_path(), above = owner.parent_path();
  if (owner.filename().empty() || owner.filename() == "." || owner.filename() == ".." || fs::exists(owner, ignored)) return {};
  if (path.is_absolute() ? !fs::is_directory(above, ignored) : !above.empty()) return {};
  const std::string name = path.filename().string(), folder = "models/" + name;
  if (fs::exists(above / folder / "config.json", ignored)) return fmt::format("{} is there", folder);
  return fmt::format("a model of that name on the hub is downloaded by: minbert fetch {}/{} -o {}", owner.filename().string(), name,
                     folder);
}

/// The model folder that MODEL names, where modules.json is if there is one.
fs::path find_root(const fs::path& path) {
  std::error_code ignored;  // a name that no path can have is no directory either
  if (!fs::is_directory(path, ignored)) {
    throw Error(ErrorTag::kModel, path.string(), "expected a model folder or a run folder, got none", hub_hint(path));
  }
  if (fs::is_directory(path / "best", ignored)) return path / "best";
  if (fs::exists(path / "status.json"))
    throw Error(ErrorTag::kModel, path.string(), "this run has no best/ yet", "let it finish, or name one of its checkpoints");
  if (const auto runs = runs_inside(path); !runs.empty())
    throw Error(ErrorTag::kModel, path.string(), fmt::format("expected one run, got several: {}", fmt::join(runs, ", ")),
                fmt::format("name one of them: {}", (path / runs.front()).string()));
  return path;
}

fs::path encoder_folder(const fs::path& root, std::span<const ListedModule> modules) {
  const fs::path folder = modules.empty() || modules.front().path.empty() ? root : root / modules.front().path;
  if (!fs::exists(folder / "config.json"))
    throw Error(ErrorTag::kModel, folder.string(), "expected a model folder, got one without config.json");
  return folder;
}

}  // namespace

std::vector<std::string> runs_inside(const fs::path& folder) {
  std::vector<std::string> names;
  for (const fs::path& run : numbered_runs(folder))
    if (fs::exists(run / "status.json")) names.push_back(run.filename().string());
  return names;
}

fs::path find_model_folder(const fs::path& path) {
  const fs::path root = find_root(path);
  return encoder_folder(root, list_modules(root));
}

bool names_model(const fs::path& path) {
  std::error_code ignored;
  const auto has = [&](const char* file) { return fs::exists(path / file, ignored); };
  return fs::is_directory(path, ignored) && (has("config.json") || has("modules.json") || has("status.json") || !runs_inside(path).empty());
}

std::vector<fs::path> answering_folders(const fs::path& path) {
  std::vector<fs::path> folders;
  std::error_code ignored;
  if (const fs::path best = path / "best"; fs::exists(path / "status.json", ignored) && fs::exists(best / "minbert.json", ignored))
    for (const TaskSpec& task : read_model_folder(best).tasks)
      if (const fs::path own = path / ("best-" + task.name); fs::exists(own / "config.json")) folders.push_back(own);
  return folders.empty() ? std::vector{path} : folders;
}

std::vector<fs::path> model_files(const fs::path& folder) {
  constexpr std::array<std::string_view, 4> kRead = {".safetensors", ".bin", ".json", ".txt"};
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_regular_file() && std::ranges::find(kRead, entry.path().extension().string()) != kRead.end())
      files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

std::string models_digest(const std::set<fs::path>& folders) {
  std::string hashes;
  for (const fs::path& folder : folders)
    for (const fs::path& file : model_files(folder)) hashes += sha256_file(file, ErrorTag::kModel);
  return hashes.empty() ? hashes : sha256_hex(hashes);
}

ModelFolder read_model_folder(const fs::path& path) {
  ModelFolder folder;
  folder.root = find_root(path);
  folder.modules = list_modules(folder.root);
  folder.path = encoder_folder(folder.root, folder.modules);
  const fs::path config = folder.path / "config.json", description = folder.path / "minbert.json";
  const TransformerSettings settings = read_transformer_settings(folder.path);
  Json config_json = read_json(config, ErrorTag::kModel);
  if (config_json.is_object()) config_json.update(settings.config);
  folder.config = parse_model_config(config_json, config.string());
  const auto expect_room = [&] {
    std::int64_t parameters = 0;
    for (const ParamInfo& info : param_table(model_shape(folder.config, folder.tasks, false))) parameters += info.numel();
    expect_weights_for(folder.path, parameters);
  };
  expect_room();
  folder.is_own = fs::exists(description);
  if (folder.is_own) {
    read_minbert_json(folder, description);
    expect_room();
    for (const TaskSpec& task : folder.tasks) expect_token_types(task, folder.config, ErrorTag::kModel, config.string());
  }
  if (folder.max_length != 0 && settings.max_length != 0 && settings.max_length != folder.max_length &&
      settings.length_file == find_sentence_settings(folder.path))
    folder.warnings.push_back(fmt::format("{} says max_length = {}, {} says {}; the former holds", description.string(), folder.max_length,
                                          settings.length_file.filename().string(), settings.max_length));
  if (folder.max_length == 0) folder.max_length = settings.max_length;
  const std::int64_t limit = folder.config.max_position_embeddings;
  folder.max_length = folder.max_length == 0 ? limit : std::min(folder.max_length, limit);
  return folder;
}

ModelFolder read_whole_model(const fs::path& path) {
  const std::vector<fs::path> folders = answering_folders(path);
  if (folders.size() == 1) return read_model_folder(folders.front());
  std::vector<std::string> names;
  for (const fs::path& folder : folders) names.push_back(folder.filename().string());
  throw Error(ErrorTag::kModel, path.string(),
              fmt::format("expected one model, got a run in which each task has its own: {}", fmt::join(names, ", ")),
              fmt::format("name one of them, such as {}, or {}, the last stage's model of all tasks", folders.front().string(),
                          (path / "best").string()));
}

std::vector<ModelFolder> read_answering_folders(const fs::path& path) {
  std::vector<ModelFolder> folders = {read_model_folder(path)};
  const std::vector<fs::path> own = answering_folders(path);
  if (own == std::vector{path}) return folders;
  folders.front().tasks.clear();
  for (const fs::path& folder : own) folders.push_back(read_model_folder(folder));
  return folders;
}

bool has_pooler(const ModelFolder& folder) {
  const ModelShape shape = model_shape(folder.config, {}, true);
  return plan_import(open_model_weights(folder.path), shape, {.wanted = {}, .require_encoder = false}).missing(Role::kPooler).empty();
}

void expect_token_types(const TaskSpec& task, const ModelConfig& config, ErrorTag tag, const std::string& place) {
  if (task.is_pair() && !task.is_separate() && config.type_vocab_size < 2)
    throw Error(tag, place,
                fmt::format("task {} reads pairs as one sequence: expected a type_vocab_size of at least 2, got {}", task.name,
                            config.type_vocab_size),
                "encode = \"separate\" encodes each text alone");
}

ModelShape model_shape(const ModelConfig& config, std::span<const TaskSpec> tasks, bool pooler) {
  ModelShape shape;
  shape.config = config;
  shape.pooler = pooler || std::any_of(tasks.begin(), tasks.end(), [](const TaskSpec& task) { return task.pool == Pool::kPooler; });
  for (const TaskSpec& task : tasks) shape.heads.push_back(task.head_shape(config.hidden_size));
  return shape;
}

void save_model_folder(const fs::path& folder, const Params& params, std::span<const TaskSpec> tasks, const Tokenizer& tokenizer,
                       const SaveModelOptions& options) {
  make_directories(folder);
  export_encoder(folder, params, {.modules = {.pooling = common_pooling(tasks)}, .max_length = options.max_length});
  save_weights(folder / "heads.safetensors", params,
               [&](const ParamInfo& info) { return is_head(info) && std::ranges::find(tasks, info.task, &TaskSpec::name) != tasks.end(); });
  if (options.mlm) save_weights(folder / "mlm.safetensors", params, is_mlm);
  tokenizer.save(folder);
  Json listed = Json::array();
  for (const TaskSpec& task : tasks) listed.push_back(task_json(task));
  const Json json = {{"format", kFormat}, {"max_length", options.max_length}, {"dtype", options.dtype}, {"tasks", listed}};
  write_file(folder / "minbert.json", dump_json(json, 2) + "\n");
  if (!options.model_card.empty()) write_file(folder / "README.md", options.model_card);
}

}  // namespace minbert
