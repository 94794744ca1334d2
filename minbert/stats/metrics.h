// Metrics: scores of predictions against gold labels or values, defined as in scikit-learn and SciPy.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "minbert/base/options.h"

namespace minbert {

enum class Metric { kAccuracy, kMacroF1, kF1, kMcc, kPearson, kSpearman, kMicroF1, kSubsetAccuracy };

/// The names in configurations and metrics files.
constexpr std::array<OptionName<Metric>, 8> option_names(Metric) {
  return {{{Metric::kAccuracy, "accuracy"},
           {Metric::kMacroF1, "macro_f1"},
           {Metric::kF1, "f1"},
           {Metric::kMcc, "mcc"},
           {Metric::kPearson, "pearson"},
           {Metric::kSpearman, "spearman"},
           {Metric::kMicroF1, "micro_f1"},
           {Metric::kSubsetAccuracy, "subset_accuracy"}}};
}

/// A metric scores class numbers, values, or sets of labels. A set is a number whose bit k says whether label k is in it.
enum class Answers { kClasses, kValues, kSets };
/// Whether a metric scores answers of this kind. Only macro_f1 scores two: classes and, label by label, sets.
bool metric_fits(Metric metric, Answers answers);

/// `defined` is false when the score's formula divides zero by zero (no rows, a correlation with a constant); `value` is then 0. A NaN or
/// infinity among the inputs of a correlation makes the value NaN.
struct Score {
  double value = 0;
  bool defined = true;
};

/// Scores of one class. A score whose denominator is zero is 0.
struct ClassScores {
  double precision = 0, recall = 0, f1 = 0;
  std::int64_t gold = 0, predicted = 0;  ///< rows of this class
};

/// Labels are class numbers from 0; correlations take them as values. Both spans have one entry for each row.
Score compute_metric(Metric metric, std::span<const int> gold, std::span<const int> predicted);
/// For metrics of classes, the values must be class numbers.
Score compute_metric(Metric metric, std::span<const double> gold, std::span<const double> predicted);
/// For metrics of sets of `labels` labels. As in scikit-learn, one that occurs neither in gold nor in predicted has an F1 of 0.
Score compute_set_metric(Metric metric, std::span<const double> gold, std::span<const double> predicted, int labels);
/// Hits and errors of each of `labels` labels among sets.
std::vector<ClassScores> set_scores(std::span<const double> gold, std::span<const double> predicted, int labels);

/// Converts class numbers from double to int. Each must be a whole number of at least 0.
std::vector<int> labels_from(std::span<const double> values);

Score accuracy(std::span<const int> gold, std::span<const int> predicted);
/// Mean F1 over the classes that occur in gold or in predicted.
Score macro_f1(std::span<const int> gold, std::span<const int> predicted);
/// F1 of class 1.
Score binary_f1(std::span<const int> gold, std::span<const int> predicted);
/// Matthews' correlation for any number of classes (Gorodkin 2004).
Score mcc(std::span<const int> gold, std::span<const int> predicted);
Score pearson(std::span<const double> x, std::span<const double> y);
/// Pearson's correlation of average_ranks.
Score spearman(std::span<const double> x, std::span<const double> y);

/// Ranks from 1; equal values share the mean of their ranks. The values must not be NaN.
std::vector<double> average_ranks(std::span<const double> values);

/// How many rows have each pair of gold and predicted class.
struct ConfusionMatrix {
  int classes = 0;
  std::vector<std::int64_t> counts;  ///< classes x classes: a row for each gold class
  std::int64_t at(int gold, int predicted) const {
    return counts[static_cast<std::size_t>(gold) * static_cast<std::size_t>(classes) + static_cast<std::size_t>(predicted)];
  }
};

/// Labels must lie in [0, classes).
ConfusionMatrix confusion_matrix(std::span<const int> gold, std::span<const int> predicted, int classes);

/// One entry per class of the matrix.
std::vector<ClassScores> class_scores(const ConfusionMatrix& matrix);

}  // namespace minbert
