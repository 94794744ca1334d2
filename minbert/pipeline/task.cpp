// Derives losses and shapes from a spec, checks it, and converts it to and from TOML and JSON.
#include "minbert/pipeline/task.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>
#include <set>

#include "minbert/base/nearest.h"
#include "minbert/base/number.h"
#include "minbert/data/phase_seconds.h"
#include "minbert/data/text.h"

namespace minbert {
namespace {

std::optional<DenseWidth> parse_width(std::string_view text) {
  if (text == "H") return DenseWidth{};
  if (!text.ends_with('H')) return std::nullopt;
  const auto multiple = number_from<std::int64_t>(text.substr(0, text.size() - 1));
  if (!multiple || *multiple < 1 || *multiple > DenseWidth::kMostMultiple) return std::nullopt;
  return DenseWidth{.fixed = 0, .multiple = *multiple};
}

bool is_two_classes(const TaskSpec& task) { return task.answers() == Answers::kClasses && task.labels.count == 2; }

Features features_of(const TaskSpec& task) {
  if (!task.is_separate()) return Features::kSingle;
  if (task.head.kind == HeadKind::kCosine) return Features::kCosine;
  switch (task.head.features) {
    case PairFeatures::kAuto: break;
    case PairFeatures::kConcat: return Features::kPair;
    case PairFeatures::kDifference: return Features::kPairDifference;
    case PairFeatures::kComparison: return Features::kPairComparison;
  }
  return task.is_regression() ? Features::kPairDifference : Features::kPair;
}

Json labels_json(const TaskLabels& labels) {
  if (labels.kind == TaskLabels::Kind::kRange) return nullptr;
  if (labels.kind == TaskLabels::Kind::kNames) return labels.names;
  MINBERT_CHECK(labels.kind == TaskLabels::Kind::kCount, "labels are not resolved");
  return labels.count;
}

TaskLabels parse_labels(const JsonNode& node) {
  const Json& json = node.json();
  if (json.is_null()) return TaskLabels::range();
  if (json.is_number()) return TaskLabels::classes(node.as_whole(2, TaskLabels::kMostClasses));
  if (!json.is_array() || json.size() < 2) node.fail("a count, a list of at least two names, or null");
  std::vector<std::string> names;
  for (const JsonNode& name : node.items()) names.push_back(name.as_text());
  return TaskLabels::named(std::move(names));
}

std::array<double, 2> parse_range(const JsonNode& node) {
  const auto ends = node.items();
  if (ends.size() != 2) node.fail("a list of two numbers");
  return {ends[0].as_number(), ends[1].as_number()};
}

Json head_json(const HeadSpec& head) {
  Json dense = Json::array();
  for (const DenseWidth& width : head.dense) {
    if (width.fixed > 0)
      dense.push_back(width.fixed);
    else
      dense.push_back(width.text());
  }
  Json json = {{"dense", dense}, {"dropout", as_written(head.dropout)}, {"kind", option_name(head.kind)}, {"init", option_name(head.init)}};
  if (head.features != PairFeatures::kAuto) json["features"] = option_name(head.features);
  return json;
}

HeadSpec parse_head(const JsonNode& json) {
  HeadSpec head;
  head.dense.clear();
  for (const JsonNode& width : json.at("dense").items()) {
    const bool is_text = width.json().is_string();
    const auto parsed = is_text ? parse_width(width.as_text()) : std::nullopt;
    if (is_text && !parsed) width.fail("a width: a number, \"H\" or a multiple such as \"4H\"");
    head.dense.push_back(parsed ? *parsed : DenseWidth{.fixed = width.as_whole<std::int64_t>(1, DenseWidth::kMost), .multiple = 1});
  }
  head.dropout = static_cast<float>(json.at("dropout").as_number(0, std::nextafter(1.0f, 0.0f)));
  head.kind = json.at("kind").as_choice<HeadKind>();
  // Before this key existed, heads started from normal values.
  const auto init = json.find("init");
  head.init = init ? init->as_choice<HeadInit>() : HeadInit::kNormal;
  if (const auto features = json.find("features")) head.features = features->as_choice<PairFeatures>();
  return head;
}

/// Reads what turns logits into answers.
void read_decoding(const JsonNode& json, TaskSpec& task) {
  if (const auto thresholds = json.find("thresholds")) {
    for (const JsonNode& threshold : thresholds->items()) task.thresholds.push_back(threshold.as_number());
    if (!task.is_multi_label() || std::ssize(task.thresholds) != task.labels.count)
      thresholds->fail("one number for each label of multi_label");
  }
  if (const auto temperature = json.find("temperature")) {
    task.temperature = temperature->as_number();
    if (!(task.temperature > 0)) temperature->fail("a number above 0");
  }
}

}  // namespace

std::string DenseWidth::text() const {
  if (fixed > 0) return std::to_string(fixed);
  return multiple == 1 ? "H" : fmt::format("{}H", multiple);
}

Loss TaskSpec::trained_by() const {
  switch (loss) {
    case LossName::kCrossEntropy: return Loss::kCrossEntropy;
    case LossName::kBce: return Loss::kBce;
    case LossName::kMse: return Loss::kMse;
    case LossName::kPearson: return Loss::kPearson;
    case LossName::kCosent: return Loss::kCosent;
    case LossName::kDefault: break;
  }
  if (is_regression()) return Loss::kMse;
  return is_multi_label() || is_two_classes(*this) ? Loss::kBce : Loss::kCrossEntropy;
}

std::int64_t TaskSpec::outputs() const {
  MINBERT_CHECK(labels.kind != TaskLabels::Kind::kAuto, "labels of {} are not resolved", name);
  return trained_by() == Loss::kCrossEntropy || is_multi_label() ? labels.count : 1;
}

Metric TaskSpec::scored_by() const {
  switch (answers()) {
    case Answers::kValues: return metric.value_or(Metric::kPearson);
    case Answers::kSets: return metric.value_or(Metric::kMicroF1);
    default: return metric.value_or(Metric::kAccuracy);
  }
}

void TaskSpec::resolve_class_weights(std::span<const Row> train) {
  class_factors.clear();
  if (class_weights.kind == ClassWeights::Kind::kNone) return;
  class_factors.assign(static_cast<std::size_t>(labels.count), 1.0);
  const std::vector<std::string> names = labels.class_names();
  for (const auto& [label, factor] : class_weights.by_label) {
    const auto at = std::ranges::find(names, label);
    if (at == names.end())
      throw Error(ErrorTag::kUsage, fmt::format("task.{}.class_weights", name), fmt::format("unknown label \"{}\"", label),
                  suggest(label, names));
    class_factors[static_cast<std::size_t>(at - names.begin())] = factor;
  }
  if (class_weights.kind == ClassWeights::Kind::kTable) return;
  std::vector<double> counts(class_factors.size());
  for (const Row& row : train)
    for (const int k : labels.sets ? classes_of(row.label) : std::vector<int>{static_cast<int>(row.label)})
      ++counts[static_cast<std::size_t>(k)];
  const auto rows = static_cast<double>(train.size()),
             present = static_cast<double>(std::ranges::count_if(counts, [](double n) { return n > 0; }));
  for (std::size_t k = 0; k < counts.size(); ++k)
    if (counts[k] > 0) class_factors[k] = labels.sets ? std::max(rows - counts[k], 1.0) / counts[k] : rows / (present * counts[k]);
}

std::string TaskSpec::label_text(double label) const {
  if (label != label) return "";
  if (is_regression()) return fmt::format("{}", label);
  if (!labels.sets) return labels.class_name(static_cast<int>(label));
  Json names = Json::array();
  for (const int k : classes_of(label)) names.push_back(labels.class_name(k));
  return dump_json(names);
}

HeadShape TaskSpec::head_shape(std::int64_t hidden) const {
  HeadShape shape;
  shape.task = name;
  shape.pool = pool;
  shape.features = features_of(*this);
  shape.dropout = head.dropout;
  if (head.kind == HeadKind::kDense)
    for (const DenseWidth& width : head.dense) shape.dense.push_back(width.resolve(hidden));
  shape.outputs = outputs();
  // The cosine is the prediction itself: no parameters.
  if (shape.features == Features::kCosine && predicts_numbers(trained_by())) shape.outputs = 0;
  shape.low = data.label_range[0];
  shape.high = data.label_range[1];
  shape.init = head.init;
  return shape;
}

bool is_plain_name(std::string_view name) {
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), plain);
}

