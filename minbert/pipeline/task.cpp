// Derives losses and shapes from a spec, checks it, and converts it to and from TOML and JSON.
#include "minbert/pipeline/task.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>

#include "minbert/data/text.h"

namespace minbert {
namespace {

std::optional<DenseWidth> parse_width(std::string_view text) {
  if (text == "H") return DenseWidth{};
  if (!text.ends_with('H')) return std::nullopt;
  std::int64_t multiple = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), multiple);
  if (error != std::errc{} || end != text.data() + text.size() - 1 || multiple < 1) return std::nullopt;
  return DenseWidth{.fixed = 0, .multiple = multiple};
}

bool is_two_classes(const TaskSpec& task) { return !task.is_regression() && task.labels.count == 2; }

Features features_of(const TaskSpec& task) {
  if (!task.is_separate()) return Features::kSingle;
  if (task.head.kind == HeadKind::kCosine) return Features::kCosine;
  return task.is_regression() ? Features::kPairDifference : Features::kPair;
}

/// The value under `key`. Throws Error(kModel) naming a missing key.
const Json& member(const Json& json, const char* key, const std::string& place) {
  if (!json.is_object() || !json.contains(key)) throw Error(ErrorTag::kModel, place, fmt::format("expected the key \"{}\"", key));
  return json[key];
}

/// A member converted to T. Throws Error(kModel) at `place` if it has another type.
template <class T>
T get(const Json& json, const char* key, const std::string& place) {
  const Json& value = member(json, key, place);
  try {
    return value.get<T>();
  } catch (const Json::exception&) {
    throw Error(ErrorTag::kModel, place, fmt::format("key \"{}\": got {}", key, dump_json(value)));
  }
}

template <NamedEnum E>
E get_enum(const Json& json, const char* key, const std::string& place) {
  const auto name = get<std::string>(json, key, place);
  for (const auto& row : option_names(E{}))
    if (row.name == name) return row.value;
  throw Error(ErrorTag::kModel, place,
              fmt::format("key \"{}\": expected one of {}, got \"{}\"", key, fmt::join(OptionType<E>::names(), ", "), name));
}

Json labels_json(const TaskLabels& labels) {
  if (labels.kind == TaskLabels::Kind::kRange) return nullptr;
  if (labels.kind == TaskLabels::Kind::kNames) return labels.names;
  MINBERT_CHECK(labels.kind == TaskLabels::Kind::kCount, "labels are not resolved");
  return labels.count;
}

TaskLabels parse_labels(const Json& json, const std::string& place) {
  if (json.is_null()) return TaskLabels::range();
  if (json.is_number_integer() && json.get<std::int64_t>() >= 2 && json.get<std::int64_t>() <= INT32_MAX)
    return TaskLabels::classes(json.get<int>());
  if (json.is_array() && json.size() >= 2 && std::all_of(json.begin(), json.end(), [](const Json& name) { return name.is_string(); }))
    return TaskLabels::named(json.get<std::vector<std::string>>());
  throw Error(ErrorTag::kModel, place, fmt::format("key \"labels\": expected a count, a list of names or null, got {}", dump_json(json)));
}

Json head_json(const HeadSpec& head) {
  Json dense = Json::array();
  for (const DenseWidth& width : head.dense) {
    if (width.fixed > 0)
      dense.push_back(width.fixed);
    else
      dense.push_back(width.text());
  }
  return {{"dense", dense},
          {"dropout", std::stod(fmt::format("{}", head.dropout))},
          {"kind", option_name(head.kind)},
          {"init", option_name(head.init)}};
}

HeadSpec parse_head(const Json& json, const std::string& place) {
  HeadSpec head;
  head.dense.clear();
  for (const Json& width : member(json, "dense", place)) {
    const auto parsed = width.is_string() ? parse_width(width.get<std::string>()) : std::nullopt;
    if (parsed)
      head.dense.push_back(*parsed);
    else if (width.is_number_integer() && width.get<std::int64_t>() > 0)
      head.dense.push_back({.fixed = width.get<std::int64_t>(), .multiple = 1});
    else
      throw Error(ErrorTag::kModel, place, fmt::format("key \"dense\": expected a width, got {}", dump_json(width)));
  }
  head.dropout = get<float>(json, "dropout", place);
  head.kind = get_enum<HeadKind>(json, "kind", place);
  // Before this key existed, heads started from normal values.
  head.init = json.contains("init") ? get_enum<HeadInit>(json, "init", place) : HeadInit::kNormal;
  return head;
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
    case LossName::kDefault: break;
  }
  if (is_regression()) return Loss::kMse;
  return is_two_classes(*this) ? Loss::kBce : Loss::kCrossEntropy;
}

