// Bootstrap: percentile intervals of a score, and a paired test between two systems (Efron and Tibshirani 1993).
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "minbert/base/rng.h"
#include "minbert/stats/metrics.h"

namespace minbert {

struct BootstrapOptions {
  int resamples = 1000;
  double confidence = 0.95;  ///< in (0, 1)
};

/// A score on all rows, and two percentiles of its values on resamples of the rows.
struct Interval {
  double estimate = 0, low = 0, high = 0;
};

/// Maps row numbers, which may repeat, to a score. Called from several threads at once.
using Statistic = std::function<Score(std::span<const std::int32_t> rows)>;

/// Percentile interval of a statistic of `rows` rows, at least one. Resamples on which it is undefined are left out, as an F1 is where none
/// of the few positive rows was drawn; a statistic that is undefined on all rows counts as its value, 0. Resamples depend on rng alone, not
/// on threads.
Interval bootstrap_interval(std::int64_t rows, const Statistic& statistic, const BootstrapOptions& options, Rng& rng);
/// Percentile interval of a metric, of sets of `set_labels` labels if that is above 0; at least one row.
Interval bootstrap_interval(Metric metric, std::span<const double> gold, std::span<const double> predicted, const BootstrapOptions& options,
                            Rng& rng, int set_labels = 0);

/// System b minus system a on the same rows.
struct PairedDifference {
  double a = 0, b = 0;  ///< scores on all rows
  Interval difference;  ///< of b - a
  double p_value = 1;   ///< two-sided
};

/// Scores both systems on the same resamples, without those on which a score is undefined, as bootstrap_interval() has it. The p-value is
/// the share of resamples whose difference is at least as far from the observed difference as that is from 0 (the bootstrap shifted to the
/// null hypothesis); the observed data count as one more such resample.
PairedDifference paired_bootstrap(Metric metric, std::span<const double> gold, std::span<const double> predicted_a,
                                  std::span<const double> predicted_b, const BootstrapOptions& options, Rng& rng);

/// One task on which two systems are compared: a metric, and both systems' predictions for the same rows.
struct PairedTask {
  Metric metric = Metric::kAccuracy;
  std::span<const double> gold, predicted_a, predicted_b;
  int set_labels = 0;  ///< above 0: answers are sets of so many labels
};
struct PairedScores {
  std::vector<PairedDifference> tasks;
  PairedDifference mean;  ///< of the mean over tasks
};
/// paired_bootstrap of each task and of the mean over tasks. Each task's rows are resampled independently. At least one task, and at least
/// one row in each.
PairedScores paired_bootstrap(std::span<const PairedTask> tasks, const BootstrapOptions& options, Rng& rng);

/// Quantile q in [0, 1] of ascending values, interpolated linearly (numpy.percentile's default). At least one value.
double quantile(std::span<const double> ascending, double q);

}  // namespace minbert