TaskSpec TaskSpec::read_once() const {
  TaskSpec task = *this;
  task.windows = Windows::kNone;
  task.symmetric = false;
  return task;
}

void TaskSpec::validate_range(const Refuse& refuse) const {
  if (std::isfinite(data.label_range[0]) != std::isfinite(data.label_range[1]))
    refuse("data.label_range", "expected two numbers, or [-inf, inf] for any number");
  if (!data.takes_any_number()) return;
  if (loss == LossName::kBce) refuse("loss", "bce needs a label_range to scale to");
  if (head.kind == HeadKind::kCosine) refuse("head.kind", "cosine needs a label_range to scale to");
  if (data.label_from[0] != data.label_from[1]) refuse("data.label_from", "expected a label_range to rescale to");
}

void TaskSpec::validate(const Refuse& refuse) const {
  if (!is_plain_name(name)) refuse("name", fmt::format("expected letters, digits, - and _, got \"{}\"", name));
  // Columns of results.csv (docs/study_folder.md), and of compare --scores.
  std::vector<std::string> columns = {"row", "run", "seed", "seeds", "state", "mean", "seconds", "epoch", "best_epoch"};
  std::ranges::move(wall_columns(), std::back_inserter(columns));
  if (std::ranges::find(columns, name) != columns.end())
    refuse("name", fmt::format("expected another name, as tables of results have a column \"{}\"", name));
  if (!is_pair() && encode == PairEncoding::kJoint) refuse("encode", fmt::format("joint is for pairs, \"{}\" has one text", name));
  if (symmetric && (!is_pair() || encode != PairEncoding::kJoint))
    refuse("symmetric", fmt::format("is for pairs with encode = \"joint\", \"{}\" is none", name));
  if (is_pair() && windows != Windows::kNone) refuse("windows", fmt::format("windows are for single texts, \"{}\" has pairs", name));
  if (head.kind == HeadKind::kCosine && !is_separate()) refuse("head.kind", "cosine needs a pair that is encoded separately");
  constexpr std::size_t kMostLayers = 64;
  if (head.dense.size() > kMostLayers)
    refuse("head.dense", fmt::format("expected at most {} layers, got {}", kMostLayers, head.dense.size()));
  const bool binary = is_two_classes(*this) || labels.kind == TaskLabels::Kind::kAuto;
  if (is_regression() && loss == LossName::kCrossEntropy) refuse("loss", "cross_entropy is for classes");
  if (!is_regression() && predicts_numbers(trained_by())) refuse("loss", fmt::format("{} is for numbers", option_name(loss)));
  if (compares_rows(trained_by()) && head.kind != HeadKind::kCosine)
    refuse("loss", fmt::format("{} leaves the scale of numbers free, so it is for head.kind = \"cosine\"", option_name(loss)));
  if (ordinal > 0 && (answers() != Answers::kClasses || trained_by() != Loss::kCrossEntropy))
    refuse("ordinal", fmt::format("expected three classes or more, or loss = \"cross_entropy\"; {} has {}", name,
                                  answers() == Answers::kClasses ? "two" : "none"));
  if (ordinal > 0 && label_smoothing > 0) refuse("ordinal", "shares out a row's weight already, label_smoothing would too");
  if (answers() == Answers::kClasses && loss == LossName::kBce && !binary)
    refuse("loss", fmt::format("bce is for two classes, got {}", labels.count));
  if (head.kind == HeadKind::kCosine && !is_regression() && !binary) refuse("head.kind", "cosine tells two classes apart, not more");
  if (is_multi_label() && loss == LossName::kCrossEntropy) refuse("loss", "multi_label is trained by bce, one sigmoid for each label");
  if (!metric_fits(scored_by(), answers())) {
    std::vector<std::string_view> fitting;
    for (const auto& row : option_names(Metric{}))
      if (metric_fits(row.value, answers())) fitting.push_back(row.name);
    refuse("metric",
           fmt::format("{} does not fit {}, expected one of {}", option_name(scored_by()), option_name(type), fmt::join(fitting, ", ")));
  }
  if (!is_regression() && scored_by() == Metric::kF1 && !binary) refuse("metric", "f1 is for two classes, macro_f1 for more");
  if (is_regression() && class_weights.kind != ClassWeights::Kind::kNone) refuse("class_weights", "numbers have no classes");
  if (is_regression() && label_smoothing != 0) refuse("label_smoothing", "numbers have no classes");
  if (is_regression() && calibrate) refuse("calibrate", "numbers have no probabilities");
  if (!is_multi_label() && !data.label_columns.empty())
    refuse("data.label_columns", fmt::format("is for type multi_label, this one is {}", option_name(type)));
  if (!data.label_columns.empty() && labels.kind != TaskLabels::Kind::kAuto &&
      !std::ranges::is_permutation(labels.names, data.label_columns))
    refuse("labels", fmt::format("expected \"auto\" or the names of data.label_columns, {}", fmt::join(data.label_columns, ", ")));
  if (is_regression() && !(data.label_range[0] < data.label_range[1])) refuse("data.label_range", "expected the lower end first");
  std::set<std::string_view> seen;
  for (const std::string& label : labels.names) {
    if (label.empty() || strip(label).size() != label.size())
      refuse("labels", fmt::format("expected names without blanks around them, got \"{}\"", label));
    if (!seen.insert(label).second) refuse("labels", fmt::format("the name \"{}\" stands there twice", label));
  }
  if (is_regression()) validate_range(refuse);
}

