// RunConfig: a training run as its TOML files describe it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "minbert/base/config_tree.h"
#include "minbert/base/options.h"
#include "minbert/data/dataset.h"
#include "minbert/data/sampler.h"
#include "minbert/model/config.h"
#include "minbert/ops/backend.h"
#include "minbert/pipeline/task.h"
#include "minbert/train/schedule.h"

namespace minbert {

enum class ComputeType : std::uint8_t { kF32, kBf16 };
constexpr std::array<OptionName<ComputeType>, 2> option_names(ComputeType) {
  return {{{ComputeType::kF32, "f32"}, {ComputeType::kBf16, "bf16"}}};
}

enum class StageKind : std::uint8_t { kFinetune, kHeads, kMlm, kDistill, kContrastive };
constexpr std::array<OptionName<StageKind>, 8> option_names(StageKind) {
  return {{{StageKind::kFinetune, "finetune"},
           {StageKind::kHeads, "heads"},
           {StageKind::kMlm, "mlm"},
           {StageKind::kDistill, "distill"},
           {StageKind::kContrastive, "contrastive"},
           {StageKind::kFinetune, "multitask"},
           {StageKind::kHeads, "single-task"},
           {StageKind::kMlm, "pretrain"}}};
}

constexpr std::array<OptionName<AdamWForm>, 2> option_names(AdamWForm) {
  return {{{AdamWForm::kPaper, "adamw_paper"}, {AdamWForm::kTorch, "adamw"}}};
}

enum class Selection : std::uint8_t { kMean, kLast, kPerTask };
constexpr std::array<OptionName<Selection>, 3> option_names(Selection) {
  return {{{Selection::kMean, "mean"}, {Selection::kLast, "last"}, {Selection::kPerTask, "per_task"}}};
}

/// Whose weights are kept: in a run those of the epochs that its stages selected, in a search those of the best trial; or all.
enum class KeptModels : std::uint8_t { kBest, kAll };
constexpr std::array<OptionName<KeptModels>, 2> option_names(KeptModels) {
  return {{{KeptModels::kBest, "best"}, {KeptModels::kAll, "all"}}};
}
/// Which of epochs with equal scores is kept.
enum class Ties : std::uint8_t { kFirst, kLast };
constexpr std::array<OptionName<Ties>, 2> option_names(Ties) { return {{{Ties::kFirst, "first"}, {Ties::kLast, "last"}}}; }

/// Which model answers a task of a finished run: that of the last stage for all, or for each that of the stage with its best dev score.
enum class BestModel : std::uint8_t { kShared, kPerTask };
constexpr std::array<OptionName<BestModel>, 2> option_names(BestModel) {
  return {{{BestModel::kShared, "shared"}, {BestModel::kPerTask, "per_task"}}};
}

struct RunSection {
  std::string name = "run";
  std::uint64_t seed = 11711;
  KeptModels keep = KeptModels::kBest;
  BestModel best = BestModel::kShared;
};
template <class V>
void visit_options(V& v, RunSection& o) {
  v.field("name", o.name, "names the run folder");
  v.field("seed", o.seed, "seeds initial values, order and dropout");
  v.field("keep", o.keep, "what is left of checkpoints/ when the run is done: best (each stage's best model), or all (last/ too)");
  v.field("best", o.best,
          "which model answers: the last stage's (shared), or for each task that of the stage which dev prefers (per_task)");
}

/// Sizes of an encoder that starts from scratch.
struct ScratchSection {
  std::int64_t hidden_size = 256, num_hidden_layers = 4, num_attention_heads = 4, intermediate_size = 1024, max_position_embeddings = 512;

  /// BERT's config with these sizes and so many tokens.
  ModelConfig model_config(std::int64_t vocab_size) const;
};
template <class V>
void visit_options(V& v, ScratchSection& o) {
  v.field("hidden_size", o.hidden_size, "width of the encoder", at_least(1));
  v.field("num_hidden_layers", o.num_hidden_layers, "encoder layers", at_least(1));
  v.field("num_attention_heads", o.num_attention_heads, "heads of each layer's attention; divides hidden_size", at_least(1));
  v.field("intermediate_size", o.intermediate_size, "width of the feed-forward layers", at_least(1));
  v.field("max_position_embeddings", o.max_position_embeddings, "longest sequence", at_least(4));
}

struct VocabularySection {
  std::int64_t size = 8000;
  std::vector<PathOption> corpus;
};
template <class V>
void visit_options(V& v, VocabularySection& o) {
  v.field("size", o.size, "tokens of the vocabulary trained for a scratch model", between(100, 1 << 26));
  v.field("corpus", o.corpus, "files of plain lines to train it on; default: the tasks' train texts and the files that stages read");
}

struct ModelSection {
  PathOption init;  ///< Hugging Face folder, run folder, or "scratch"
  std::int64_t max_length = 128;
  ComputeType dtype = ComputeType::kF32;
  std::optional<float> hidden_dropout, attention_dropout;  ///< absent: as in the checkpoint
  std::int64_t reinit_layers = 0;
  ScratchSection config;
  VocabularySection vocabulary;

