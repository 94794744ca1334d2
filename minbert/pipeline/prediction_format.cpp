// Headers and lines of each format.
#include "minbert/pipeline/prediction_format.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "minbert/base/json.h"
#include "minbert/base/unicode.h"
#include "minbert/data/fields.h"
#include "minbert/pipeline/explain.h"

namespace minbert {
namespace {

bool has_names(const TaskSpec& task) { return task.labels.kind == TaskLabels::Kind::kNames; }

std::string answer_text(const TaskSpec& task, const Prediction& prediction) {
  if (task.is_multi_label()) {  // as train files have it
    std::vector<std::string> labels;
    for (const int k : classes_of(prediction.value)) labels.push_back(task.labels.class_name(k));
    const std::string& separator = task.data.label_separator;
    const bool ambiguous = std::ranges::any_of(labels, [&](const std::string& label) { return label.find(separator) != label.npos; });
    return ambiguous ? dump_json(labels) : fmt::format("{}", fmt::join(labels, separator));
  }
  return task.is_regression() ? number_text(prediction.value) : task.labels.class_name(static_cast<int>(prediction.value));
}

/// The first rank of --top-k that has columns of its own: `pred` and `score` are the likeliest class, but of a set they are all its labels.
std::size_t first_rank(const TaskSpec& task) { return task.is_multi_label() ? 0 : 1; }

/// The `k` most probable classes, the first of equals first.
std::vector<std::size_t> best_classes(const Prediction& prediction, std::size_t k) {
  std::vector<std::size_t> order(prediction.probs.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return prediction.probs[a] > prediction.probs[b]; });
  order.resize(std::min(k, order.size()));
  return order;
}

std::string course_title(const TaskSpec& task) {  // the course's own column names, spelt as there
  if (task.is_regression()) return "Predicted_Similiary";
  return task.is_pair() ? "Predicted_Is_Paraphrase" : "Predicted_Sentiment";
}

}  // namespace

std::string number_text(double value) { return std::isfinite(value) ? fmt::format("{}", static_cast<float>(value)) : "null"; }

PredictionFormat::PredictionFormat(PredictionStyle style, std::vector<const TaskSpec*> tasks)
    : style_(std::move(style)), tasks_(std::move(tasks)) {
  if (style_.format == "cs224n" && (tasks_.size() > 1 || style_.top_k > 0 || style_.min_score || !style_.columns.empty()))
    throw Error(ErrorTag::kUsage, "--format", "cs224n holds an id and the prediction of one task, and nothing else");
  for (const TaskSpec* task : tasks_) {
    if (task->is_multi_label() && style_.format == "cs224n")
      throw Error(ErrorTag::kUsage, "--format",
                  fmt::format("task \"{}\" predicts sets of labels, which cs224n has no form for", task->name));
    if (task->is_regression() && (style_.min_score || style_.top_k > 0))
      throw Error(ErrorTag::kUsage, style_.min_score ? "--min-score" : "--top-k",
                  fmt::format("task \"{}\" predicts numbers, which have no score", task->name));
  }
  std::vector<std::string> names = {"tasks"};
  for (const TaskSpec* task : tasks_) {
    const auto own = column_names(*task);
    names.insert(names.end(), own.begin(), own.end());
  }
  for (const char* name : {"probs", "top", "explanation"}) names.emplace_back(name);
  for (const std::string& column : style_.columns)
    if (std::find(names.begin(), names.end(), column) != names.end())
      throw Error(ErrorTag::kUsage, "--keep-columns", fmt::format("the input has a column \"{}\" too", column),
                  "rename it, or leave --keep-columns out");
  std::vector<std::string> sorted = style_.columns;  // to find a name that stands twice
  std::ranges::sort(sorted);
  if (const auto twice = std::ranges::adjacent_find(sorted); style_.format == "jsonl" && twice != sorted.end())
    throw Error(ErrorTag::kUsage, "--keep-columns",
                fmt::format("the input has two columns \"{}\", of which a JSON object can have one", *twice),
                "rename one, or take --format csv");
}

std::vector<std::string> PredictionFormat::column_names(const TaskSpec& task) const {
  std::vector<std::string> names = {"pred", "score"};
  const auto classes = static_cast<std::size_t>(task.is_regression() ? 0 : task.labels.count);
  if (style_.top_k > 0)
    for (std::size_t i = first_rank(task); i < std::min(static_cast<std::size_t>(style_.top_k), classes); ++i)
      names.insert(names.end(), {fmt::format("{}_{}", task.is_multi_label() ? "top" : "pred", i + 1), fmt::format("score_{}", i + 1)});
  else if (style_.probs)
    for (std::size_t k = 0; k < classes; ++k) names.push_back("p_" + task.labels.class_name(static_cast<int>(k)));
  if (tasks_.size() > 1)
    for (std::string& name : names) name = fmt::format("{}.{}", task.name, name);
  return names;
}

