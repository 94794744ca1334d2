// Reads run configurations: defaults that depend on other keys, and checks of keys against each other.
#include "minbert/train/config.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "minbert/base/nearest.h"

namespace minbert {
namespace {

/// Throws an error at the line that sets `key`, or at the table that lacks it.
[[noreturn]] void refuse(const ConfigTree& tree, const std::string& key, std::string_view message, std::string hint = {}) {
  throw Error(ErrorTag::kUsage, tree.place(key), fmt::format("key \"{}\": {}", key, message), std::move(hint));
}

template <class Items>
std::vector<std::string> names_of(const Items& items) {
  std::vector<std::string> names;
  for (const auto& item : items) names.push_back(item.name);
  return names;
}

bool contains(std::span<const std::string> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The files of `split` with their columns, for another task's `exclude`. That cannot say a dialect, so the task must have a plain one.
std::vector<DataSource> split_files(const TaskSpec& task, Split split, const ConfigTree& tree, const std::string& key) {
  const DataSpec& data = task.data;
  const std::string name = fmt::format("{}.{}", task.name, split_name(split));
  const auto& files = split == Split::kTrain ? data.train : split == Split::kDev ? data.dev.files : data.test.files;
  if (files.empty()) refuse(tree, key, fmt::format("\"{}\" has no files of its own", name));
  for (const std::string* option : {&data.format, &data.delimiter, &data.quote, &data.header})
    if (*option != DataSpec{}.format)
      refuse(tree, key, fmt::format("\"{}\" is read with a dialect of its own", name), "name its files instead");
  std::vector<DataSource> sources = files;
  for (DataSource& source : sources) {
    if (source.text.empty()) source.text = data.text;
    if (source.text_pair.empty()) source.text_pair = data.text_pair;
    if (source.encoding.empty() && data.encoding != DataSpec{}.encoding) source.encoding = data.encoding;
    source.label.clear();
    // Which rows a limit keeps depends on which of them are broken, as only the reader of that split knows: all are excluded then.
    if (data.on_bad_row == "skip") source.limit = 0;
  }
  return sources;
}

/// Replaces splits that `exclude` names, such as "sst.dev", by their files.
void resolve_excludes(const ConfigTree& tree, RunConfig& config) {
  for (TaskSpec& task : config.tasks) {
    std::vector<DataSource> files;
    for (const DataSource& source : task.data.exclude) {
      const auto part = parse_task_split(source.path);
      const auto named = part ? std::ranges::find(config.tasks, part->task, &TaskSpec::name) : config.tasks.end();
      if (named == config.tasks.end()) {
        files.push_back(source);
        continue;
      }
      const auto more = split_files(*named, part->split, tree, join_key("task", task.name) + ".data.exclude");
      files.insert(files.end(), more.begin(), more.end());
    }
    task.data.exclude = std::move(files);
  }
}

void resolve_paths(const ConfigTree& tree, RunConfig& config) {
  if (config.model.init.empty())
    refuse(tree, "model.init", "expected a model folder, or \"scratch\"",
           "--set model.init=FOLDER; minbert fetch OWNER/NAME downloads a model");
  if (config.model.from_scratch()) {
    if (config.model.reinit_layers > 0) refuse(tree, "model.reinit_layers", "all layers of a model from scratch are new");
    config.model.config.model_config(config.model.vocabulary.size).validate([&](std::string_view key, const std::string& message) {
      refuse(tree, join_key("model.config", key), message);
    });
  }
  if (!config.model.from_scratch()) config.model.init.make_absolute();
  for (PathOption& file : config.model.vocabulary.corpus) file.make_absolute();
  if (!config.data.root.empty()) config.data.root.make_absolute();
  for (TaskSpec& task : config.tasks) task.data.make_absolute(config.data.root.text);
  for (StageSpec& stage : config.stages) {
    if (stage.distill)
      for (PathOption& teacher : stage.distill->teachers)
        if (!config.find_stage(teacher.text)) teacher.make_absolute();
    for_each_text(stage, [&](PathOption& text) {
      if (!parse_task_split(text.text)) text.make_absolute(config.data.root.text);
    });
  }
}

void check_tasks(const ConfigTree& tree, RunConfig& config) {
  const auto has_tasks = [](const StageSpec& stage) { return stage.has_tasks(); };
  if (config.tasks.empty() && std::ranges::any_of(config.stages, has_tasks)) refuse(tree, "task", "expected at least one [[task]]");
  std::vector<std::string> names;
  for (std::size_t i = 0; i < config.tasks.size(); ++i) {
    TaskSpec& task = config.tasks[i];
    const std::string key = join_key("task", task.name.empty() ? std::to_string(i) : task.name);
    if (contains(names, task.name)) refuse(tree, key + ".name", fmt::format("two tasks are named \"{}\"", task.name));
    if (task.name == kMlmName || task.name == kContrastiveName)
      refuse(tree, key + ".name", fmt::format("\"{}\" stands for a kind of training in the run's files", task.name));
    names.push_back(task.name);
    if (task.is_regression()) {
      if (task.labels.kind != TaskLabels::Kind::kAuto)
        refuse(tree, key + ".labels", "numbers have no classes", "label_range gives their limits");
      task.labels = TaskLabels::range();
    }
    task.labels.sets = task.is_multi_label();
    task.validate([&](std::string_view part, const std::string& message) { refuse(tree, fmt::format("{}.{}", key, part), message); });
    if (task.data.train.empty()) refuse(tree, key + ".data.train", "expected a file, got none");
    if (task.calibrate && !task.data.dev.given())
      refuse(tree, key + ".calibrate", "dev rows decide the temperature, and the task has none", "data.dev = FILE, or a fraction of train");
    if (task.is_pair() != !task.data.text_pair.empty())
      refuse(tree, key + ".data.text_pair",
             fmt::format("{} has {}", option_name(task.type), task.is_pair() ? "two texts, expected the second one's column" : "one text"));
  }
}

/// Checks a key that holds a number or one of some words.
void expect_word(const ConfigTree& tree, const std::string& key, const std::variant<std::int64_t, std::string>& value,
                 std::initializer_list<std::string_view> words) {
  const auto* text = std::get_if<std::string>(&value);
  if (text == nullptr || std::ranges::find(words, *text) != words.end()) return;
  refuse(tree, key, fmt::format("expected \"{}\" or a whole number, got \"{}\"", fmt::join(words, "\", \""), *text));
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

/// Checks one entry of a stage's texts (`trained`) or probes.
void check_text(const ConfigTree& tree, const RunConfig& config, const std::string& key, const std::string& text, bool trained) {
  if (text.empty()) refuse(tree, key, "expected \"TASK.train\" or a file, got \"\"");
  const auto part = parse_task_split(text);
  if (!part) return;
  const auto task = std::ranges::find(config.tasks, part->task, &TaskSpec::name);
  if (task == config.tasks.end())
    refuse(tree, key, fmt::format("unknown task \"{}\" in \"{}\"", part->task, text),
           config.tasks.empty() ? fmt::format("a file of that name is \"./{}\"", text) : suggest(part->task, names_of(config.tasks)));
  if (trained && part->split != Split::kTrain)
    refuse(tree, key, fmt::format("\"{}\" is not trained on: only train splits are", text), "mlm.probes measures the loss on such texts");
  const DataSpec& data = task->data;
  if (!has_split(data, part->split, config.data.draw()))
    refuse(tree, key, fmt::format("task \"{}\" has no {} split", part->task, split_name(part->split)));
}

/// Checks a list of texts or probes, of which none may stand in `seen`, and adds them to it.
void check_list(const ConfigTree& tree, const RunConfig& config, const std::string& place, std::span<const PathOption> texts, bool trained,
                std::vector<std::string>& seen) {
  if (trained && texts.empty()) refuse(tree, place, "expected texts to train on", "[\"TASK.train\", \"lines.txt\"]");
  for (const PathOption& text : texts) {
    check_text(tree, config, place, text.text, trained);
    if (contains(seen, text.text)) refuse(tree, place, fmt::format("\"{}\" stands there twice", text.text));
    seen.push_back(text.text);
  }
}

/// Checks that each entry of a stage's lists of texts is good and stands there once. The first list is what the stage trains on.
void check_texts(const ConfigTree& tree, const RunConfig& config, const StageSpec& stage, const std::string& key,
                 std::initializer_list<std::pair<const char*, std::span<const PathOption>>> lists) {
  if (!stage.tasks.empty())
    refuse(tree, key + ".tasks", fmt::format("a stage of kind \"{}\" trains no tasks", option_name(stage.kind)),
           fmt::format("{}.texts names what it reads", option_name(stage.kind)));
  std::vector<std::string> seen;
  for (const auto& [list, texts] : lists)
    check_list(tree, config, fmt::format("{}.{}.{}", key, option_name(stage.kind), list), texts, list == lists.begin()->first, seen);
}

void check_mlm(const ConfigTree& tree, const RunConfig& config, StageSpec& stage, const std::string& key) {
  if (stage.kind != StageKind::kMlm) return;
  if (!stage.mlm) stage.mlm.emplace();
  check_texts(tree, config, stage, key, {{"texts", stage.mlm->texts}, {"probes", stage.mlm->probes}});
  if (stage.mlm->head == MlmHeadChoice::kPretrained && config.model.from_scratch())
    refuse(tree, key + ".mlm.head", "a model from scratch has no pretrained one", "mlm.head = \"tied\"");
  if (stage.mlm->kind() != config.mlm_head())
    refuse(tree, key + ".mlm.head", "an earlier stage has another one: the mlm stages of a run share their head");
}

void check_contrastive(const ConfigTree& tree, const RunConfig& config, StageSpec& stage, const std::string& key) {
  if (stage.kind != StageKind::kContrastive) return;
  if (!stage.contrastive) stage.contrastive.emplace();
  const ContrastiveSection& contrastive = *stage.contrastive;
  check_texts(tree, config, stage, key, {{"texts", contrastive.texts}});
  if (stage.batch < 2) refuse(tree, key + ".batch", fmt::format("expected at least 2 texts to compare, got {}", stage.batch));
  const bool reads_pairs = contrastive.labels && std::ranges::any_of(contrastive.texts, [&](const PathOption& text) {
                             const auto part = parse_task_split(text.text);
                             return part && std::ranges::find(config.tasks, part->task, &TaskSpec::name)->type == TaskType::kPairClassify;
                           });
  if (!contrastive.positive.empty() && !reads_pairs)
    refuse(tree, key + ".contrastive.positive", "no classes of pairs are read that it could choose from");
  if (std::set<std::int64_t>(contrastive.widths.begin(), contrastive.widths.end()).size() < contrastive.widths.size())
    refuse(tree, key + ".contrastive.widths", "a width stands there twice");
  for (const auto& [name, is_set] :
       {std::pair("early_stop_patience", stage.early_stop_patience > 0), {"head_lr", stage.head_lr.has_value()}})
    if (is_set) refuse(tree, join_key(key, name), "a contrastive stage has neither scores nor heads");
}

/// Checks that a task can read such texts: pairs or single texts as it does, prepared as its own are.
void check_unlabelled(const ConfigTree& tree, const RunConfig& config, const std::string& place, const std::string& name,
                      const std::string& text) {
  const TaskSpec& task = *std::ranges::find(config.tasks, name, &TaskSpec::name);
  const auto part = parse_task_split(text);
  const TaskSpec* lender = part ? &*std::ranges::find(config.tasks, part->task, &TaskSpec::name) : nullptr;
  const auto kind = [](bool pairs) { return pairs ? "pairs" : "single texts"; };
  if (const bool pairs = lender != nullptr && lender->is_pair(); pairs != task.is_pair())
    refuse(tree, place, fmt::format("task {} reads {}, \"{}\" has {}", name, kind(task.is_pair()), text, kind(pairs)),
           task.is_pair() ? "\"TASK.train\" of a task of pairs" : "");
  if (lender != nullptr && lender->data.preprocess != task.data.preprocess)
    refuse(tree, place,
           fmt::format("expected texts with preprocess = \"{}\", which task {} has, got \"{}\" of {}", task.data.preprocess, name,
                       lender->data.preprocess, lender->name));
}

/// Checks a teacher that is a stage of this run: it is one of the `earlier` ones and trains one of the stage's tasks.
void check_teacher(const ConfigTree& tree, const RunConfig& config, const StageSpec& stage, const std::string& place,
                   const std::string& teacher, const std::vector<std::string>& earlier) {
  const std::optional<std::size_t> index = config.find_stage(teacher);
  const std::filesystem::path folder = teacher;
  if (!index && !earlier.empty() && !std::filesystem::exists(folder))
    refuse(tree, place, fmt::format("expected an earlier stage or a folder, got \"{}\", which is neither", teacher),
           suggest(folder.filename().string(), earlier));
  if (!index) return;
  if (!contains(earlier, teacher))
    refuse(tree, place, fmt::format("stage \"{}\" does not come before the one that it is to teach", teacher),
           fmt::format("a folder of that name is \"./{}\"", teacher));
  if (std::ranges::none_of(config.stages[*index].tasks, [&](const std::string& task) { return stage.trains(task); }))
    refuse(tree, place, fmt::format("stage \"{}\" trains none of the stage's tasks", teacher));
}

void check_distill(const ConfigTree& tree, const RunConfig& config, const StageSpec& stage, const std::string& key,
                   const std::vector<std::string>& earlier) {
  if (stage.kind != StageKind::kDistill) return;
  if (!stage.distill || stage.distill->teachers.empty())
    refuse(tree, key + ".distill.teachers", "expected run folders of trained models, or earlier stages",
           "distill.teachers = [\"runs/a\", \"runs/b\"]");
  for (const PathOption& teacher : stage.distill->teachers)
    check_teacher(tree, config, stage, key + ".distill.teachers", teacher.text, earlier);
  for (const TaskSpec& task : config.tasks)
    if (stage.trains(task.name) && task.class_weights.kind != ClassWeights::Kind::kNone)
      refuse(tree, join_key("task", task.name) + ".class_weights",
             "a distill stage trains this task, whose targets lie between classes, so that no class's factor fits");
  for (const auto& [name, texts] : stage.distill->unlabelled) {
    const std::string place = key + ".distill.unlabelled";
    if (!stage.trains(name)) refuse(tree, place, fmt::format("the stage trains no task \"{}\"", name), suggest(name, stage.tasks));
    std::vector<std::string> seen;
    check_list(tree, config, place, texts, true, seen);
    for (const PathOption& text : texts) check_unlabelled(tree, config, place, name, text.text);
  }
}

/// Refuses a table of settings that belongs to another kind of stage.
void check_sections(const ConfigTree& tree, const StageSpec& stage, const std::string& key) {
  for (const auto& [kind, is_there] : {std::pair(StageKind::kMlm, stage.mlm.has_value()),
                                       {StageKind::kDistill, stage.distill.has_value()},
                                       {StageKind::kContrastive, stage.contrastive.has_value()}})
    if (is_there && stage.kind != kind)
      refuse(tree, fmt::format("{}.{}", key, option_name(kind)),
             fmt::format("is for stages of kind \"{}\", this one is \"{}\"", option_name(kind), option_name(stage.kind)));
}

/// The words of `from` that are no names of stages.
constexpr std::array<std::string_view, 3> kSourceWords = {"previous", "init", "last"};

/// Checks `from`. A mean is over finished stages, so that it knows none of the words.
void check_sources(const ConfigTree& tree, const StageSpec& stage, const std::string& key, const std::vector<std::string>& earlier) {
  const bool is_mean = std::holds_alternative<std::vector<std::string>>(stage.from);
  if (is_mean && stage.sources().size() < 2)
    refuse(tree, key + ".from", fmt::format("expected at least 2 stages to take the mean of, got {}", stage.sources().size()),
           "from = \"NAME\" starts from one");
  std::vector<std::string> known = earlier;
  if (!is_mean) known.insert(known.begin(), kSourceWords.begin(), kSourceWords.end());
  for (const std::string& source : stage.sources())
    if (!contains(known, source))
      refuse(tree, key + ".from",
             fmt::format("{} is named \"{}\"", is_mean ? "a mean is that of earlier stages, and none" : "no earlier stage", source),
             suggest(source, known));
}

/// Stages without a name are named by their index.
void name_stages(RunConfig& config) {
  if (config.stages.empty()) config.stages.emplace_back();
  for (std::size_t i = 0; i < config.stages.size(); ++i)
    if (config.stages[i].name.empty()) config.stages[i].name = std::to_string(i);
}

/// Whether a stage has scores to compare its epochs by.
bool has_scores(const RunConfig& config, const StageSpec& stage) {
  if (stage.mlm) return stage.mlm->held_out > 0;
  return std::ranges::any_of(config.tasks, [&](const TaskSpec& task) { return stage.trains(task.name) && task.data.dev.given(); });
}

void check_stages(const ConfigTree& tree, RunConfig& config) {
  std::vector<std::string> earlier;
  for (std::size_t i = 0; i < config.stages.size(); ++i) {
    StageSpec& stage = config.stages[i];
    const std::string key = join_key("stage", stage.name);
    if (!is_plain_name(stage.name)) refuse(tree, key + ".name", fmt::format("expected letters, digits, - and _, got \"{}\"", stage.name));
    if (std::ranges::find(kSourceWords, stage.name) != kSourceWords.end())
      refuse(tree, key + ".name", fmt::format("\"{}\" is a word of `from`", stage.name));
    if (contains(earlier, stage.name)) refuse(tree, key + ".name", fmt::format("two stages are named \"{}\"", stage.name));
    check_sections(tree, stage, key);
    check_mlm(tree, config, stage, key);
    check_contrastive(tree, config, stage, key);
    if (stage.has_tasks()) check_stage_tasks(tree, config, stage, key);
    check_distill(tree, config, stage, key, earlier);
    for (const TaskSpec& task : config.tasks)
      if (const std::int64_t batch = task.batch.value_or(stage.batch);
          stage.trains(task.name) && compares_rows(task.trained_by()) && batch < 2)
        refuse(tree, task.batch ? join_key("task", task.name) + ".batch" : key + ".batch",
               fmt::format("task {} compares the rows of a batch: expected at least 2, got {}", task.name, batch));

    check_sources(tree, stage, key, earlier);
    if (stage.select == Selection::kPerTask && stage.kind != StageKind::kHeads)
      refuse(tree, key + ".select", "per_task is for stages with a frozen encoder", "kind = \"heads\", or select = \"mean\"");
    for (const auto& [name, is_set] : {std::pair("layer_decay", stage.layer_decay != 1), {"freeze_layers", stage.freeze_layers != 0}})
      if (is_set && stage.kind == StageKind::kHeads) refuse(tree, join_key(key, name), "a heads stage trains no layer of the encoder");
    if (stage.lora && stage.kind == StageKind::kHeads) refuse(tree, key + ".lora", "a heads stage trains no layer of the encoder");
    if (stage.lora && stage.lora->targets.empty()) refuse(tree, key + ".lora.targets", "expected a linear layer or more, got none");
    if (stage.select == Selection::kLast && stage.early_stop_patience > 0)
      refuse(tree, key + ".early_stop_patience", "select = \"last\" looks for no best epoch");
    if (stage.early_stop_patience > 0 && !has_scores(config, stage))
      refuse(tree, key + ".early_stop_patience", "no epoch of the stage has scores to compare",
             stage.mlm ? "mlm.held_out above 0" : "data.dev of its tasks: files, or a fraction of train");
    expect_word(tree, key + ".checkpoint_every", stage.checkpoint_every, {"epoch"});
    expect_word(tree, key + ".eval_train", stage.eval_train, {"all", "last"});
    earlier.push_back(stage.name);
  }
}

}  // namespace

ModelConfig ScratchSection::model_config(std::int64_t vocab_size) const {
  ModelConfig config;
  config.vocab_size = vocab_size;
  config.hidden_size = hidden_size;
  config.num_hidden_layers = num_hidden_layers;
  config.num_attention_heads = num_attention_heads;
  config.intermediate_size = intermediate_size;
  config.max_position_embeddings = max_position_embeddings;
  return config;
}

std::optional<TaskSplit> parse_task_split(std::string_view text) {
  const std::size_t dot = text.rfind('.');
  if (dot == std::string_view::npos || !is_plain_name(text.substr(0, dot))) return std::nullopt;
  for (const Split split : {Split::kTrain, Split::kDev, Split::kTest})
    if (text.substr(dot + 1) == split_name(split)) return TaskSplit{std::string(text.substr(0, dot)), split};
  return std::nullopt;
}

bool RunConfig::has_head(const TaskSpec& task) const {
  return std::ranges::any_of(stages, [&](const StageSpec& stage) { return stage.trains(task.name); });
}

std::vector<std::string> RunConfig::heads() const {
  std::vector<std::string> names;
  for (const TaskSpec& task : tasks)
    if (has_head(task)) names.push_back(task.name);
  return names;
}

std::optional<std::size_t> RunConfig::find_stage(std::string_view name) const {
  const auto stage = std::ranges::find(stages, name, &StageSpec::name);
  return stage == stages.end() ? std::nullopt : std::optional(static_cast<std::size_t>(stage - stages.begin()));
}

std::size_t RunConfig::stage_index(std::string_view name) const {
  const std::optional<std::size_t> index = find_stage(name);
  MINBERT_CHECK(index, "no stage {}", name);
  return *index;
}

MlmHeadKind RunConfig::mlm_head() const {
  const auto stage = std::ranges::find_if(stages, [](const StageSpec& s) { return s.mlm.has_value(); });
  return stage == stages.end() ? MlmHeadKind::kNone : stage->mlm->kind();
}

RunConfig load_run_config(const ConfigTree& tree) {
  for (const char* verb : {"study", "search"})
    if (const auto section = tree.node().find(verb))
      section->complain("expected the config of one run",
                        fmt::format("minbert {} FILE trains it, minbert {} FILE --dry-run checks it", verb, verb));
  auto config = read_options<RunConfig>(tree.node());
  if (!is_plain_name(config.run.name))
    refuse(tree, "run.name", fmt::format("expected letters, digits, - and _, got \"{}\"", config.run.name));
  if (config.data.fold > 0 && config.data.fold >= config.data.folds)
    refuse(tree, "data.fold", fmt::format("expected a number below data.folds, which is {}, got {}", config.data.folds, config.data.fold));
  name_stages(config);
  resolve_excludes(tree, config);
  resolve_paths(tree, config);
  check_tasks(tree, config);
  check_stages(tree, config);
  return config;
}

}  // namespace minbert
