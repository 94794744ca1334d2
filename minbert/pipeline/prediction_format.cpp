// Headers and lines of each format.
#include "minbert/pipeline/prediction_format.h"

#include <cmath>

#include "minbert/base/json.h"
#include "minbert/base/unicode.h"
#include "minbert/data/fields.h"

namespace minbert {
namespace {

/// The shortest text that reads back as the same float; "null" for NaN and infinity.
std::string number(double value) { return std::isfinite(value) ? fmt::format("{}", static_cast<float>(value)) : "null"; }

}  // namespace

std::string PredictionFormat::header() const {
  if (format_ == "jsonl") return {};
  if (format_ == "cs224n") return fmt::format("id \t {} \n", course_title());
  std::vector<std::string> cells = {"id", "pred", "score"};
  if (probs_ && !task_.is_regression())
    for (int k = 0; k < task_.labels.count; ++k) cells.push_back(fmt::format("p_{}", k));
  return joined(std::move(cells));
}

std::string PredictionFormat::line(const std::string& id, const Prediction& prediction) const {
  const bool named = task_.labels.kind == TaskLabels::Kind::kNames;
  const std::string value = task_.is_regression() ? number(prediction.value) : std::to_string(static_cast<int>(prediction.value));
  if (format_ == "cs224n") return fmt::format("{} , {} \n", printable(id), value);  // it has no quotes or escapes
  const std::string label = named ? task_.labels.class_name(static_cast<int>(prediction.value)) : value;
  std::vector<std::string> probs;
  if (probs_)
    for (const double p : prediction.probs) probs.push_back(number(p));
  if (format_ == "jsonl") {
    const std::string text =
        fmt::format("{{\"id\":{},\"pred\":{},\"score\":{}", dump_json(id), named ? dump_json(label) : label, number(prediction.score()));
    return text + (probs_ ? fmt::format(",\"probs\":[{}]}}\n", fmt::join(probs, ",")) : "}\n");
  }
  std::vector<std::string> cells = {id, label, task_.is_regression() ? "" : number(prediction.score())};
  cells.insert(cells.end(), probs.begin(), probs.end());
  return joined(std::move(cells));
}

std::string PredictionFormat::joined(std::vector<std::string> cells) const {
  for (std::string& cell : cells) cell = format_ == "csv" ? csv_field(cell) : tsv_field(cell);
  return fmt::format("{}\n", fmt::join(cells, format_ == "csv" ? "," : "\t"));
}

/// The course's own column names, spelt as there.
std::string_view PredictionFormat::course_title() const {
  if (task_.is_regression()) return "Predicted_Similiary";
  return task_.is_pair() ? "Predicted_Is_Paraphrase" : "Predicted_Sentiment";
}

}  // namespace minbert
