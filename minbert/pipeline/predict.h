// Predictions: turns logits into labels, and runs many rows through a model in batches of similar length.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "minbert/model/sentence_modules.h"
#include "minbert/pipeline/batch_runner.h"

namespace minbert {

struct Explanation;

struct Prediction {
  double value = 0;                                     ///< class index, label_set, or a number, not clamped to label_range
  std::vector<double> probs;                            ///< one for each class, two for a binary task; empty for numbers
  bool is_set = false;                                  ///< value is a label_set
  std::shared_ptr<const Explanation> explanation = {};  ///< why (explain.h), where that was asked for

  /// Probability of the predicted class, or of a set's likeliest label; NaN for numbers.
  double score() const;
};

/// Decodes logits (rows, K), divided by the task's temperature: by softmax, by the sigmoid of a binary task's one logit or of each label
/// and its threshold, or as the number itself (from a sigmoid scaled to label_range if the loss is BCE). Ties go to the lower class.
std::vector<Prediction> decode(const TaskSpec& task, std::span<const float> logits, std::int64_t rows);

/// Chooses the class by the probabilities, or the labels of a set by these and the task's thresholds.
void choose(const TaskSpec& task, Prediction& prediction);

/// Fits the task's temperature, if task.calibrate, and the thresholds of multi_label to these rows, then changes the predictions to what
/// decode() makes with them. Rows without a label are not fitted to. Returns whether something was fitted. The predictions must have been
/// made without temperature and thresholds.
bool fit_decoding(TaskSpec& task, std::span<Prediction> predictions, std::span<const double> labels);
/// The probabilities that the same logits divided by `factor` would give; a factor of 1 / T takes a temperature T back.
std::vector<double> tempered(const TaskSpec& task, std::span<const double> probs, double factor);

/// Joins the answers to further windows with those to the first: `predictions` has one for each row, and changes for rows with windows;
/// `of_windows` has one for each of windows.of.
void join_windows(const TaskSpec& task, std::vector<Prediction>& predictions, const RowWindows& windows,
                  std::span<const Prediction> of_windows);

/// Predictions for all rows in their order, with dropout off; those of long rows are joined from their windows.
/// With a share of several, rows that are not of it stay empty, and windows are left to the caller to join.
std::vector<Prediction> predict_rows(BatchRunner& runner, std::size_t head, const TaskSpec& task, const TokenizedRows& rows,
                                     const RowProgress& progress = {}, BatchShare share = {});

/// Sentence vectors (rows.sequences(), C) f32, row-major in the order of the sequences, with dropout off. Those that are not of the share
/// stay zero.
std::vector<float> encode_rows(BatchRunner& runner, Pool pool, const TokenizedRows& rows, const RowProgress& progress = {},
                               BatchShare share = {});
/// Sentence vectors by any pooling: (rows.sequences(), pooling.width(C)). Each sequence begins with `prompt_tokens` tokens of [CLS] and a
/// prompt, or 0. Neither function encodes further windows.
std::vector<float> encode_rows(BatchRunner& runner, const Pooling& pooling, std::int64_t prompt_tokens, const TokenizedRows& rows,
                               const RowProgress& progress = {});

/// The pooling that the model computes itself, without all tokens' states; none for the others.
std::optional<Pool> pool_of_model(const Pooling& pooling);

/// Predictions of the head alone for `features`, the vectors that encode_rows gave for `rows` rows.
std::vector<Prediction> predict_features(MultitaskModel& model, std::size_t head, const TaskSpec& task, std::span<const float> features,
                                         std::int64_t rows);

/// The mean of the predictions of several models, at least one, for the same rows: of their probabilities, from which classes are chosen
/// anew, or of their numbers.
std::vector<Prediction> mean_predictions(const TaskSpec& task, std::span<const std::vector<Prediction>> models);

/// Throws Error(kDiverged) if a prediction has a number that is not finite. `place_of` names a row by its index.
void expect_finite(std::span<const Prediction> predictions, const std::function<std::string(std::size_t row)>& place_of);
/// Throws Error(kDiverged) if one of the vectors (rows, C) has a number that is not finite.
void expect_finite(std::span<const float> vectors, std::int64_t rows, const std::function<std::string(std::size_t row)>& place_of);

/// The training loss without class weights, label smoothing and order, averaged over the labelled rows, computed from their predictions;
/// the squared error where the training loss compares rows with each other.
double mean_loss(const TaskSpec& task, std::span<const Prediction> predictions, std::span<const double> labels);

/// The task's metric over the labelled rows.
Score score_predictions(const TaskSpec& task, std::span<const Prediction> predictions, std::span<const double> labels);
/// What people are told of a score that is not defined; empty for any other.
std::string undefined_score_text(const TaskSpec& task, const Score& score);

}  // namespace minbert