void OptionType<DenseWidth>::read(const TomlNode& node, DenseWidth& width) {
  if (node.is<std::int64_t>() && node.as_int() > 0 && node.as_int() <= DenseWidth::kMost) {
    width = {.fixed = node.as_int(), .multiple = 1};
    return;
  }
  const auto parsed = node.is<std::string>() ? parse_width(node.as_string()) : std::nullopt;
  if (!parsed) node.fail("a width: a number above 0, \"H\" or a multiple such as \"4H\"");
  width = *parsed;
}

TomlValue OptionType<DenseWidth>::write(const DenseWidth& width) {
  if (width.fixed > 0) return width.fixed;
  return width.text();
}

TomlValue OptionType<DenseWidth>::schema() {
  TomlTable schema;
  schema.set("type", TomlArray{"integer", "string"});
  return schema;
}

void OptionType<ClassWeights>::read(const TomlNode& node, ClassWeights& weights) {
  weights = {};
  if (node.is<TomlTable>()) {
    weights.kind = ClassWeights::Kind::kTable;
    OptionType<std::map<std::string, double>>::read(node, weights.by_label);
    for (const auto& [label, weight] : weights.by_label)
      if (!(weight > 0)) node.fail("weights above 0");
  } else if (node.is<std::string>() && node.as_string() == "balanced") {
    weights.kind = ClassWeights::Kind::kBalanced;
  } else if (!node.is<std::string>() || node.as_string() != "none") {
    node.fail("\"none\", \"balanced\", or a table from label to weight");
  }
}

