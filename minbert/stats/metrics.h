// Metrics: scores of predictions against gold labels or values, defined as in scikit-learn and SciPy.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "minbert/base/options.h"

namespace minbert {

enum class Metric { kAccuracy, kMacroF1, kF1, kMcc, kPearson, kSpearman };

/// The names in configurations and metrics files.
constexpr std::array<OptionName<Metric>, 6> option_names(Metric) {
  return {{{Metric::kAccuracy, "accuracy"},
           {Metric::kMacroF1, "macro_f1"},
           {Metric::kF1, "f1"},
           {Metric::kMcc, "mcc"},
           {Metric::kPearson, "pearson"},
           {Metric::kSpearman, "spearman"}}};
}
/// True for metrics of class labels, false for correlations of values.
bool is_label_metric(Metric metric);

/// A score, and whether its definition holds. `defined` is false where it divides zero by zero (no rows, constant
/// input of a correlation); `value` is then 0. A NaN or infinite input of a correlation makes the value NaN.
struct Score {
  double value = 0;
  bool defined = true;
};

/// Labels are class numbers from 0 (correlations take them as values). Both spans have one entry per row.
Score compute_metric(Metric metric, std::span<const int> gold, std::span<const int> predicted);
/// Label metrics want whole numbers here.
Score compute_metric(Metric metric, std::span<const double> gold, std::span<const double> predicted);

/// Class numbers kept as doubles, as integers. Each must be a whole number from 0.
std::vector<int> labels_from(std::span<const double> values);

Score accuracy(std::span<const int> gold, std::span<const int> predicted);
/// Mean of F1 over the classes that occur in gold or in predicted.
Score macro_f1(std::span<const int> gold, std::span<const int> predicted);
/// F1 of class 1.
Score binary_f1(std::span<const int> gold, std::span<const int> predicted);
/// Matthews' correlation for any number of classes (Gorodkin 2004).
Score mcc(std::span<const int> gold, std::span<const int> predicted);
Score pearson(std::span<const double> x, std::span<const double> y);
/// Pearson's correlation of average_ranks.
Score spearman(std::span<const double> x, std::span<const double> y);

/// Ranks from 1; equal values share the mean of their ranks. No NaN.
std::vector<double> average_ranks(std::span<const double> values);

/// Counts of (gold, predicted), gold by row.
struct ConfusionMatrix {
  int classes = 0;
  std::vector<std::int64_t> counts;  ///< classes x classes
  std::int64_t at(int gold, int predicted) const {
    return counts[static_cast<std::size_t>(gold) * static_cast<std::size_t>(classes) + static_cast<std::size_t>(predicted)];
  }
};

/// Labels lie in [0, classes).
ConfusionMatrix confusion_matrix(std::span<const int> gold, std::span<const int> predicted, int classes);

/// Scores of one class; those that divide by zero are 0.
struct ClassScores {
  double precision = 0, recall = 0, f1 = 0;
  std::int64_t gold = 0, predicted = 0;  ///< rows of this class
};

/// One entry per class of the matrix.
std::vector<ClassScores> class_scores(const ConfusionMatrix& matrix);

}  // namespace minbert
