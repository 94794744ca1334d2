// Run configurations: reading, defaults that depend on other keys, and what must not be combined.
#include "minbert/train/config.h"

#include <algorithm>

#include "minbert/base/nearest.h"

namespace minbert {
namespace {

/// Throws at the line that wrote `key`, or at the table that lacks it.
[[noreturn]] void refuse(const ConfigTree& tree, const std::string& key, std::string_view message, std::string hint = {}) {
  throw Error(ErrorTag::kUsage, tree.place(key), fmt::format("key \"{}\": {}", key, message), std::move(hint));
}

template <class Items>
std::vector<std::string> names_of(const Items& items) {
  std::vector<std::string> names;
  for (const auto& item : items) names.push_back(item.name);
  return names;
}

bool contains(std::span<const std::string> names, std::string_view name) { return std::find(names.begin(), names.end(), name) != names.end(); }

/// The files of `split` as another task's `exclude` reads them: which rows and columns, in a dialect that must be plain.
std::vector<DataSource> split_files(const TaskSpec& task, std::string_view split, const ConfigTree& tree, const std::string& key) {
  const DataSpec& data = task.data;
  const std::string name = fmt::format("{}.{}", task.name, split);
  const auto& files = split == "train" ? data.train : split == "dev" ? data.dev.files : data.test;
  if (files.empty()) refuse(tree, key, fmt::format("\"{}\" has no files of its own", name));
  for (const std::string* option : {&data.format, &data.delimiter, &data.quote, &data.header})
    if (*option != DataSpec{}.format) refuse(tree, key, fmt::format("\"{}\" is read with a dialect of its own", name), "name its files instead");
  std::vector<DataSource> sources = files;
  for (DataSource& source : sources) {
    if (source.text.empty()) source.text = data.text;
    if (source.text_pair.empty()) source.text_pair = data.text_pair;
    if (source.encoding.empty() && data.encoding != DataSpec{}.encoding) source.encoding = data.encoding;
    source.label.clear();
  }
  return sources;
}

/// Puts files where `exclude` names a split of a task, as in "sst.dev".
void resolve_excludes(const ConfigTree& tree, RunConfig& config) {
  for (TaskSpec& task : config.tasks) {
    std::vector<DataSource> files;
    for (const DataSource& source : task.data.exclude) {
      const std::size_t dot = source.path.rfind('.');
      const std::string split = dot == std::string::npos ? "" : source.path.substr(dot + 1);
      const auto named = std::find_if(config.tasks.begin(), config.tasks.end(), [&](const TaskSpec& t) { return t.name == source.path.substr(0, dot); });
      if (named == config.tasks.end() || (split != "train" && split != "dev" && split != "test")) {
        files.push_back(source);
        continue;
      }
      const auto more = split_files(*named, split, tree, join_key("task", task.name) + ".data.exclude");
      files.insert(files.end(), more.begin(), more.end());
    }
    task.data.exclude = std::move(files);
  }
}

void resolve_paths(const ConfigTree& tree, RunConfig& config) {
  if (config.model.init.empty()) refuse(tree, "model.init", "expected a model folder, or \"scratch\"", "model.init = \"path/to/model\"");
  if (!config.model.from_scratch()) config.model.init.make_absolute();
  for (PathOption& file : config.model.vocabulary.corpus) file.make_absolute();
  if (!config.data.root.empty()) config.data.root.make_absolute();
  for (TaskSpec& task : config.tasks) task.data.make_absolute(config.data.root.text);
}

void check_tasks(const ConfigTree& tree, RunConfig& config) {
  if (config.tasks.empty()) refuse(tree, "task", "expected at least one [[task]]");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < config.tasks.size(); ++i) {
    TaskSpec& task = config.tasks[i];
    const std::string key = join_key("task", task.name.empty() ? std::to_string(i) : task.name);
    if (contains(names, task.name)) refuse(tree, key + ".name", fmt::format("two tasks are named \"{}\"", task.name));
    names.push_back(task.name);
    if (task.is_regression()) {
      if (task.labels.kind != TaskLabels::Kind::kAuto) refuse(tree, key + ".labels", "numbers have no classes", "label_range gives their limits");
      task.labels = TaskLabels::range();
    }
    task.validate([&](std::string_view part, const std::string& message) { refuse(tree, fmt::format("{}.{}", key, part), message); });
    if (task.data.train.empty()) refuse(tree, key + ".data.train", "expected a file, got none");
    if (task.is_pair() != !task.data.text_pair.empty())
      refuse(tree, key + ".data.text_pair",
             fmt::format("{} has {}", option_name(task.type), task.is_pair() ? "two texts, expected the second one's column" : "one text"));
  }
}

/// "scratch"-like words of a key that otherwise holds a number.
void expect_word(const ConfigTree& tree, const std::string& key, const std::variant<std::int64_t, std::string>& value, std::string_view word) {
  const auto* text = std::get_if<std::string>(&value);
  if (text != nullptr && *text != word) refuse(tree, key, fmt::format("expected \"{}\" or a whole number, got \"{}\"", word, *text));
}

void check_stage_tasks(const ConfigTree& tree, const RunConfig& config, StageSpec& stage, const std::string& key) {
  const std::vector<std::string> known = names_of(config.tasks);
  if (stage.tasks.empty()) stage.tasks = known;
  for (std::size_t i = 0; i < stage.tasks.size(); ++i) {
    const std::string& name = stage.tasks[i];
    if (!contains(known, name)) refuse(tree, key + ".tasks", fmt::format("unknown task \"{}\"", name), suggest(name, known));
    if (contains(std::span(stage.tasks).first(i), name)) refuse(tree, key + ".tasks", fmt::format("\"{}\" stands there twice", name));
  }
}

void check_stages(const ConfigTree& tree, RunConfig& config) {
  if (config.stages.empty()) config.stages.emplace_back();
  const std::vector<std::string> words = {"previous", "init", "last"};
  std::vector<std::string> earlier;
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    StageSpec& stage = config.stages[i];
    const std::string key = join_key("stage", stage.name.empty() ? std::to_string(i) : stage.name);
    if (stage.name.empty()) stage.name = std::to_string(i);
    if (!is_plain_name(stage.name)) refuse(tree, key + ".name", fmt::format("expected letters, digits, - and _, got \"{}\"", stage.name));
    if (contains(words, stage.name)) refuse(tree, key + ".name", fmt::format("\"{}\" is a word of `from`", stage.name));
    if (contains(earlier, stage.name)) refuse(tree, key + ".name", fmt::format("two stages are named \"{}\"", stage.name));
    check_stage_tasks(tree, config, stage, key);

    std::vector<std::string> sources = words;
    sources.insert(sources.end(), earlier.begin(), earlier.end());
    if (!contains(sources, stage.from))
      refuse(tree, key + ".from", fmt::format("no earlier stage is named \"{}\"", stage.from), suggest(stage.from, sources));
    if (stage.select == Selection::kPerTask && stage.kind != StageKind::kHeads)
      refuse(tree, key + ".select", "per_task is for stages with a frozen encoder", "kind = \"heads\", or select = \"mean\"");
    if (stage.select == Selection::kLast && stage.early_stop_patience > 0)
      refuse(tree, key + ".early_stop_patience", "select = \"last\" looks for no best epoch");
    expect_word(tree, key + ".checkpoint_every", stage.checkpoint_every, "epoch");
    expect_word(tree, key + ".eval_train", stage.eval_train, "all");
    earlier.push_back(stage.name);
  }
}

}  // namespace

std::size_t RunConfig::find_task(std::string_view name) const {
  const std::vector<std::string> names = names_of(tasks);
  const auto at = std::find(names.begin(), names.end(), name);
  if (at == names.end()) throw Error(ErrorTag::kUsage, "", fmt::format("unknown task \"{}\"", name), suggest(name, names));
  return static_cast<std::size_t>(at - names.begin());
}

std::vector<std::size_t> RunConfig::tasks_of(const StageSpec& stage) const {
  std::vector<std::size_t> indices;
  for (const std::string& name : stage.tasks) indices.push_back(find_task(name));
  return indices;
}

RunConfig load_run_config(const ConfigTree& tree) {
  auto config = read_options<RunConfig>(tree.node());
  if (!is_plain_name(config.run.name)) refuse(tree, "run.name", fmt::format("expected letters, digits, - and _, got \"{}\"", config.run.name));
  check_tasks(tree, config);
  check_stages(tree, config);
  resolve_excludes(tree, config);
  resolve_paths(tree, config);
  return config;
}

}  // namespace minbert