TomlValue OptionType<ClassWeights>::write(const ClassWeights& weights) {
  if (weights.kind == ClassWeights::Kind::kTable) return OptionType<std::map<std::string, double>>::write(weights.by_label);
  return weights.kind == ClassWeights::Kind::kBalanced ? "balanced" : "none";
}

TomlValue OptionType<ClassWeights>::schema() {
  TomlTable names, schema;
  names.set("enum", TomlArray{"none", "balanced"});
  schema.set("anyOf", TomlArray{std::move(names), OptionType<std::map<std::string, double>>::schema()});
  return schema;
}

void OptionType<TaskLabels>::read(const TomlNode& node, TaskLabels& labels) {
  if (node.is<std::string>() && node.as_string() == "auto") {
    labels = TaskLabels::from_train();
  } else if (node.is<std::int64_t>() && node.as_int() >= 2 && node.as_int() <= TaskLabels::kMostClasses) {
    labels = TaskLabels::classes(static_cast<int>(node.as_int()));
  } else if (node.is<TomlArray>() && node.items().size() >= 2) {
    std::vector<std::string> names;
    OptionType<std::vector<std::string>>::read(node, names);
    labels = TaskLabels::named(std::move(names));
  } else {
    node.fail("a count of at least 2, a list of at least two names, or \"auto\"");
  }
}

