// From a config to rows, tokenizer and parameters.
#include "minbert/train/setup.h"

#include <algorithm>
#include <set>

#include "minbert/base/hash.h"
#include "minbert/data/table.h"
#include "minbert/pipeline/compute.h"
#include "minbert/tokenizer/train_vocabulary.h"

namespace minbert {
namespace {

TaskData read_task(const TaskSpec& spec, std::uint64_t seed, TrainEvents& events) {
  TaskData task;
  task.spec = spec;
  task.rows = load_task(spec.data, spec.labels, seed);
  task.spec.labels = task.rows.labels;
  for (const auto& [split, report] : task.rows.reports)
    if (!report.skipped.empty())
      events.message(MessageLevel::kWarning,
                     fmt::format("{} {}: {} of {} rows are skipped; data.json lists them", spec.name, split, report.skipped.size(), report.read));
  return task;
}

void tokenize_task(TaskData& task, const RunSetup& setup, TrainEvents& events) {
  for (const auto& [rows, tokens] : {std::pair(&task.rows.train, &task.train), {&task.rows.dev, &task.dev}, {&task.rows.test, &task.test}})
    *tokens = tokenize_rows(setup.tokenizer, task.spec, rows->rows, setup.max_length);
  if (const std::int64_t cut = task.train.truncated + task.dev.truncated + task.test.truncated; cut > 0)
    events.message(MessageLevel::kInfo, fmt::format("{}: {} rows are longer than {} tokens and cut", task.spec.name, cut, setup.max_length));
}

DType compute_dtype(const Backend& backend, const RunConfig& config, TrainEvents& events) {
  const auto warn = [&](const std::string& what) { events.message(MessageLevel::kWarning, what + "; computing in f32"); };
  return resolve_compute(backend, option_name(config.model.dtype), warn).dtype;
}

/// Whether a head of the folder means the same here: a task of this name that it describes otherwise is another one.
bool is_same_task(const ModelFolder& folder, const TaskSpec& task) {
  const auto theirs = std::find_if(folder.tasks.begin(), folder.tasks.end(), [&](const TaskSpec& t) { return t.name == task.name; });
  return theirs == folder.tasks.end() || (theirs->type == task.type && theirs->labels == task.labels);
}

/// Plain files of texts by path, a row a line.
using TextFiles = std::map<std::string, std::vector<Row>, std::less<>>;

std::vector<Row> read_text_lines(const std::string& path) {
  const Table table = read_table(path, {.format = "lines"});
  std::vector<Row> rows(table.rows());
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i].text = table.cell(i, 0);
  return rows;
}

/// What the files of a run hold, before there is a tokenizer.
struct RunRows {
  std::vector<TaskData> tasks, corpora;
  TextFiles files;

