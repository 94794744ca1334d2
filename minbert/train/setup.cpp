// From a config to rows, tokenizer and parameters.
#include "minbert/train/setup.h"

#include <algorithm>
#include <set>

#include "minbert/base/files.h"
#include "minbert/base/hash.h"
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
  if (config.model.dtype == ComputeType::kF32) return DType::kF32;
  if (backend.supports_bf16()) return DType::kBF16;
  events.message(MessageLevel::kWarning, "this processor has no bf16 products: computing in f32");
  return DType::kF32;
}

/// Whether a head of the folder means the same here: a task of this name that it describes otherwise is another one.
bool is_same_task(const ModelFolder& folder, const TaskSpec& task) {
  const auto theirs = std::find_if(folder.tasks.begin(), folder.tasks.end(), [&](const TaskSpec& t) { return t.name == task.name; });
  return theirs == folder.tasks.end() || (theirs->type == task.type && theirs->labels == task.labels);
}

/// The lines of the corpus, else every text of the train splits.
std::vector<std::string> vocabulary_texts(const RunConfig& config, std::span<const TaskData> tasks) {
  std::vector<std::string> texts;
  for (const PathOption& path : config.model.vocabulary.corpus) {
    const std::string text = read_file(path.text);
    for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
      end = std::min(text.find('\n', begin), text.size());
      texts.push_back(text.substr(begin, end - begin));
    }
  }
  if (!config.model.vocabulary.corpus.empty()) return texts;
  for (const TaskData& task : tasks) {
    for (const Row& row : task.rows.train.rows) {
      texts.push_back(row.text);
      if (task.spec.is_pair()) texts.push_back(row.text_pair);
    }
  }
  return texts;
}

/// Tokenizer and sizes of the model that the run starts from.
struct Start {
  Tokenizer tokenizer;
  ModelConfig config;
};

Start start_from_scratch(const RunConfig& config, std::span<const TaskData> tasks) {
  const ScratchSection& sizes = config.model.config;
  TokenizerOptions options;
  options.max_length = sizes.max_position_embeddings;
  Start start{Tokenizer(train_vocabulary(vocabulary_texts(config, tasks), {.size = config.model.vocabulary.size}, options), options), {}};
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

}  // namespace

RunSetup prepare_run(Backend& backend, const RunConfig& config, TrainEvents& events) {
  std::vector<TaskData> tasks;
  for (const TaskSpec& spec : config.tasks) tasks.push_back(read_task(spec, config.run.seed, events));

  Start start = config.model.from_scratch() ? start_from_scratch(config, tasks) : start_from_folder(find_model_folder(config.model.init.text));
  ModelConfig& model = start.config;
  RunSetup setup{&backend, std::move(tasks), {}, std::move(start.tokenizer), config.model.max_length, nullptr, nullptr};
  if (setup.max_length > model.max_position_embeddings)
    throw Error(ErrorTag::kUsage, "model.max_length", fmt::format("expected at most the model's {}, got {}", model.max_position_embeddings, setup.max_length));
  model.hidden_dropout_prob = config.model.hidden_dropout.value_or(model.hidden_dropout_prob);
  model.attention_probs_dropout_prob = config.model.attention_dropout.value_or(model.attention_probs_dropout_prob);

  for (TaskData& task : setup.tasks) {
    tokenize_task(task, setup, events);
    setup.specs.push_back(task.spec);
  }
  setup.params = std::make_unique<Params>(backend, model_shape(model, setup.specs), DType::kF32, compute_dtype(backend, config, events));
  setup.model = std::make_unique<MultitaskModel>(backend, *setup.params);
  return setup;
}

std::string data_digest(std::span<const TaskData> tasks) {
  Sha256 digest;
  for (const TaskData& task : tasks) {
    for (const TokenizedRows* rows : {&task.train, &task.dev}) {
      digest.update(std::as_bytes(std::span(rows->ids)));
      digest.update(std::as_bytes(std::span(rows->offsets)));
      digest.update(std::as_bytes(std::span(rows->labels)));
    }
  }
  return digest.hex();
}

void set_initial_weights(RunSetup& setup, const RunConfig& config, TrainEvents& events) {
  if (config.model.from_scratch()) return setup.params->init(config.run.seed, [](const ParamInfo&) { return true; });
  const ModelFolder folder = read_model_folder(find_model_folder(config.model.init.text));
  ImportOptions options;
  options.wanted = [&](const ParamInfo& info) {
    return info.role != Role::kHead || is_same_task(folder, setup.specs[config.find_task(info.task)]);
  };
  const ImportReport report = import_weights(folder.path, *setup.params, options);
  events.message(MessageLevel::kInfo, fmt::format("encoder: {}", folder.path.string()));
  for (const ImportReport::Head& head : report.heads)
    events.message(MessageLevel::kInfo, fmt::format("head {}: {}", head.task, head.loaded ? "from there too" : "new, " + head.reason));
  std::set<std::string, std::less<>> loaded;
  for (const ImportReport::Parameter& parameter : report.parameters)
    if (!parameter.missing()) loaded.insert(parameter.name);
  setup.params->init(config.run.seed, [&](const ParamInfo& info) { return !loaded.contains(info.name); });
}

}  // namespace minbert
