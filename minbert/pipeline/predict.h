// Predictions: logits to labels, and whole splits through a model in batches of similar lengths.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "minbert/pipeline/batch_runner.h"

namespace minbert {

struct Prediction {
  double value = 0;           ///< class index, or a number (not clamped to label_range)
  std::vector<double> probs;  ///< by class, two for two classes; empty for numbers

  /// Probability of the predicted class; NaN for numbers.
  double score() const;
};

/// From logits (rows, K): softmax, sigmoid of the one logit of two classes, or the number itself (scaled back where the loss is BCE).
/// Ties go to the lower class.
std::vector<Prediction> decode(const TaskSpec& task, std::span<const float> logits, std::int64_t rows);

/// Predictions for all rows in their order, with dropout off. The result does not depend on how rows are batched (f32).
std::vector<Prediction> predict_rows(BatchRunner& runner, std::size_t head, const TaskSpec& task, const TokenizedRows& rows,
                                     const RowProgress& progress = {});

/// Sentence vectors (rows.sequences(), C) f32, row-major in the order of sequences: what a frozen encoder gives, with dropout off.
std::vector<float> encode_rows(BatchRunner& runner, Pool pool, const TokenizedRows& rows, const RowProgress& progress = {});

/// The head alone on vectors of encode_rows.
std::vector<Prediction> predict_features(MultitaskModel& model, std::size_t head, const TaskSpec& task, std::span<const float> features,
                                         std::int64_t rows);

/// Mean loss over labelled rows that gave these predictions: the training loss, from probabilities or numbers.
double mean_loss(const TaskSpec& task, std::span<const Prediction> predictions, std::span<const double> labels);

/// The task's metric; rows without a label are left out. Fewer than all labelled: the score of those.
Score score_predictions(const TaskSpec& task, std::span<const Prediction> predictions, std::span<const double> labels);

}  // namespace minbert