  const TaskData& find(std::string_view name) const {
    const auto task = std::ranges::find(tasks, name, [](const TaskData& t) { return t.spec.name; });
    return task != tasks.end() ? *task : *std::ranges::find(corpora, name, [](const TaskData& t) { return t.spec.name; });
  }
};

RunRows read_rows(const RunConfig& config, TrainEvents& events) {
  RunRows run;
  for (const TaskSpec& spec : config.tasks) (config.has_head(spec) ? run.tasks : run.corpora).push_back(read_task(spec, config.run.seed, events));
  for (const StageSpec& stage : config.stages) {
    if (!stage.mlm) continue;
    for (const auto* texts : {&stage.mlm->texts, &stage.mlm->probes})
      for (const PathOption& text : *texts)
        if (!parse_task_split(text.text) && !run.files.contains(text.text)) run.files[text.text] = read_text_lines(text.text);
  }
  return run;
}

/// The lines of the corpus, else every text of the train splits and of the files that mlm stages read.
std::vector<std::string> vocabulary_texts(const RunConfig& config, const RunRows& run) {
  std::vector<std::string> texts;
  const auto add = [&](std::span<const Row> rows, bool pairs) {
    for (const Row& row : rows) {
      texts.push_back(row.text);
      if (pairs) texts.push_back(row.text_pair);
    }
  };
  for (const PathOption& path : config.model.vocabulary.corpus) add(read_text_lines(path.text), false);
  if (!config.model.vocabulary.corpus.empty()) return texts;
  for (const auto* tasks : {&run.tasks, &run.corpora})
    for (const TaskData& task : *tasks) add(task.rows.train.rows, task.spec.is_pair());
  for (const auto& [path, rows] : run.files) add(rows, false);
  return texts;
}

/// The texts that an mlm stage names. A file is called by its name, or by its path where two have the same.
std::vector<MlmTexts> texts_of(const MlmSection& mlm, const RunRows& run) {
  std::map<std::string, int> names;
  for (const auto& [path, rows] : run.files) ++names[std::filesystem::path(path).filename().string()];
  std::vector<MlmTexts> texts;
  for (const auto& [list, probe] : {std::pair(&mlm.texts, false), {&mlm.probes, true}}) {
    for (const PathOption& text : *list) {
      if (const auto part = parse_task_split(text.text)) {
        const TaskData& task = run.find(part->task);
        texts.push_back({text.text, task.rows.split(part->split).rows, task.spec.is_pair(), probe});
      } else {
        const std::string name = std::filesystem::path(text.text).filename().string();
        texts.push_back({names[name] > 1 ? text.text : name, run.files.at(text.text), false, probe});
      }
    }
  }
  return texts;
}

/// Tokenizer and sizes of the model that the run starts from.
struct Start {
  Tokenizer tokenizer;
  ModelConfig config;
};

Start start_from_scratch(const RunConfig& config, std::span<const std::string> texts) {
  const ScratchSection& sizes = config.model.config;
  TokenizerOptions options;
  options.max_length = sizes.max_position_embeddings;
  Start start{Tokenizer(train_vocabulary(texts, {.size = config.model.vocabulary.size}, options), options), {}};
  start.config.vocab_size = start.tokenizer.vocab_size();
  start.config.hidden_size = sizes.hidden_size;
  start.config.num_hidden_layers = sizes.num_hidden_layers;
  start.config.num_attention_heads = sizes.num_attention_heads;
  start.config.intermediate_size = sizes.intermediate_size;
  start.config.max_position_embeddings = sizes.max_position_embeddings;
  start.config.pad_token_id = start.tokenizer.pad_id();
  if (sizes.hidden_size % sizes.num_attention_heads != 0)
    throw Error(ErrorTag::kUsage, "model.config",
                fmt::format("expected hidden_size to be a multiple of num_attention_heads, got {} and {}", sizes.hidden_size, sizes.num_attention_heads));
  return start;
}

Start start_from_folder(const std::filesystem::path& path) {
  Start start{Tokenizer::load(path), read_model_folder(path).config};
  if (start.tokenizer.vocab_size() > start.config.vocab_size)
    throw Error(ErrorTag::kModel, path.string(),
                fmt::format("the tokenizer has {} tokens, config.json says {}", start.tokenizer.vocab_size(), start.config.vocab_size));
  return start;
}

Start start_of(const RunConfig& config, const RunRows& rows) {
  Start start = config.model.from_scratch() ? start_from_scratch(config, vocabulary_texts(config, rows))
                                            : start_from_folder(find_model_folder(config.model.init.text));
  ModelConfig& model = start.config;
  if (config.model.max_length > model.max_position_embeddings)
    throw Error(ErrorTag::kUsage, "model.max_length",
                fmt::format("expected at most the model's {}, got {}", model.max_position_embeddings, config.model.max_length));
  model.hidden_dropout_prob = config.model.hidden_dropout.value_or(model.hidden_dropout_prob);
  model.attention_probs_dropout_prob = config.model.attention_dropout.value_or(model.attention_probs_dropout_prob);
  return start;
}

MlmCorpus read_stage_texts(const StageSpec& stage, const RunConfig& config, const RunRows& rows, const RunSetup& setup, TrainEvents& events) {
  const MlmSection& mlm = *stage.mlm;
  MlmCorpus corpus = read_mlm_corpus(
      setup.tokenizer, texts_of(mlm, rows),
      {.joined = mlm.pairs == MlmPairs::kJoined, .held_out = mlm.held_out, .seed = config.run.seed, .max_length = setup.max_length});
  for (const MlmSource& source : corpus.sources)
    if (source.truncated > 0)
      events.message(MessageLevel::kInfo, fmt::format("{}: {} rows are longer than {} tokens and cut", source.name, source.truncated, setup.max_length));
  return corpus;
}

/// Whether the MLM head is to be made anew: it is taken whole or not at all.
bool settle_mlm_head(const RunConfig& config, const ModelFolder& folder, const ImportReport& report, TrainEvents& events) {
  const MlmHeadKind kind = config.mlm_head();
  if (kind == MlmHeadKind::kNone) return false;
  const auto missing = report.missing(Role::kMlm);
  const bool demanded = std::ranges::any_of(config.stages, [](const StageSpec& s) { return s.mlm && s.mlm->head == MlmHeadChoice::kPretrained; });
  if (demanded && !missing.empty())
    throw Error(ErrorTag::kModel, folder.path.string(), fmt::format("expected an MLM head, got none: {} is missing", missing.front()),
                "mlm.head = \"tied\" makes a new one where the checkpoint has none");
  events.message(MessageLevel::kInfo, fmt::format("MLM head, {}: {}", kind == MlmHeadKind::kTied ? "tied" : "linear", missing.empty() ? "from there too" : "new"));
  return !missing.empty();
}

/// A checkpoint's pooler goes through pretraining untouched, for whoever starts from the result.
bool keeps_pooler(const RunConfig& config) {
  if (config.mlm_head() == MlmHeadKind::kNone || config.model.from_scratch()) return false;
  const WeightSource source = open_model_weights(find_model_folder(config.model.init.text));
  return std::ranges::any_of(source.tensors(), [](const SourceTensor& tensor) { return canonical_name(tensor.name) == "pooler.dense.weight"; });
}

}  // namespace