std::vector<std::string> PredictionFormat::cells(const TaskSpec& task, const Prediction& prediction) const {
  std::vector<std::string> out = {is_empty(prediction) ? "" : answer_text(task, prediction),
                                  task.is_regression() ? "" : number_text(prediction.score())};
  if (style_.top_k > 0) {
    const auto best = best_classes(prediction, static_cast<std::size_t>(style_.top_k));
    for (std::size_t i = first_rank(task); i < best.size(); ++i)
      out.insert(out.end(), {task.labels.class_name(static_cast<int>(best[i])), number_text(prediction.probs[best[i]])});
  } else if (style_.probs) {
    for (const double p : prediction.probs) out.push_back(number_text(p));
  }
  return out;
}

std::string PredictionFormat::header() const {
  if (style_.format == "jsonl") return {};
  if (style_.format == "cs224n") return fmt::format("id \t {} \n", course_title(*tasks_.front()));
  std::vector<std::string> names = style_.columns.empty() ? std::vector<std::string>{"id"} : style_.columns;
  for (const TaskSpec* task : tasks_) {
    const auto own = column_names(*task);
    names.insert(names.end(), own.begin(), own.end());
  }
  return joined(std::move(names));
}

std::string PredictionFormat::line(const InputRow& row, std::span<const Prediction> predictions) const {
  if (style_.format == "jsonl") return json_line(row, predictions);
  if (style_.format == "cs224n") {
    const Prediction& prediction = predictions.front();
    return fmt::format(
        "{} , {} \n", printable(row.id),  // it has no quotes or escapes
        tasks_.front()->is_regression() ? number_text(prediction.value) : std::to_string(static_cast<int>(prediction.value)));
  }
  std::vector<std::string> out;
  if (style_.columns.empty()) out.push_back(row.id);
  for (std::size_t c = 0; c < style_.columns.size(); ++c) out.push_back(row.cells[c] ? row.cells[c]->text : "");
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const auto own = cells(*tasks_[t], predictions[t]);
    out.insert(out.end(), own.begin(), own.end());
  }
  return joined(std::move(out));
}

/// `"pred":..,"score":..`, what the style adds, and the explanation if there is one, without braces.
std::string PredictionFormat::json_answer(const TaskSpec& task, const Prediction& prediction) const {
  const std::string plain = plain_json_answer(task, prediction);
  return prediction.explanation == nullptr ? plain : fmt::format("{},\"explanation\":{}", plain, explanation_json(*prediction.explanation));
}

std::string PredictionFormat::plain_json_answer(const TaskSpec& task, const Prediction& prediction) const {
  const auto json_label = [&](std::size_t label) {
    const std::string name = task.labels.class_name(static_cast<int>(label));
    return has_names(task) ? dump_json(name) : name;
  };
  const auto json_set = [&] {
    std::vector<std::string> labels;
    for (const int k : classes_of(prediction.value)) labels.push_back(json_label(static_cast<std::size_t>(k)));
    return fmt::format("[{}]", fmt::join(labels, ","));
  };
  const std::string answer = is_empty(prediction)    ? "null"
                             : task.is_regression()  ? number_text(prediction.value)
                             : task.is_multi_label() ? json_set()
                                                     : json_label(static_cast<std::size_t>(prediction.value));
  const std::string text = fmt::format("\"pred\":{},\"score\":{}", answer, number_text(prediction.score()));
  std::vector<std::string> items;
  if (style_.top_k > 0) {
    for (const std::size_t k : best_classes(prediction, static_cast<std::size_t>(style_.top_k)))
      items.push_back(fmt::format("{{\"label\":{},\"score\":{}}}", json_label(k), number_text(prediction.probs[k])));
    return fmt::format("{},\"top\":[{}]", text, fmt::join(items, ","));
  }
  if (!style_.probs) return text;
  for (std::size_t k = 0; k < prediction.probs.size(); ++k)
    items.push_back((has_names(task) ? json_label(k) + ":" : "") + number_text(prediction.probs[k]));
  return fmt::format("{},\"probs\":{}{}{}", text, has_names(task) ? '{' : '[', fmt::join(items, ","), has_names(task) ? '}' : ']');
}

std::string PredictionFormat::json_line(const InputRow& row, std::span<const Prediction> predictions) const {
  std::vector<std::string> members;
  if (style_.columns.empty()) members.push_back("\"id\":" + dump_json(row.id));
  for (std::size_t c = 0; c < style_.columns.size(); ++c)
    if (const auto& cell = row.cells[c])
      members.push_back(fmt::format("{}:{}", dump_json(style_.columns[c]), cell->is_json ? cell->text : dump_json(cell->text)));
  std::vector<std::string> answers;
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const std::string answer = json_answer(*tasks_[t], predictions[t]);
    answers.push_back(tasks_.size() == 1 ? answer : fmt::format("{}:{{{}}}", dump_json(tasks_[t]->name), answer));
  }
  members.push_back(tasks_.size() == 1 ? answers.front() : fmt::format("\"tasks\":{{{}}}", fmt::join(answers, ",")));
  return fmt::format("{{{}}}\n", fmt::join(members, ","));
}

std::string PredictionFormat::joined(std::vector<std::string> cells) const {
  for (std::string& cell : cells) cell = style_.format == "csv" ? csv_field(cell) : tsv_field(cell);
  return fmt::format("{}\n", fmt::join(cells, style_.format == "csv" ? "," : "\t"));
}

}  // namespace minbert
