// Makes tokenizer, sizes and initial weights from model.init.
#include "minbert/train/start.h"

#include <algorithm>
#include <set>

#include "minbert/tokenizer/train_vocabulary.h"
#include "minbert/train/setup.h"

namespace minbert {
namespace {

Start start_from_scratch(const RunConfig& config, std::span<const std::string> texts) {
  const ScratchSection& sizes = config.model.config;
  TokenizerOptions options;
  options.max_length = sizes.max_position_embeddings;
  Start start{.tokenizer = Tokenizer(train_vocabulary(texts, {.size = config.model.vocabulary.size}, options), options), .config = {}};
  start.config = sizes.model_config(start.tokenizer.vocab_size());
  start.config.pad_token_id = start.tokenizer.pad_id();
  return start;
}

Start start_from_folder(const RunConfig& config) {
  ModelFolder folder = read_model_folder(config.model.init.text);
  Start start{.tokenizer = Tokenizer::load(folder.path), .config = folder.config};
  start.tokenizer.limit_ids(start.config.vocab_size, folder.path.string());
  if (config.mlm_head() != MlmHeadKind::kNone && start.tokenizer.mask_id() >= start.config.vocab_size)
    throw Error(ErrorTag::kModel, folder.path.string(),
                fmt::format("expected a vector for \"{}\", which masked-LM training reads, got none",
                            start.tokenizer.token(start.tokenizer.mask_id())));
  start.has_pooler = config.mlm_head() != MlmHeadKind::kNone && has_pooler(folder);
  start.folder = std::move(folder);
  return start;
}

/// Whether a head of the folder fits this task: the folder describes no task of this name, or the same one.
bool is_same_task(const ModelFolder& folder, const TaskSpec& task) {
  const auto theirs = std::find_if(folder.tasks.begin(), folder.tasks.end(), [&](const TaskSpec& t) { return t.name == task.name; });
  return theirs == folder.tasks.end() ||
         (theirs->type == task.type && theirs->labels == task.labels &&
          theirs->head_shape(folder.config.hidden_size).features == task.head_shape(folder.config.hidden_size).features);
}

/// Whether a new MLM head is needed, because the folder lacks some part of one. Throws Error(kModel) if mlm.head is "pretrained" then.
bool needs_new_mlm_head(const RunConfig& config, const ModelFolder& folder, const ImportReport& report, TrainEvents& events) {
  const MlmHeadKind kind = config.mlm_head();
  if (kind == MlmHeadKind::kNone) return false;
  const auto missing = report.missing(Role::kMlm);
  const bool demanded =
      std::ranges::any_of(config.stages, [](const StageSpec& s) { return s.mlm && s.mlm->head == MlmHeadChoice::kPretrained; });
  if (demanded && !missing.empty())
    throw Error(ErrorTag::kModel, folder.path.string(), fmt::format("expected an MLM head, got none: {} is missing", missing.front()),
                "mlm.head = \"tied\" makes a new one where the checkpoint has none");
  events.message(MessageLevel::kInfo, fmt::format("MLM head, {}: {}", kind == MlmHeadKind::kTied ? "tied" : "linear",
                                                  missing.empty() ? "from there too" : "new"));
  return !missing.empty();
}

}  // namespace

Start read_start(const RunConfig& config, const RunRows& rows) {
  Start start = config.model.from_scratch() ? start_from_scratch(config, vocabulary_texts(config, rows)) : start_from_folder(config);
  ModelConfig& model = start.config;
  if (config.model.max_length > model.max_position_embeddings)
    throw Error(ErrorTag::kUsage, "model.max_length",
                fmt::format("expected at most the model's {}, got {}", model.max_position_embeddings, config.model.max_length));
  model.hidden_dropout_prob = config.model.hidden_dropout.value_or(model.hidden_dropout_prob);
  model.attention_probs_dropout_prob = config.model.attention_dropout.value_or(model.attention_probs_dropout_prob);
  return start;
}

void set_initial_weights(RunSetup& setup, const RunConfig& config, TrainEvents& events) {
  if (!setup.init) return setup.params->init(config.run.seed, [](const ParamInfo&) { return true; });
  const ModelFolder& folder = *setup.init;
  ImportOptions options{.wanted = {}, .require_encoder = folder.is_own};
  options.wanted = [&](const ParamInfo& info) {
    return info.role != Role::kHead || is_same_task(folder, setup.tasks[setup.task_index(info.task)].spec);
  };
  const ImportReport report = import_weights(folder.path, *setup.params, options);
  events.message(MessageLevel::kInfo, fmt::format("encoder: {}", folder.path.string()));
  for (const std::string& text : report.warnings()) events.message(MessageLevel::kWarning, text);
  if (const std::string text = report.unused_heads(); !text.empty() && !folder.is_own) events.message(MessageLevel::kInfo, text);
  if (const std::string text = setup.tokenizer.limit_text(); !text.empty()) events.message(MessageLevel::kWarning, text);
  for (const TaskData& task : setup.tasks)
    if (!is_same_task(folder, task.spec))
      events.message(
          MessageLevel::kInfo,
          fmt::format("head {}: new, for the task of that name there has other labels, another type or another head", task.spec.name));
  for (const ImportReport::Head& head : report.heads)
    events.message(MessageLevel::kInfo, fmt::format("head {}: {}", head.task, head.loaded ? "from there too" : "new, " + head.reason));
  const bool new_mlm = needs_new_mlm_head(config, folder, report, events);
  std::set<std::string, std::less<>> loaded;
  for (const ImportReport::Parameter& parameter : report.parameters)
    if (!parameter.missing() && !(new_mlm && parameter.role == Role::kMlm)) loaded.insert(parameter.name);
  const std::int64_t kept_layers = setup.params->config().num_hidden_layers - config.model.reinit_layers;
  setup.params->init(config.run.seed, [&](const ParamInfo& info) {
    const bool is_new =
        config.model.reinit_layers > 0 && (info.role == Role::kPooler || (info.role == Role::kEncoder && info.layer > kept_layers));
    return is_new || !loaded.contains(info.name);
  });
}

}  // namespace minbert
