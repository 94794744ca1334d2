// TaskSpec: one [[task]] of a config, from its data to its head; a model folder keeps it in minbert.json.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/json_node.h"
#include "minbert/base/options.h"
#include "minbert/data/data_spec.h"
#include "minbert/data/dataset.h"
#include "minbert/data/labels.h"
#include "minbert/model/loss.h"
#include "minbert/model/params.h"
#include "minbert/stats/metrics.h"

namespace minbert {

enum class TaskType : std::uint8_t { kClassify, kPairClassify, kPairRegress, kRegress, kMultiLabel };
constexpr std::array<OptionName<TaskType>, 5> option_names(TaskType) {
  return {{{TaskType::kClassify, "classify"},
           {TaskType::kPairClassify, "pair_classify"},
           {TaskType::kPairRegress, "pair_regress"},
           {TaskType::kRegress, "regress"},
           {TaskType::kMultiLabel, "multi_label"}}};
}

/// How a pair is encoded: as two sequences (bi-encoder), or as one, [CLS] a [SEP] b [SEP] (cross-encoder).
enum class PairEncoding : std::uint8_t { kSeparate, kJoint };
constexpr std::array<OptionName<PairEncoding>, 2> option_names(PairEncoding) {
  return {{{PairEncoding::kSeparate, "separate"}, {PairEncoding::kJoint, "joint"}}};
}

enum class HeadKind : std::uint8_t { kDense, kCosine };
constexpr std::array<OptionName<HeadKind>, 2> option_names(HeadKind) {
  return {{{HeadKind::kDense, "dense"}, {HeadKind::kCosine, "cosine"}}};
}

/// What a dense head reads of the vectors u and v of a pair encoded separately: [u; v] (paper eq. 2), [u; v; |u - v|] (eq. 3) or
/// [|u - v|; u v]. "auto" is the paper's choice: the first for classes, the second for numbers.
enum class PairFeatures : std::uint8_t { kAuto, kConcat, kDifference, kComparison };
constexpr std::array<OptionName<PairFeatures>, 4> option_names(PairFeatures) {
  return {{{PairFeatures::kAuto, "auto"},
           {PairFeatures::kConcat, "concat"},
           {PairFeatures::kDifference, "difference"},
           {PairFeatures::kComparison, "comparison"}}};
}

/// How texts longer than max_length are answered: by their beginning, or by overlapping windows over all of them, whose answers are
/// averaged or of which the largest count.
enum class Windows : std::uint8_t { kNone, kMean, kMax };
constexpr std::array<OptionName<Windows>, 3> option_names(Windows) {
  return {{{Windows::kNone, "none"}, {Windows::kMean, "mean"}, {Windows::kMax, "max"}}};
}

enum class LossName : std::uint8_t { kDefault, kCrossEntropy, kBce, kMse, kPearson, kCosent };
constexpr std::array<OptionName<LossName>, 6> option_names(LossName) {
  return {{{LossName::kDefault, "default"},
           {LossName::kCrossEntropy, "cross_entropy"},
           {LossName::kBce, "bce"},
           {LossName::kMse, "mse"},
           {LossName::kPearson, "pearson"},
           {LossName::kCosent, "cosent"}}};
}

/// Width of a dense layer: a number, 200, or a multiple of the hidden size, "H" or "4H".
struct DenseWidth {
  static constexpr std::int64_t kMost = 1 << 20, kMostMultiple = 1 << 8;  ///< far beyond any head, so that sizes cannot overflow
  std::int64_t fixed = 0;
  std::int64_t multiple = 1;