std::int64_t TaskSpec::outputs() const {
  MINBERT_CHECK(labels.kind != TaskLabels::Kind::kAuto, "labels of {} are not resolved", name);
  return trained_by() == Loss::kCrossEntropy ? labels.count : 1;
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
  if (shape.features == Features::kCosine && trained_by() == Loss::kMse) shape.outputs = 0;
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
  if (!is_pair() && encode == PairEncoding::kJoint) refuse("encode", fmt::format("joint is for pairs, \"{}\" has one text", name));
  if (head.kind == HeadKind::kCosine && !is_separate()) refuse("head.kind", "cosine needs a pair that is encoded separately");
  const bool binary = is_two_classes(*this) || labels.kind == TaskLabels::Kind::kAuto;
  if (is_regression() && loss == LossName::kCrossEntropy) refuse("loss", "cross_entropy is for classes");
  if (!is_regression() && loss == LossName::kMse) refuse("loss", "mse is for numbers");
  if (!is_regression() && loss == LossName::kBce && !binary) refuse("loss", fmt::format("bce is for two classes, got {}", labels.count));
  if (head.kind == HeadKind::kCosine && !is_regression() && !binary) refuse("head.kind", "cosine tells two classes apart, not more");
  if (is_regression() && is_label_metric(scored_by()))
    refuse("metric", fmt::format("{} is for classes, expected pearson or spearman", option_name(scored_by())));
  if (!is_regression() && scored_by() == Metric::kF1 && !binary) refuse("metric", "f1 is for two classes, macro_f1 for more");
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
  if (node.is<std::int64_t>() && node.as_int() > 0) {
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

void OptionType<TaskLabels>::read(const TomlNode& node, TaskLabels& labels) {
  if (node.is<std::string>() && node.as_string() == "auto") {
    labels = TaskLabels::from_train();
  } else if (node.is<std::int64_t>() && node.as_int() >= 2 && node.as_int() <= 1'000'000) {
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
  if (!task.data.label_map.empty()) json["label_map"] = task.data.label_map;
  if (task.data.label_from[0] != task.data.label_from[1]) json["label_from"] = task.data.label_from;
  return json;
}

TaskSpec parse_task(const Json& json, const std::string& place) {
  TaskSpec task;
  task.name = get<std::string>(json, "name", place);
  task.type = get_enum<TaskType>(json, "type", place);
  task.labels = parse_labels(member(json, "labels", place), place);
  if ((task.labels.kind == TaskLabels::Kind::kRange) != task.is_regression())
    throw Error(ErrorTag::kModel, place, fmt::format("task \"{}\": labels do not fit the type {}", task.name, option_name(task.type)));
  if (task.is_regression())
    task.data.label_range =
        member(json, "label_range", place).is_null() ? kAnyNumber : get<std::array<double, 2>>(json, "label_range", place);
  task.encode = get_enum<PairEncoding>(json, "encode", place);
  task.pool = get_enum<Pool>(json, "pool", place);
  task.head = parse_head(member(json, "head", place), place);
  task.loss = get_enum<LossName>(json, "loss", place);
  task.metric = get_enum<Metric>(json, "metric", place);
  const Json& columns = member(json, "columns", place);
  for (const auto& [key, column] :
       {std::pair("text", &task.data.text), {"text_pair", &task.data.text_pair}, {"label", &task.data.label}, {"id", &task.data.id}})
    if (columns.contains(key)) *column = get<std::string>(columns, key, place);
  task.data.preprocess = get<std::string>(json, "preprocess", place);
  if (json.contains("label_map")) task.data.label_map = get<std::map<std::string, std::string>>(json, "label_map", place);
  if (json.contains("label_from")) task.data.label_from = get<std::array<double, 2>>(json, "label_from", place);
  task.validate([&](std::string_view key, const std::string& message) {
    throw Error(ErrorTag::kModel, place, fmt::format("key \"{}\": {}", key, message));
  });
  return task;
}

}  // namespace minbert
