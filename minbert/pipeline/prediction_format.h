// PredictionFormat: predictions as text, in the formats of minbert predict.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "minbert/pipeline/predict.h"

namespace minbert {

/// "jsonl": an object a line. "tsv", "csv": a header and a line each. "cs224n": the course's hand-in format, spelt as there.
class PredictionFormat {
 public:
  /// `task` must outlive this object. `probs`: each class's probability too (jsonl, tsv, csv).
  PredictionFormat(std::string_view format, const TaskSpec& task, bool probs) : format_(format), task_(task), probs_(probs) {}

  /// The text before the first line; empty for jsonl.
  std::string header() const;
  /// One line with its newline.
  std::string line(const std::string& id, const Prediction& prediction) const;

 private:
  std::string joined(std::vector<std::string> cells) const;
  std::string_view course_title() const;

  std::string format_;
  const TaskSpec& task_;
  bool probs_;
};

}  // namespace minbert