  std::int64_t resolve(std::int64_t hidden) const { return fixed > 0 ? fixed : multiple * hidden; }
  /// "H", "4H" or "200"
  std::string text() const;
  bool operator==(const DenseWidth&) const = default;
};

/// `head = { dense = ["H"], dropout = 0.3, kind = "dense", init = "torch" }`
struct HeadSpec {
  std::vector<DenseWidth> dense = {DenseWidth{}};
  float dropout = 0.3f;
  HeadKind kind = HeadKind::kDense;
  HeadInit init = HeadInit::kTorch;
  PairFeatures features = PairFeatures::kAuto;
};

template <class V>
void visit_options(V& v, HeadSpec& o) {
  v.field("dense", o.dense, "widths of hidden layers, numbers or multiples of hidden (\"H\", \"4H\"); [] = linear");
  v.field("dropout", o.dropout, "on each sentence vector", from_to_below(0, 1));
  v.field("kind", o.kind, "dense, or cosine of the two sentence vectors");
  v.field("features", o.features, "what the head reads of the vectors u and v of a pair encoded separately");
  v.field("init", o.init, "how new layers start: torch.nn.Linear's uniform weights and biases, or normal weights and zero biases");
}

/// How much rows of each class count in the loss.
struct ClassWeights {
  enum class Kind : std::uint8_t { kNone, kBalanced, kTable };
  Kind kind = Kind::kNone;
  std::map<std::string, double> by_label = {};  ///< kTable; a label that is not in it has 1
};

/// True for a name of letters, digits, - and _, which files and tensors can bear too.
bool is_plain_name(std::string_view name);

/// One task. minbert.json keeps the keys that give a row its meaning: columns, labels, label_range, label_map, label_from, preprocess.
struct TaskSpec {
  std::string name;
  TaskType type = TaskType::kClassify;
  TaskLabels labels;  ///< kAuto until resolved; kRange for the regress types
  PairEncoding encode = PairEncoding::kSeparate;
  Pool pool = Pool::kCls;
  HeadSpec head;
  LossName loss = LossName::kDefault;
  ClassWeights class_weights;
  double label_smoothing = 0;
  double ordinal = 0;
  bool calibrate = false;
  std::optional<Metric> metric;  ///< absent: accuracy, pearson for the regress types, micro_f1 for multi_label
  Windows windows = Windows::kNone;
  bool symmetric = false;
  double weight = 1;
  double r_drop = 0;
  std::optional<std::int64_t> batch;  ///< absent: the stage's
  DataSpec data;

  // What follows from train and dev and is no key of a config; minbert.json keeps the last two.
  std::vector<double> class_factors = {};  ///< class_weights by class; empty for "none"
  std::vector<double> thresholds = {};     ///< multi_label: a label's probability from which it is predicted; empty: .5
  double temperature = 1;                  ///< logits are divided by it

  bool is_pair() const { return type == TaskType::kPairClassify || type == TaskType::kPairRegress; }
  bool is_regression() const { return type == TaskType::kPairRegress || type == TaskType::kRegress; }
  /// True if a row has two sequences.
  bool is_separate() const { return is_pair() && encode == PairEncoding::kSeparate; }
  bool is_multi_label() const { return type == TaskType::kMultiLabel; }
  /// The task without windows and other orders of pairs: as training and explanations read a row.
  TaskSpec read_once() const;
  Answers answers() const { return is_regression() ? Answers::kValues : is_multi_label() ? Answers::kSets : Answers::kClasses; }
  Metric scored_by() const;
  /// The loss, with "default" resolved to cross-entropy, BCE for two classes, or MSE for numbers.
  Loss trained_by() const;
  /// Columns of logits: 1 for numbers and for two classes, else K. Labels must be resolved here and in what follows.
  std::int64_t outputs() const;
  HeadShape head_shape(std::int64_t hidden) const;
  /// Whether transformers' BertForSequenceClassification has such a head (classifier_head).
  bool fits_classifier() const { return pool == Pool::kPooler && head.dense.empty() && !is_separate(); }
  /// Sets class_factors. "balanced" gives class k of the K that occur rows / (K rows of k), and label k of multi_label, whose factor
  /// counts for rows that have it, rows without k / rows with k. Throws Error(kUsage) for an unknown label.
  void resolve_class_weights(std::span<const Row> train);
  /// Whether dev gave it a temperature or thresholds.
  bool decoding_is_fitted() const { return temperature != 1 || !thresholds.empty(); }
  /// A label as text: a class's name, a number, or a JSON list of names; empty for NaN.
  std::string label_text(double label) const;
  /// Checks for keys that do not go together, such as a cosine of single texts, BCE with three classes, or a label metric for numbers.
  /// Calls refuse(key, message), which must throw, at the first such key.
  using Refuse = std::function<void(std::string_view key, const std::string& message)>;
  void validate(const Refuse& refuse) const;