  bool from_scratch() const { return init.text == "scratch"; }
};
template <class V>
void visit_options(V& v, ModelSection& o) {
  v.field("init", o.init, "Hugging Face folder, run folder, or \"scratch\"");
  v.field("max_length", o.max_length, "tokens of a sequence, special ones included", at_least(3));
  v.field("dtype", o.dtype, "number type of the encoder's products and activations");
  v.field("hidden_dropout", o.hidden_dropout, "dropout rate in the encoder; default: the checkpoint's", from_to_below(0, 1));
  v.field("attention_dropout", o.attention_dropout, "dropout rate on attention probabilities; default: the checkpoint's",
          from_to_below(0, 1));
  v.field("reinit_layers", o.reinit_layers,
          "so many of the highest layers, and the pooler, start anew, as BERT's did (Zhang et al. 2021, arXiv:2006.05987); 0 = none",
          at_least(0));
  v.field("config", o.config, "sizes, from scratch");
  v.field("vocabulary", o.vocabulary, "from scratch");
}

struct DataSection {
  PathOption root;
  std::uint64_t split_seed = SplitDraw().seed;
  int folds = 0, fold = 0;

  SplitDraw draw() const { return {split_seed, folds, fold}; }
};
template <class V>
void visit_options(V& v, DataSection& o) {
  v.field("root", o.root, "joined before relative data paths");
  v.field("split_seed", o.split_seed, "draws dev and test fractions, folds and limits; run.seed does not change them");
  v.field("folds", o.folds, "cross-validation: cut train into so many parts, one of which is the test split; 0 = off", at_least(0));
  v.field("fold", o.fold, "the part that is the test split, from 0", at_least(0));
}

/// How masked-LM training reads a pair: each text as a sequence of its own, as the paper does, or both as [CLS] a [SEP] b [SEP].
enum class MlmPairs : std::uint8_t { kSingle, kJoined };
constexpr std::array<OptionName<MlmPairs>, 2> option_names(MlmPairs) {
  return {{{MlmPairs::kSingle, "single"}, {MlmPairs::kJoined, "joined"}}};
}

/// linear: one new layer (paper eq. 7). tied: BERT's own transform with the word embeddings as its output layer, taken from the checkpoint
/// if it has one, else new. pretrained: tied, and a checkpoint without such a head is an error.
enum class MlmHeadChoice : std::uint8_t { kLinear, kTied, kPretrained };
constexpr std::array<OptionName<MlmHeadChoice>, 3> option_names(MlmHeadChoice) {
  return {{{MlmHeadChoice::kLinear, "linear"}, {MlmHeadChoice::kTied, "tied"}, {MlmHeadChoice::kPretrained, "pretrained"}}};
}

/// The name of masked-LM training where records and files name a task; no task may be called so.
inline constexpr std::string_view kMlmName = "mlm";
/// The name of contrastive training where records and files name a task; no task may be called so.
inline constexpr std::string_view kContrastiveName = "contrastive";

/// Texts of a task, as "sst.train" names them.
struct TaskSplit {
  std::string task;
  Split split = Split::kTrain;
};
/// Parses NAME.train, NAME.dev or NAME.test. Nothing for any other text, which is then a path.
std::optional<TaskSplit> parse_task_split(std::string_view text);

/// [stage.mlm]: masked-LM further pretraining (paper 3.4).
struct MlmSection {
  std::vector<PathOption> texts = {}, probes = {};
  MlmPairs pairs = MlmPairs::kSingle;
  double mask = 0.15;
  MlmHeadChoice head = MlmHeadChoice::kLinear;
  std::optional<float> dropout = {};
  double held_out = 0.02;

