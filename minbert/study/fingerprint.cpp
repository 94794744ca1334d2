// Fingerprints: selects the parts of a config that a stage's weights depend on, and hashes them.
#include "minbert/study/fingerprint.h"

#include <algorithm>
#include <set>

#include "minbert/base/files.h"
#include "minbert/base/hash.h"
#include "minbert/base/json_node.h"
#include "minbert/base/system.h"
#include "minbert/pipeline/model_folder.h"
#include "minbert/train/setup.h"
#include "minbert/train/trainer.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr int kFingerprintFormat = 1;

using Files = std::map<std::string, std::string>;

void add_model_files(const fs::path& folder, FileHashes& hashes, Files& files) {
  for (const fs::path& file : model_files(folder)) files[file.string()] = hashes.of(file, ErrorTag::kModel);
}

std::set<std::string> paths_of(const TaskSpec& task) {
  std::set<std::string> paths;
  for (const auto* sources : {&task.data.train, &task.data.dev.files, &task.data.test.files, &task.data.exclude})
    for (const DataSource& source : *sources) paths.insert(source.path);
  return paths;
}

/// Prints only the options that differ from their defaults, so that options added in later versions do not change hashes.
template <class T>
std::string printed(const T& options) {
  return toml_to_json(without_defaults(write_options(options), write_options(T{})));
}

/// Resets the options that change no weight to their defaults.
StageSpec weight_options(StageSpec stage) {
  const StageSpec defaults;
  stage.log_every = defaults.log_every;
  stage.checkpoint_every = defaults.checkpoint_every;
  stage.eval_train = defaults.eval_train;
  return stage;
}

}  // namespace

const std::string& FileHashes::of(const fs::path& path, ErrorTag tag) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  const auto time = error ? fs::file_time_type() : fs::last_write_time(path, error);
  Known& known = known_[path];
  if (error || known.hash.empty() || known.size != size || known.time != time) known = {size, time, sha256_file(path, tag)};
  return known.hash;
}

Fingerprint fingerprint_of(const RunConfig& config, std::string_view backend, FileHashes& hashes) {
  Fingerprint fingerprint;
  fingerprint.code = fmt::format("minbert {}, numerics {}, backend {}", program_version(), kNumericsVersion, backend);

  Files start;
  if (!config.model.from_scratch()) add_model_files(find_model_folder(config.model.init.text), hashes, start);
  for (const PathOption& corpus : config.model.vocabulary.corpus) start[corpus.text] = hashes.of(corpus.text, ErrorTag::kData);
  fingerprint.files = start;
  for (const TaskSpec& task : config.tasks)
    for (const std::string& path : paths_of(task)) fingerprint.files[path] = hashes.of(path, ErrorTag::kData);
  for (const StageSpec& stage : config.stages)
    for_each_text(stage, [&](const PathOption& text) {  // probes too: they change evaluations, although not weights
      if (!parse_task_split(text.text)) fingerprint.files[text.text] = hashes.of(text.text, ErrorTag::kData);
    });

  // A stage's key is a hash of the key before it (at first: what all stages depend on) and of what the stage itself adds.
  DataSection data = config.data;
  data.root = {};  // files are known by their hashes
  std::string state = fmt::format("{}\n{}\n{}\n{}\n", fingerprint.code, config.run.seed, printed(config.model), printed(data));
  for (const auto& [path, hash] : start) state += fmt::format("{} {}\n", path, hash);
  const auto add_data = [&](const TaskSpec& task) {
    state += fmt::format("{} {} {}\n", task.name, option_name(task.type), printed(task.data));
    for (const std::string& path : paths_of(task)) state += fmt::format("{} {}\n", path, fingerprint.files.at(path));
  };
  const auto task_named = [&](std::string_view name) -> const TaskSpec& { return *std::ranges::find(config.tasks, name, &TaskSpec::name); };
  const auto add_texts = [&](const StageSpec& stage) {
    for_each_text(stage, [&](const PathOption& text) {
      if (const auto part = parse_task_split(text.text)) {
        const TaskSpec& task = task_named(part->task);
        add_data(task);
        state += print_toml_value(OptionType<TaskLabels>::write(task.labels)) + "\n";  // labels decide which rows are broken
      } else {
        state += fmt::format("{} {}\n", text.text, fingerprint.files.at(text.text));
      }
    });
  };
  if (config.model.from_scratch()) {  // the vocabulary is trained on all texts
    for (const TaskSpec& task : config.tasks) add_data(task);
    for (const StageSpec& stage : config.stages) add_texts(stage);
  }
  const std::vector<std::string> heads = config.heads();
  for (const StageSpec& stage : config.stages) {
    state += printed(weight_options(stage));
    if (stage.distill)
      for (const fs::path& folder : teacher_folders(config, stage)) {
        Files theirs;
        add_model_files(find_model_folder(folder), hashes, theirs);
        for (const auto& [path, hash] : theirs) state += hash + "\n";
        fingerprint.files.merge(theirs);
      }
    for (const std::string& name : stage.tasks) {
      const TaskSpec& task = task_named(name);
      state += fmt::format("task {} {}\n", std::ranges::find(heads, name) - heads.begin(),
                           printed(task));  // dropout depends on the head's index
      add_data(task);
    }
    add_texts(stage);
    state = sha256_hex(state);
    fingerprint.stages.emplace_back(stage.name, state);
  }
  return fingerprint;
}

Json Fingerprint::json() const {
  Json json = {{"format", kFingerprintFormat}, {"code", code}, {"files", files}, {"stages", Json::array()}};
  for (const auto& [name, key] : stages) json["stages"].push_back({{"name", name}, {"key", key}});
  return json;
}

std::string difference(const Fingerprint& before, const Fingerprint& now) {
  if (before.code != now.code) return fmt::format("was trained by {}, this is {}", before.code, now.code);
  for (const auto& [path, hash] : now.files) {
    const auto known = before.files.find(path);
    if (known == before.files.end()) return path + " was not there";
    if (known->second != hash) return path + " has changed";
  }
  for (const auto& [path, hash] : before.files)
    if (!now.files.contains(path)) return path + " is not there any more";
  return "";
}

std::optional<Fingerprint> find_fingerprint(const fs::path& run) {
  const fs::path file = run / "fingerprint.json";
  if (!fs::exists(file)) return std::nullopt;
  const JsonNode json = JsonNode::read(file, ErrorTag::kData);
  json.expect_format(kFingerprintFormat);
  Fingerprint fingerprint{.code = json.at("code").as_text(), .files = json.at("files").as_texts(), .stages = {}};
  for (const JsonNode& stage : json.at("stages").items())
    fingerprint.stages.emplace_back(stage.at("name").as_text(), stage.at("key").as_text());
  return fingerprint;
}

std::size_t shared_stages(const Fingerprint& a, const Fingerprint& b) {
  std::size_t shared = 0;
  while (shared < a.stages.size() && shared < b.stages.size() && a.stages[shared] == b.stages[shared]) ++shared;
  return shared;
}

}  // namespace minbert
