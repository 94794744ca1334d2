// Makes rows, tokenizer and parameters from a config.
#include "minbert/train/setup.h"

#include <algorithm>
#include <set>

#include "minbert/base/files.h"
#include "minbert/data/text.h"
#include "minbert/pipeline/compute.h"
#include "minbert/pipeline/ensemble.h"
#include "minbert/train/run_folder.h"
#include "minbert/train/start.h"

namespace minbert {
namespace {

void tokenize_task(TaskData& task, const RunSetup& setup, TrainEvents& events) {
  task.train = tokenize_rows(setup.tokenizer, task.spec.read_once(), task.rows.train.rows, setup.max_length);
  for (const auto& [rows, tokens] : {std::pair(&task.rows.dev, &task.dev), {&task.rows.test, &task.test}})
    *tokens = tokenize_rows(setup.tokenizer, task.spec, rows->rows, setup.max_length);
  if (const std::int64_t cut = task.train.truncated + task.dev.truncated + task.test.truncated; cut > 0)
    events.message(MessageLevel::kInfo,
                   fmt::format("{}: {} rows are longer than {} tokens and cut{}", task.spec.name, cut, setup.max_length,
                               task.spec.windows == Windows::kNone ? "" : " in training; scores read all of them in windows"));
}

void tell_of_cut(const std::string& name, std::int64_t rows, std::int64_t max_length, TrainEvents& events) {
  if (rows > 0) events.message(MessageLevel::kInfo, fmt::format("{}: {} rows are longer than {} tokens and cut", name, rows, max_length));
}

DType compute_dtype(const Backend& backend, const RunConfig& config, TrainEvents& events) {
  const auto warn = [&](const std::string& what) { events.message(MessageLevel::kWarning, what + "; computing in f32"); };
  return resolve_compute(backend, option_name(config.model.dtype), warn).dtype;
}

MlmCorpus read_stage_texts(const StageSpec& stage, const RunConfig& config, const RunRows& rows, const RunSetup& setup,
                           TrainEvents& events) {
  const MlmSection& mlm = *stage.mlm;
  std::vector<MlmTexts> texts;
  for (const auto& [list, probe] : {std::pair(&mlm.texts, false), {&mlm.probes, true}})
    for (const PathOption& text : *list) {
      const NamedTexts named = find_texts(text, rows);
      texts.push_back({named.name, named.rows, named.task != nullptr && named.task->is_pair(), probe});
    }
  MlmCorpus corpus = read_mlm_corpus(
      setup.tokenizer, texts,
      {.joined = mlm.pairs == MlmPairs::kJoined, .held_out = mlm.held_out, .seed = config.run.seed, .max_length = setup.max_length});
  for (const MlmSource& source : corpus.sources) tell_of_cut(source.name, source.truncated, setup.max_length, events);
  return corpus;
}

std::vector<ContrastiveTexts> read_contrasted(const StageSpec& stage, const RunRows& rows, const ModelConfig& model, const RunSetup& setup,
                                              TrainEvents& events) {
  std::vector<ContrastiveTexts> sources;
  const bool no_dropout = model.hidden_dropout_prob == 0 && model.attention_probs_dropout_prob == 0;
  for (const PathOption& text : stage.contrastive->texts) {
    const ContrastiveTexts& source =
        sources.emplace_back(read_contrastive_texts(setup.tokenizer, find_texts(text, rows), stage, setup.max_length));
    tell_of_cut(source.name, source.rows.truncated, setup.max_length, events);
    if (source.rows.per_row == 1 && no_dropout)
      events.message(MessageLevel::kWarning,
                     fmt::format("stage {}: dropout is off, so that both vectors of a text of {} are equal", stage.name, text.text));
  }
  for (const TaskData& task : rows.tasks)
    if (task.spec.pool != Pool::kMean)
      events.message(MessageLevel::kWarning, fmt::format("stage {} trains mean vectors, task {} reads pool = \"{}\"", stage.name,
                                                         task.spec.name, option_name(task.spec.pool)));
  return sources;
}

/// The rows of a distill stage that only teachers label, by task, not tokenised yet. Texts that are blank are left out.
std::map<std::string, UnlabelledRows> read_unlabelled(const StageSpec& stage, const RunRows& rows) {
  std::map<std::string, UnlabelledRows> unlabelled;
  for (const auto& [name, texts] : stage.distill->unlabelled) {
    const TaskSpec& spec = std::ranges::find(rows.tasks, name, [](const TaskData& task) { return task.spec.name; })->spec;
    UnlabelledRows& out = unlabelled[name];
    for (const PathOption& text : texts) {
      const NamedTexts named = find_texts(text, rows);
      out.read += std::ssize(named.rows);
      for (Row row : named.rows) {
        if (named.task == nullptr) row.text = preprocess_text(spec.data, row.text);
        row.label = Row().label;
        if (!strip(row.text).empty()) out.rows.push_back(std::move(row));
      }
    }
  }
  return unlabelled;
}

void tokenize_unlabelled(UnlabelledRows& unlabelled, const TaskData& task, const RunSetup& setup, TrainEvents& events) {
  const TaskSpec spec = task.spec.read_once();
  const TokenizedRows tokens = tokenize_rows(setup.tokenizer, spec, unlabelled.rows, setup.max_length);
  tell_of_cut(fmt::format("{}, unlabelled", spec.name), tokens.truncated, setup.max_length, events);
  unlabelled.tokens = std::ssize(tokens.ids);
  unlabelled.truncated = tokens.truncated;
  unlabelled.with_train = task.train;
  for (std::int64_t row = 0; row < tokens.rows(); ++row) append_row(unlabelled.with_train, tokens, row);
}

/// Says what the files of the folder that the run starts from say differently, and what of them training does not follow.
void tell_of_start(const Start& start, TrainEvents& events) {
  for (const std::string& warning : start.tokenizer.warnings()) events.message(MessageLevel::kWarning, warning);
  if (!start.folder) return;
  for (const std::string& warning : start.folder->warnings) events.message(MessageLevel::kWarning, warning);
  std::string unused;
  for (std::size_t i = 2; i < start.folder->modules.size(); ++i)  // after Transformer and Pooling
    unused += fmt::format("{}{}", unused.empty() ? "" : ", ", start.folder->modules[i].type);
  if (!unused.empty())
    events.message(MessageLevel::kInfo, fmt::format("modules.json: heads read the encoder's pooled vectors, without {}", unused));
}

/// The earlier stages that teach a distill stage.
std::vector<const StageSpec*> own_teachers(const RunConfig& config, const StageSpec& stage) {
  std::vector<const StageSpec*> stages;
  for (const PathOption& teacher : stage.distill->teachers)
    if (const auto own = config.find_stage(teacher.text)) stages.push_back(&config.stages[*own]);
  return stages;
}

/// How many teachers of a distill stage answer each of its tasks. Throws Error: kModel; kUsage for a task that none answers, or one answers
/// in another way.
std::map<std::string, std::int64_t> count_teachers(const RunConfig& config, const StageSpec& stage, const RunSetup& setup) {
  std::vector<ModelFolder> teachers;
  for (const std::filesystem::path& path : teacher_folders(config, stage)) teachers.push_back(read_model_folder(path));
  const auto own = own_teachers(config, stage);
  std::map<std::string, std::int64_t> counts;
  for (const std::size_t task : setup.tasks_of(stage)) {
    const TaskSpec& spec = setup.tasks[task].spec;
    std::int64_t& count = counts[spec.name] = std::ranges::count_if(own, [&](const StageSpec* one) { return one->trains(spec.name); });
    for (const ModelFolder& teacher : teachers) {
      const auto same = std::ranges::find(teacher.tasks, spec.name, &TaskSpec::name);
      if (same == teacher.tasks.end()) continue;
      expect_same_answers(spec, *same, fmt::format("stage {}, teacher {}", stage.name, teacher.path.string()));
      ++count;
    }
    if (count == 0)
      throw Error(ErrorTag::kUsage, fmt::format("stage {}, distill.teachers", stage.name),
                  fmt::format("no teacher has the task \"{}\"", spec.name));
  }
  return counts;
}

/// A hash of the models outside the run that stages read when they begin: teachers, and the folder of model.init where a stage after the
/// first starts from it. Empty without any.
std::string hash_models(const RunConfig& config, const RunSetup& setup) {
  std::set<std::filesystem::path> folders;
  for (const StageSpec& stage : config.stages) {
    if (stage.distill)
      for (const std::filesystem::path& path : teacher_folders(config, stage)) folders.insert(find_model_folder(path));
    if (setup.init && &stage != &config.stages.front() && stage.starts_from_init()) folders.insert(setup.init->path);
  }
  return models_digest(folders);
}

/// Checks the keys that count parts of the encoder.
void check_sizes(const RunConfig& config, const ModelConfig& model) {
  const auto expect_at_most = [](const std::string& place, const std::string& what, std::int64_t most, std::int64_t got) {
    if (got > most) throw Error(ErrorTag::kUsage, place, fmt::format("expected at most {}, {}, got {}", most, what, got));
  };
  for (const TaskSpec& task : config.tasks)
    if (config.has_head(task)) expect_token_types(task, model, ErrorTag::kUsage, fmt::format("task.{}.encode", task.name));
  const std::int64_t layers = model.num_hidden_layers, fresh = config.model.reinit_layers;
  expect_at_most("model.reinit_layers", "the encoder's layers", layers, fresh);
  for (const StageSpec& stage : config.stages) {
    const std::string place = fmt::format("stage {}, freeze_layers", stage.name);
    expect_at_most(place, "the encoder's layers", layers, stage.freeze_layers);
    if (fresh > 0) expect_at_most(place, "the layers that do not start anew", layers - fresh, stage.freeze_layers);
    if (stage.contrastive || stage.lora) expect_at_most(place, "so that a layer is left to train", layers - 1, stage.freeze_layers);
    if (!stage.contrastive) continue;
    for (const std::int64_t width : stage.contrastive->widths)
      expect_at_most(fmt::format("stage {}, contrastive.widths", stage.name), "the encoder's own width", model.hidden_size, width);
  }
}

/// Losses that compare rows with each other see all rows of a micro-batch, which ranks would share. LoRA needs whole gradients, of which
/// each rank has a part.
void expect_one_rank(const RunConfig& config, const Comm& ranks) {
  if (ranks.is_alone()) return;
  const auto refuse = [&](const std::string& place, const char* why = "compares all rows of a batch") {
    throw Error(ErrorTag::kUsage, place, fmt::format("{}, so it trains in one process; got {} ranks", why, ranks.size()));
  };
  for (const TaskSpec& task : config.tasks)
    if (config.has_head(task) && compares_rows(task.trained_by())) refuse(fmt::format("task.{}.loss", task.name));
  for (const StageSpec& stage : config.stages) {
    if (stage.contrastive) refuse(fmt::format("stage {}", stage.name));
    if (stage.lora) refuse(fmt::format("stage.{}.lora", stage.name), "needs whole gradients of weights");
  }
}

}  // namespace

std::vector<std::filesystem::path> teacher_folders(const RunConfig& config, const StageSpec& stage) {
  std::vector<std::filesystem::path> folders;
  for (const PathOption& teacher : stage.distill->teachers)
    if (!config.find_stage(teacher.text))
      for (const std::filesystem::path& path : answering_folders(teacher.text)) folders.push_back(path);
  return folders;
}

std::vector<ModelFolder> read_teachers(const RunConfig& config, const StageSpec& stage, const std::filesystem::path& run) {
  std::vector<ModelFolder> teachers;
  for (const std::filesystem::path& path : teacher_folders(config, stage)) teachers.push_back(read_model_folder(path));
  for (const StageSpec* own : own_teachers(config, stage)) {
    MINBERT_CHECK(!run.empty(), "stage {} is to teach, and there is no run", own->name);
    AtomicFolder::recover(stage_best(run, *own));
    teachers.push_back(read_model_folder(stage_best(run, *own)));
    std::erase_if(teachers.back().tasks, [&](const TaskSpec& task) { return !own->trains(task.name); });
  }
  return teachers;
}

std::vector<TaskSpec> RunSetup::specs() const {
  std::vector<TaskSpec> specs;
  for (const TaskData& task : tasks) specs.push_back(task.spec);
  return specs;
}

std::size_t RunSetup::task_index(std::string_view name) const {
  const auto at = std::ranges::find(tasks, name, [](const TaskData& task) { return task.spec.name; });
  MINBERT_CHECK(at != tasks.end(), "no task {} with a head", name);
  return static_cast<std::size_t>(at - tasks.begin());
}

std::vector<std::size_t> RunSetup::tasks_of(const StageSpec& stage) const {
  std::vector<std::size_t> indices;
  for (const std::string& name : stage.tasks) indices.push_back(task_index(name));
  return indices;
}

RunSetup prepare_run(Backend& backend, const RunConfig& config, TrainEvents& events, Comm& ranks) {
  expect_one_rank(config, ranks);
  RunRows rows = read_run_rows(config, events);
  Start start = read_start(config, rows);
  tell_of_start(start, events);
  check_sizes(config, start.config);
  RunSetup setup{.backend = &backend,
                 .ranks = &ranks,
                 .tokenizer = std::move(start.tokenizer),
                 .max_length = config.model.max_length,
                 .init = std::move(start.folder)};
  for (const StageSpec& stage : config.stages) {
    setup.mlm.push_back(stage.mlm ? read_stage_texts(stage, config, rows, setup, events) : MlmCorpus{});
    setup.contrastive.push_back(stage.contrastive ? read_contrasted(stage, rows, start.config, setup, events)
                                                  : std::vector<ContrastiveTexts>{});
    setup.unlabelled.push_back(stage.distill ? read_unlabelled(stage, rows) : std::map<std::string, UnlabelledRows>{});
  }
  setup.tasks = std::move(rows.tasks);
  setup.corpora = std::move(rows.corpora);
  for (TaskData& task : setup.tasks) tokenize_task(task, setup, events);
  for (auto& stage : setup.unlabelled)
    for (auto& [name, unlabelled] : stage) tokenize_unlabelled(unlabelled, setup.tasks[setup.task_index(name)], setup, events);
  for (const StageSpec& stage : config.stages)
    setup.teachers.push_back(stage.distill ? count_teachers(config, stage, setup) : std::map<std::string, std::int64_t>{});
  setup.models = hash_models(config, setup);
  ModelShape shape = model_shape(start.config, setup.specs(), start.has_pooler);
  shape.mlm = config.mlm_head();
  setup.params = std::make_unique<Params>(backend, std::move(shape), DType::kF32, compute_dtype(backend, config, events));
  setup.model = std::make_unique<MultitaskModel>(backend, *setup.params);
  setup.runner = std::make_unique<BatchRunner>(*setup.model);
  return setup;
}

}  // namespace minbert
