// Calibration: how well predicted probabilities match the frequency with which predictions are right.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace minbert {

/// Rows whose confidence lies in (low, high]; the first bin also takes 0.
struct ReliabilityBin {
  double low = 0, high = 0;
  std::int64_t rows = 0;
  double confidence = 0, accuracy = 0;  ///< means over the rows; 0 in an empty bin
};

/// Bins of equal width over [0, 1]. confidence: the probability of each row's predicted class; correct: whether it was right.
std::vector<ReliabilityBin> reliability_bins(std::span<const double> confidence, std::span<const int> correct, int bins = 15);

/// Mean over rows of |accuracy - confidence| of their bin (Guo et al. 2017, eq. 3); 0 without rows.
double expected_calibration_error(std::span<const ReliabilityBin> bins);

/// The rows whose confidence is at least `confidence`: those that remain when less confident ones are left unanswered.
struct CoveragePoint {
  double confidence = 0;
  std::int64_t rows = 0;
  double coverage = 0, accuracy = 0;  ///< share of all rows, and share of these that are right
};
/// Points from the most confident rows to all of them, at coverages of about 1 / points, 2 / points ... 1. Rows of equal confidence stay
/// together, so that each point can be had by a threshold, and there may be fewer points. Empty without rows.
std::vector<CoveragePoint> accuracy_by_coverage(std::span<const double> confidence, std::span<const int> correct, int points = 20);

/// Mean squared error of the probability of class 1, for gold labels 0 and 1. 0 without rows.
double brier_score(std::span<const int> gold, std::span<const double> probability);
/// Mean over rows of the squared distance between the probabilities (rows x classes) and the one-hot label, in [0, 2] (Brier 1950).
double brier_score(std::span<const int> gold, std::span<const double> probabilities, int classes);

/// The temperature T > 0 whose division of all logits makes the labels likeliest (Guo et al. 2017, section 4.2). `logits` holds for each
/// row the logits of its classes, up to a constant of the row; `labels` are class numbers. It is 1 without rows, and
/// where all rows are answered right, since these get likelier down to T = 0; it is at most 1000.
double fit_temperature(std::span<const double> logits, std::span<const int> labels, int classes);
/// Fits the temperature for sigmoids, where each logit has a label of 0 or 1.
double fit_temperature(std::span<const double> logits, std::span<const int> labels);

/// The threshold in (0, 1) above which a label is to be predicted so that its F1 on these rows is highest: of equally good ones, the one
/// nearest to .5. `gold`: 0 or 1. .5 where no row has the label.
double best_threshold(std::span<const int> gold, std::span<const double> probability);

}  // namespace minbert