 private:
  void validate_range(const Refuse& refuse) const;
};

/// "none", "balanced", or a table from label to weight.
template <>
struct OptionType<ClassWeights> {
  static bool accepts(const TomlNode& node) { return node.is<std::string>() || node.is<TomlTable>(); }
  static void read(const TomlNode& node, ClassWeights& weights);
  static TomlValue write(const ClassWeights& weights);
  static std::string type() { return "\"none\" | \"balanced\" | table of number"; }
  static TomlValue schema();
};

template <>
struct OptionType<DenseWidth> {
  static bool accepts(const TomlNode& node) { return node.is<std::int64_t>() || node.is<std::string>(); }
  static void read(const TomlNode& node, DenseWidth& width);
  static TomlValue write(const DenseWidth& width);
  static std::string type() { return "whole number | \"H\" | \"4H\""; }
  static TomlValue schema();
};

/// A count, a list of names, or "auto".
template <>
struct OptionType<TaskLabels> {
  static bool accepts(const TomlNode&) { return true; }
  static void read(const TomlNode& node, TaskLabels& labels);
  static TomlValue write(const TaskLabels& labels);
  static std::string type() { return "count | list of names | \"auto\""; }
  static TomlValue schema();
};

template <class V>
void visit_options(V& v, TaskSpec& o) {
  v.field("name", o.name, "letters, digits, - and _; names the head");
  v.field("type", o.type, "what the labels are, and whether rows are pairs");
  v.field("labels", o.labels, "classes: their count or names; auto: from train, sorted");
  v.field("encode", o.encode, "pairs: separate (bi-encoder) or joint (cross-encoder)");
  v.field("pool", o.pool, "the vector that stands for a sequence");
  v.field("head", o.head, "layers on that vector");
  v.field("loss", o.loss,
          "default: cross_entropy, bce for two classes and for multi_label, mse for numbers; for cosines also pearson and cosent");
  v.field("class_weights", o.class_weights, "factors of the loss by label: none, balanced (by rarity in train), or { label = factor }");
  v.field("label_smoothing", o.label_smoothing, "share of a row's weight that goes to all classes alike", from_to_below(0, 1));
  v.field(
      "ordinal", o.ordinal,
      "classes have an order: a row's weight is shared out as exp(-ordinal * distance to its label), after Diaz and Marathe 2019; 0 = off",
      at_least(0));
  v.field("calibrate", o.calibrate,
          "fit a temperature on dev, by which predict divides logits, so that probabilities are right more often");
  v.field("metric", o.metric, "default: accuracy, pearson for numbers, micro_f1 for multi_label");
  v.field("windows", o.windows, "single texts longer than max_length: none (cut), or answers to overlapping windows by mean or max");
  v.field("symmetric", o.symmetric, "joint pairs of which neither text comes first: answer by the mean of both orders");
  v.field("weight", o.weight, "factor of the loss", at_least(0));
  v.field("r_drop", o.r_drop,
          "R-Drop: rows pass twice; loss = mean of both + this factor of their answers' disagreement (half the paper's alpha); 0 = off",
          at_least(0));
  v.field("batch", o.batch, "rows in a micro-step; default: the stage's", between(1, 1 << 24));
  v.field("data", o.data, "files and columns");
}

/// A task of minbert.json: {name, type, labels, label_range (null: any number), encode, pool, head, loss, metric, columns, preprocess}, and
/// windows, symmetric, label_map, label_from, label_separator, label_columns, thresholds and temperature if they are set, so that other
/// files with the same labels can be scored.
Json task_json(const TaskSpec& task);
/// Throws the node's Error naming the key.
TaskSpec parse_task(const JsonNode& json);

}  // namespace minbert