TomlValue OptionType<TaskLabels>::write(const TaskLabels& labels) {
  if (labels.kind == TaskLabels::Kind::kCount) return labels.count;
  if (labels.kind == TaskLabels::Kind::kNames) return OptionType<std::vector<std::string>>::write(labels.names);
  return "auto";
}

TomlValue OptionType<TaskLabels>::schema() {
  TomlTable schema;
  schema.set("type", TomlArray{"integer", "array", "string"});
  return schema;
}

Json task_json(const TaskSpec& task) {
  Json columns = Json::object();
  for (const auto& [key, column] :
       {std::pair("text", &task.data.text), {"text_pair", &task.data.text_pair}, {"label", &task.data.label}, {"id", &task.data.id}})
    if (!column->empty()) columns[key] = *column;
  Json json = {{"name", task.name}, {"type", option_name(task.type)}, {"labels", labels_json(task.labels)}};
  if (task.is_regression()) json["label_range"] = task.data.takes_any_number() ? Json() : Json(task.data.label_range);
  json.update({{"encode", option_name(task.encode)},
               {"pool", option_name(task.pool)},
               {"head", head_json(task.head)},
               {"loss", option_name(task.loss)},
               {"metric", option_name(task.scored_by())},
               {"columns", columns},
               {"preprocess", task.data.preprocess}});
  if (task.windows != Windows::kNone) json["windows"] = option_name(task.windows);
  if (task.symmetric) json["symmetric"] = true;
  if (!task.data.label_map.empty()) json["label_map"] = task.data.label_map;
  if (task.data.label_from[0] != task.data.label_from[1]) json["label_from"] = task.data.label_from;
  if (task.is_multi_label()) json["label_separator"] = task.data.label_separator;
  if (!task.data.label_columns.empty()) json["label_columns"] = task.data.label_columns;
  if (!task.thresholds.empty()) json["thresholds"] = task.thresholds;
  if (task.temperature != 1) json["temperature"] = task.temperature;
  return json;
}

TaskSpec parse_task(const JsonNode& json) {
  TaskSpec task;
  task.name = json.at("name").as_text();
  task.type = json.at("type").as_choice<TaskType>();
  task.labels = parse_labels(json.at("labels"));
  if ((task.labels.kind == TaskLabels::Kind::kRange) != task.is_regression())
    json.at("labels").complain(fmt::format("labels do not fit the type {}", option_name(task.type)));
  task.labels.sets = task.is_multi_label();
  if (task.is_regression()) {
    const JsonNode range = json.at("label_range");
    task.data.label_range = range.json().is_null() ? kAnyNumber : parse_range(range);
  }
  task.encode = json.at("encode").as_choice<PairEncoding>();
  task.pool = json.at("pool").as_choice<Pool>();
  task.head = parse_head(json.at("head"));
  task.loss = json.at("loss").as_choice<LossName>();
  task.metric = json.at("metric").as_choice<Metric>();
  if (const auto windows = json.find("windows")) task.windows = windows->as_choice<Windows>();
  if (const auto symmetric = json.find("symmetric")) task.symmetric = symmetric->as_flag();
  const JsonNode columns = json.at("columns");
  for (const auto& [key, column] :
       {std::pair("text", &task.data.text), {"text_pair", &task.data.text_pair}, {"label", &task.data.label}, {"id", &task.data.id}})
    if (const auto name = columns.find(key)) *column = name->as_text();
  task.data.preprocess = json.at("preprocess").as_text();
  if (task.data.preprocess != "none" && task.data.preprocess != "cs224n") json.at("preprocess").fail("none or cs224n");
  if (const auto map = json.find("label_map")) task.data.label_map = map->as_texts();
  if (const auto from = json.find("label_from")) task.data.label_from = parse_range(*from);
  if (const auto separator = json.find("label_separator")) task.data.label_separator = separator->as_text();
  if (const auto names = json.find("label_columns"))
    for (const JsonNode& name : names->items()) task.data.label_columns.push_back(name.as_text());
  read_decoding(json, task);
  task.validate([&](std::string_view key, const std::string& message) { json.complain(fmt::format("{}: {}", key, message)); });
  return task;
}

}  // namespace minbert