  MlmHeadKind kind() const { return head == MlmHeadChoice::kLinear ? MlmHeadKind::kLinear : MlmHeadKind::kTied; }
  /// Dropout before the head. Default: the paper's 0.3 for the linear head; none for BERT's own.
  float dropout_rate() const { return dropout.value_or(head == MlmHeadChoice::kLinear ? 0.3f : 0.0f); }
};
template <class V>
void visit_options(V& v, MlmSection& o) {
  v.field("texts", o.texts, "what to train on: \"TASK.train\", or files with a text a line");
  v.field("probes", o.probes, "texts to measure only: as in texts, or \"TASK.dev\" or \"TASK.test\"");
  v.field("pairs", o.pairs, "single (each text of a pair on its own) or joined ([CLS] a [SEP] b [SEP])");
  v.field("mask", o.mask, "share of the tokens to be predicted", Range{.low = 0, .high = 1, .low_open = true});
  v.field("head", o.head, "linear (new), tied (to the word embeddings; the checkpoint's or new), or pretrained (tied, the checkpoint's)");
  v.field("dropout", o.dropout, "before the head; default: 0.3 for linear, else 0", from_to_below(0, 1));
  v.field("held_out", o.held_out, "share of the rows of texts that is set aside to measure the loss on", from_to_below(0, 1));
}

/// [stage.distill]: finetuning on what trained models, the teachers, answer (Hinton et al. 2015, arXiv:1503.02531). Several are averaged.
struct DistillSection {
  std::vector<PathOption> teachers = {};  ///< names of stages stand as they are, paths are absolute
  double share = 0.5;
  std::map<std::string, std::vector<PathOption>> unlabelled = {};
};
template <class V>
void visit_options(V& v, DistillSection& o) {
  v.field("teachers", o.teachers,
          "run folders, or names of earlier stages (\"./NAME\" is a folder); the mean of what those say that know a task is its target");
  v.field("share", o.share, "what the teachers' answers count for in the loss; the labels count for the rest",
          Range{.low = 0, .high = 1, .low_open = true});
  v.field("unlabelled", o.unlabelled,
          "further texts by task, which the teachers alone label: \"TASK.train\" of texts of the same kind, or files with a text a line");
}

/// [stage.contrastive]: moves the vectors of texts that belong together closer than those of the batch's other texts. Two texts belong
/// together that stand in a row with a positive label (multiple-negatives ranking, Henderson et al. 2017, arXiv:1705.00652), or that have
/// the same label (Khosla et al. 2020, arXiv:2004.11362), and so do a text and itself under another dropout (SimCSE, Gao et al. 2021,
/// arXiv:2104.08821). A vector is the mean of a text's last hidden states.
struct ContrastiveSection {
  std::vector<PathOption> texts = {};
  bool labels = true;
  std::string positive;
  double temperature = 0.05;
  std::vector<std::int64_t> widths = {};
};
template <class V>
void visit_options(V& v, ContrastiveSection& o) {
  v.field("texts", o.texts, "what to train on: \"TASK.train\", or files with a text a line");
  v.field("labels", o.labels, "whether a task's labels say which texts belong together; false: each text belongs to itself alone (SimCSE)");
  v.field("positive", o.positive, "label of the pairs that belong together; default: 1; of numbers the top fifth");
  v.field("temperature", o.temperature, "cosines are divided by it", above(0));
  v.field("widths", o.widths, "also train the first so many numbers of each vector, for shorter vectors (Matryoshka, arXiv:2205.13147)",
          at_least(1));
}

/// The linear layers of an encoder layer, as Hugging Face's BertLayer names them.
enum class LoraTarget : std::uint8_t { kQuery, kKey, kValue, kAttentionOutput, kIntermediate, kOutput };
constexpr std::array<OptionName<LoraTarget>, 6> option_names(LoraTarget) {
  return {{{LoraTarget::kQuery, "query"},
           {LoraTarget::kKey, "key"},
           {LoraTarget::kValue, "value"},
           {LoraTarget::kAttentionOutput, "attention.output"},
           {LoraTarget::kIntermediate, "intermediate"},
           {LoraTarget::kOutput, "output"}}};
}

/// [stage.lora]: see LowRank.
struct LoraSection {
  std::int64_t rank = 8;
  double alpha = 16;
  std::vector<LoraTarget> targets = {LoraTarget::kQuery, LoraTarget::kValue};
};
template <class V>
void visit_options(V& v, LoraSection& o) {
  v.field("rank", o.rank, "rows of A and columns of B", between(1, 4096));
  v.field("alpha", o.alpha, "what is added to a weight is alpha/rank B A", above(0));
  v.field("targets", o.targets, "linear layers of each encoder layer: query, key, value, attention.output, intermediate, output");
}

/// One [[stage]]: stages run in order, each with a fresh optimizer.
struct StageSpec {
  std::string name;  ///< default: its index
  StageKind kind = StageKind::kFinetune;
  /// previous (its best) | init | last | a stage's name | names of several stages
  std::variant<std::string, std::vector<std::string>> from = std::string("previous");
  std::vector<std::string> tasks;  ///< default: all, in the order of the file
  bool cache_features = true;
  Sampler sampler = Sampler::kSequential;
  int epochs = 10;
  std::int64_t max_steps = 0;
  double max_minutes = 0;
  std::int64_t batch = 8;
  std::int64_t accumulate = 1;
  double lr = 1e-5;
  std::optional<double> head_lr;
  double layer_decay = 1;
  std::int64_t freeze_layers = 0;
  AdamWForm optimizer = AdamWForm::kPaper;
  ScheduleKind schedule = ScheduleKind::kConstant;
  double warmup_ratio = 0;
  std::optional<std::int64_t> warmup_steps;
  double weight_decay = 0;
  bool decay_bias_and_norm = false;
  std::array<double, 2> betas = {0.9, 0.999};
  double eps = 1e-6;
  double clip = 0;
  bool shuffle = true;
  Selection select = Selection::kMean;
  Ties ties = Ties::kFirst;
  std::int64_t early_stop_patience = 0;
  std::int64_t log_every = 50;
  std::variant<std::int64_t, std::string> checkpoint_every = std::string("epoch");
  std::variant<std::int64_t, std::string> eval_train = std::string("last");
  std::optional<MlmSection> mlm;                  ///< set in mlm stages only
  std::optional<DistillSection> distill;          ///< set in distill stages only
  std::optional<ContrastiveSection> contrastive;  ///< set in contrastive stages only
  std::optional<LoraSection> lora;                ///< not in heads stages