std::size_t RunSetup::task_index(std::string_view name) const {
  const auto at = std::ranges::find(specs, name, &TaskSpec::name);
  MINBERT_CHECK(at != specs.end(), "no task {} with a head", name);
  return static_cast<std::size_t>(at - specs.begin());
}

std::vector<std::size_t> RunSetup::tasks_of(const StageSpec& stage) const {
  std::vector<std::size_t> indices;
  for (const std::string& name : stage.tasks) indices.push_back(task_index(name));
  return indices;
}

RunSetup prepare_run(Backend& backend, const RunConfig& config, TrainEvents& events) {
  RunRows rows = read_rows(config, events);
  Start start = start_of(config, rows);
  RunSetup setup{&backend, {}, {}, {}, {}, std::move(start.tokenizer), config.model.max_length, nullptr, nullptr};
  for (const StageSpec& stage : config.stages)
    setup.mlm.push_back(stage.mlm ? read_stage_texts(stage, config, rows, setup, events) : MlmCorpus{});
  setup.tasks = std::move(rows.tasks);
  setup.corpora = std::move(rows.corpora);
  for (TaskData& task : setup.tasks) {
    tokenize_task(task, setup, events);
    setup.specs.push_back(task.spec);
  }
  ModelShape shape = model_shape(start.config, setup.specs, keeps_pooler(config));
  shape.mlm = config.mlm_head();
  setup.params = std::make_unique<Params>(backend, std::move(shape), DType::kF32, compute_dtype(backend, config, events));
  setup.model = std::make_unique<MultitaskModel>(backend, *setup.params);
  setup.runner = std::make_unique<BatchRunner>(*setup.model);
  return setup;
}

std::string data_digest(const RunSetup& setup) {
  Sha256 digest;
  const auto update = [&](const TokenizedRows& rows) {
    digest.update(std::as_bytes(std::span(rows.ids)));
    digest.update(std::as_bytes(std::span(rows.offsets)));
    digest.update(std::as_bytes(std::span(rows.labels)));
  };
  for (const TaskData& task : setup.tasks) {
    update(task.train);
    update(task.dev);
  }
  for (const MlmCorpus& corpus : setup.mlm) {
    update(corpus.train);
    for (const MlmSource& source : corpus.sources) update(source.held_out);
  }
  return digest.hex();
}

Json corpus_json(const MlmCorpus& corpus) {
  Json json = Json::object();
  for (const MlmSource& source : corpus.sources) {
    const auto& offsets = corpus.train.offsets;
    const std::int64_t tokens = offsets[static_cast<std::size_t>(source.end)] - offsets[static_cast<std::size_t>(source.begin)];
    json[source.name] = {{"probe", source.probe},
                         {"read", source.read},
                         {"used", source.end - source.begin},
                         {"empty", source.empty},
                         {"held_out", source.set_aside},
                         {"repeated", source.repeated},
                         {"truncated", source.truncated},
                         {"tokens", tokens},
                         {"held_out_tokens", source.held_out.ids.size()}};
  }
  return json;
}

Json data_json(const RunSetup& setup, const RunConfig& config) {
  Json json = Json::object();
  for (const TaskData& task : setup.tasks) {
    json[task.spec.name] = task.rows.reports;
    for (const auto& [split, tokens] : {std::pair("train", &task.train), {"dev", &task.dev}, {"test", &task.test}})
      if (json[task.spec.name].contains(split)) json[task.spec.name][split].update({{"tokens", tokens->ids.size()}, {"truncated", tokens->truncated}});
  }
  for (const TaskData& corpus : setup.corpora) json[corpus.spec.name] = corpus.rows.reports;
  for (std::size_t i = 0; i < config.stages.size(); ++i)
    if (config.stages[i].mlm) json[std::string(kMlmName)][config.stages[i].name] = corpus_json(setup.mlm[i]);
  return json;
}

void set_initial_weights(RunSetup& setup, const RunConfig& config, TrainEvents& events) {
  if (config.model.from_scratch()) return setup.params->init(config.run.seed, [](const ParamInfo&) { return true; });
  const ModelFolder folder = read_model_folder(find_model_folder(config.model.init.text));
  ImportOptions options;
  options.wanted = [&](const ParamInfo& info) {
    return info.role != Role::kHead || is_same_task(folder, setup.specs[setup.task_index(info.task)]);
  };
  const ImportReport report = import_weights(folder.path, *setup.params, options);
  events.message(MessageLevel::kInfo, fmt::format("encoder: {}", folder.path.string()));
  for (const ImportReport::Head& head : report.heads)
    events.message(MessageLevel::kInfo, fmt::format("head {}: {}", head.task, head.loaded ? "from there too" : "new, " + head.reason));
  const bool new_mlm = settle_mlm_head(config, folder, report, events);
  std::set<std::string, std::less<>> loaded;
  for (const ImportReport::Parameter& parameter : report.parameters)
    if (!parameter.missing() && !(new_mlm && parameter.role == Role::kMlm)) loaded.insert(parameter.name);
  setup.params->init(config.run.seed, [&](const ParamInfo& info) { return !loaded.contains(info.name); });
}

}  // namespace minbert
