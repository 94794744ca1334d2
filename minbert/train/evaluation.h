// Evaluation files: a split's predictions and scores, in eval/SPLIT/ of a run folder and from the verb eval.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/pipeline/predict.h"
#include "minbert/stats/bootstrap.h"
#include "minbert/train/events.h"

namespace minbert {

/// One task's predictions for one split.
struct TaskEvaluation {
  const TaskSpec* task = nullptr;
  const Rows* rows = nullptr;
  std::vector<Prediction> predictions;

  bool labelled() const { return rows->labelled(); }
};

struct EvaluationNote {
  MessageLevel level;
  std::string text;
};

/// {"split", "scores": {task: value}, "mean", "loss": {task: value}, "tasks": {task: {metric, rows, every metric of its kind, interval,
/// per-class scores, calibration}}}. Unlabelled tasks have no scores. With `bootstrap` 0 there are no intervals.
Json evaluation_json(std::string_view split, std::span<const TaskEvaluation> tasks, int bootstrap, std::uint64_t seed);

/// What people are told of a split's tasks beside their scores: rows without labels, and scores that are not defined.
std::vector<EvaluationNote> evaluation_notes(std::string_view split, std::span<const TaskEvaluation> tasks);

/// Writes metrics.json, TASK.predictions.tsv (id, text, text_pair, gold, pred, score, p_0 ...), TASK.confusion.csv (rows gold) and
/// TASK.errors.tsv (worst first; a last column `place` has file and line) into `folder`, created if need be. Fields of TSV are escaped
/// (data/fields.h), labels have their names. Returns metrics.json.
Json write_evaluation(const std::filesystem::path& folder, std::string_view split, std::span<const TaskEvaluation> tasks, int bootstrap,
                      std::uint64_t seed);

}  // namespace minbert
