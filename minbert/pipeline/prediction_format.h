// PredictionFormat: predictions as text, in the formats of minbert predict.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/data/input_rows.h"
#include "minbert/pipeline/predict.h"

namespace minbert {

/// The shortest text that reads back as the same float; "null" for NaN and infinity.
std::string number_text(double value);

struct PredictionStyle {
  std::string format =
      "jsonl";             ///< "jsonl": an object a line; "tsv", "csv": a header and a line each; "cs224n": the course's hand-in format
  bool probs = true;       ///< each class's probability too (not cs224n)
  std::int64_t top_k = 0;  ///< the K best classes with their scores, in place of all probabilities; 0: off
  std::optional<double> min_score;        ///< an answer with a lower score is left empty
  std::vector<std::string> columns = {};  ///< names of InputRow::cells, which are written first, in place of the id
};

class PredictionFormat {
 public:
  /// One task: its answer's members or columns have plain names. Several: each answer is an object under "tasks", or columns NAME.pred ...
  /// Throws Error(kUsage) for a style that the tasks or the columns' names do not fit. `tasks` must outlive this object.
  PredictionFormat(PredictionStyle style, std::vector<const TaskSpec*> tasks);

  /// The text before the first line; empty for jsonl.
  std::string header() const;
  /// One line with its newline, from one prediction for each task. Only jsonl shows explanations.
  std::string line(const InputRow& row, std::span<const Prediction> predictions) const;
  /// Whether min_score empties this answer.
  bool is_empty(const Prediction& prediction) const { return style_.min_score && prediction.score() < *style_.min_score; }

 private:
  std::string joined(std::vector<std::string> cells) const;
  std::string json_line(const InputRow& row, std::span<const Prediction> predictions) const;
  std::string json_answer(const TaskSpec& task, const Prediction& prediction) const;
  std::string plain_json_answer(const TaskSpec& task, const Prediction& prediction) const;
  std::vector<std::string> column_names(const TaskSpec& task) const;
  std::vector<std::string> cells(const TaskSpec& task, const Prediction& prediction) const;

  PredictionStyle style_;
  std::vector<const TaskSpec*> tasks_;
};

}  // namespace minbert