  /// Whether the stage trains heads of tasks.
  bool has_tasks() const { return kind != StageKind::kMlm && kind != StageKind::kContrastive; }
  /// Whether the stage trains the head of the task of this name.
  bool trains(std::string_view task) const { return std::ranges::find(tasks, task) != tasks.end(); }
  /// Whether the weights of model.init are the start, or a part of it.
  bool starts_from_init() const { return std::ranges::find(sources(), "init") != sources().end(); }
  /// The learning rate that records show: the heads' where the encoder is frozen.
  double shown_lr() const { return kind == StageKind::kHeads ? head_lr.value_or(lr) : lr; }
  /// The names in `from`. Of several stages the mean of their weights is the start.
  std::span<const std::string> sources() const {
    const auto* names = std::get_if<std::vector<std::string>>(&from);
    return names != nullptr ? std::span(*names) : std::span(&std::get<std::string>(from), 1);
  }
};

/// Calls fn(text) for each entry of a stage that names texts: "TASK.train", or a file.
template <class Stage, class Fn>
void for_each_text(Stage& stage, const Fn& fn) {
  if (stage.mlm)
    for (auto* list : {&stage.mlm->texts, &stage.mlm->probes})
      for (auto& text : *list) fn(text);
  if (stage.contrastive)
    for (auto& text : stage.contrastive->texts) fn(text);
  if (stage.distill)
    for (auto& [task, texts] : stage.distill->unlabelled)
      for (auto& text : texts) fn(text);
}
template <class V>
void visit_options(V& v, StageSpec& o) {
  v.field("name", o.name, "default: its index");
  v.field(
      "kind", o.kind,
      "finetune, heads (frozen encoder), mlm (masked-LM pretraining), distill (finetune on teachers' answers), or contrastive (vectors of "
      "texts that belong together)");
  v.field("from", o.from,
          "previous (its best) | init | last | a stage's name | a list of names: the mean of their best weights (model soup, Wortsman et "
          "al. 2022, arXiv:2203.05482), in which a name may stand twice");
  v.field("tasks", o.tasks, "default: all; sequential trains them in this order; not for mlm and contrastive stages");
  v.field("cache_features", o.cache_features, "heads: encode every text once, without dropout");
  v.field("sampler", o.sampler, "which task, or in a contrastive stage which texts, each step trains; mlm mixes its texts");
  v.field("epochs", o.epochs, "passes over the data", at_least(0));
  v.field("max_steps", o.max_steps, "stop after this many optimizer steps; 0 = no limit", at_least(0));
  v.field("max_minutes", o.max_minutes, "stop after so many minutes of training steps, by the clock; 0 = no limit", at_least(0));
  v.field("batch", o.batch, "rows in a micro-step", between(1, 1 << 24));
  v.field("accumulate", o.accumulate, "micro-steps in an optimizer step", between(1, 4095));
  v.field("lr", o.lr, "learning rate of the encoder", at_least(0));
  v.field("head_lr", o.head_lr, "learning rate of the heads; default: lr", at_least(0));
  v.field("layer_decay", o.layer_decay, "rate of an encoder layer as a factor of that of the layer above it; the embeddings come last",
          Range{.low = 0, .high = 1, .low_open = true});
  v.field("freeze_layers", o.freeze_layers, "the embeddings and so many of the lowest layers stay as they are; 0 = all train", at_least(0));
  v.field("optimizer", o.optimizer, "adamw_paper, or adamw (torch's: decay first, eps after bias correction)");
  v.field("schedule", o.schedule, "how rates change over the stage's planned steps");
  v.field("warmup_ratio", o.warmup_ratio, "share of the planned steps that warm up", between(0, 1));
  v.field("warmup_steps", o.warmup_steps, "number of warm-up steps; overrides warmup_ratio", at_least(0));
  v.field("weight_decay", o.weight_decay, "decoupled weight decay of AdamW", at_least(0));
  v.field("decay_bias_and_norm", o.decay_bias_and_norm, "decay biases and LayerNorm too");
  v.field("betas", o.betas, "decay rates of AdamW's two moments", from_to_below(0, 1));
  v.field("eps", o.eps, "added to AdamW's denominator", above(0));
  v.field("clip", o.clip, "largest global norm of the gradient; 0 = off", at_least(0));
  v.field("shuffle", o.shuffle, "false: rows in file order");
  v.field("select", o.select, "mean of the dev scores | last | per_task (heads stages)");
  v.field("ties", o.ties, "which of equally good epochs is kept; last suits a dev split of few rows");
  v.field("early_stop_patience", o.early_stop_patience, "epochs without a better score before the stage ends; 0 = off", at_least(0));
  v.field("log_every", o.log_every, "steps between two lines of the log", at_least(1));
  v.field("checkpoint_every", o.checkpoint_every, "\"epoch\", or the steps from one checkpoint to the next", at_least(1));
  v.field("eval_train", o.eval_train,
          "rows of train that are scored after each epoch: a number, \"all\", or \"last\" (1000, after the last epoch alone)", at_least(0));
  v.field("mlm", o.mlm, "settings of an mlm stage");
  v.field("distill", o.distill, "settings of a distill stage");
  v.field("contrastive", o.contrastive, "settings of a contrastive stage");
  v.field("lora", o.lora,
          "instead of the encoder train matrices of low rank beside its weights (Hu et al. 2021, arXiv:2106.09685); the model that is kept "
          "has their sums");
}

struct RunConfig {
  std::int64_t format = 1;
  RunSection run;
  ModelSection model;
  DataSection data;
  std::vector<TaskSpec> tasks;
  std::vector<StageSpec> stages;

  /// Whether some stage trains the task, so that it has a head and is evaluated. Other tasks only lend their texts to stages.
  bool has_head(const TaskSpec& task) const;
  /// Names of the tasks that have a head, in the order of the file: a name's place is the index of its head.
  std::vector<std::string> heads() const;
  /// The index of the stage of this name; nothing if there is none.
  std::optional<std::size_t> find_stage(std::string_view name) const;
  /// The same where there must be one.
  std::size_t stage_index(std::string_view name) const;
  /// The kind of MLM head, which all mlm stages share; kNone without such stages.
  MlmHeadKind mlm_head() const;
};
template <class V>
void visit_options(V& v, RunConfig& o) {
  v.field("format", o.format, "version of this file's format", between(1, 1));
  v.field("run", o.run, "");
  v.field("model", o.model, "");
  v.field("data", o.data, "");
  v.field("task", o.tasks, "");
  v.field("stage", o.stages, "");
}

/// Reads a configuration, fills in defaults (stage names and tasks; head_lr stays absent) and makes paths absolute. Checks that names are
/// unique, that every named task and stage exists, and that keys fit together. Labels stay as written. Throws Error(kUsage) with file,
/// line and key.
RunConfig load_run_config(const ConfigTree& tree);

}  // namespace minbert
