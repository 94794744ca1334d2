// Reliability bins, expected calibration error and Brier scores.
#include "minbert/stats/calibration.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>

#include "minbert/base/check.h"

namespace minbert {

std::vector<ReliabilityBin> reliability_bins(std::span<const double> confidence, std::span<const int> correct, int bins) {
  MINBERT_CHECK(confidence.size() == correct.size(), "{} confidences, {} rows", confidence.size(), correct.size());
  MINBERT_CHECK(bins >= 1);
  std::vector<ReliabilityBin> result(static_cast<std::size_t>(bins));
  for (int b = 0; b < bins; ++b) {
    result[static_cast<std::size_t>(b)].low = static_cast<double>(b) / bins;
    result[static_cast<std::size_t>(b)].high = static_cast<double>(b + 1) / bins;
  }
  for (std::size_t i = 0; i < confidence.size(); ++i) {
    MINBERT_CHECK(confidence[i] >= 0 && confidence[i] <= 1, "row {}: confidence {}", i, confidence[i]);
    // Compares with the edges, because a computed index can be off by one: 0.07 * 100 rounds to more than 7.
    const auto bin = std::lower_bound(result.begin(), result.end() - 1, confidence[i],
                                      [](const ReliabilityBin& candidate, double value) { return candidate.high < value; });
    ++bin->rows;
    bin->confidence += confidence[i];
    bin->accuracy += correct[i] != 0 ? 1 : 0;
  }
  for (ReliabilityBin& bin : result) {
    if (bin.rows == 0) continue;
    bin.confidence /= static_cast<double>(bin.rows);
    bin.accuracy /= static_cast<double>(bin.rows);
  }
  return result;
}

double expected_calibration_error(std::span<const ReliabilityBin> bins) {
  double sum = 0;
  std::int64_t rows = 0;
  for (const ReliabilityBin& bin : bins) {
    sum += static_cast<double>(bin.rows) * std::abs(bin.accuracy - bin.confidence);
    rows += bin.rows;
  }
  return rows == 0 ? 0 : sum / static_cast<double>(rows);
}

std::vector<CoveragePoint> accuracy_by_coverage(std::span<const double> confidence, std::span<const int> correct, int points) {
  MINBERT_CHECK(confidence.size() == correct.size(), "{} confidences, {} rows", confidence.size(), correct.size());
  MINBERT_CHECK(points >= 1);
  std::vector<std::size_t> order(confidence.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](std::size_t row) { return confidence[row]; });
  std::vector<CoveragePoint> found;
  std::int64_t right = 0;
  std::size_t next = 1;  // of the points asked for
  for (std::size_t i = 0; i < order.size(); ++i) {
    right += correct[order[i]] != 0 ? 1 : 0;
    const bool tied = i + 1 < order.size() && confidence[order[i + 1]] == confidence[order[i]];
    const std::size_t reached = (i + 1) * static_cast<std::size_t>(points) / order.size();
    if (tied || reached < next) continue;
    next = reached + 1;
    const auto rows = static_cast<double>(i + 1);
    found.push_back({confidence[order[i]], static_cast<std::int64_t>(i + 1), rows / static_cast<double>(order.size()),
                     static_cast<double>(right) / rows});
  }
  return found;
}

double brier_score(std::span<const int> gold, std::span<const double> probability) {
  MINBERT_CHECK(gold.size() == probability.size(), "{} labels, {} probabilities", gold.size(), probability.size());
  double sum = 0;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    MINBERT_CHECK(gold[i] == 0 || gold[i] == 1, "row {}: label {}", i, gold[i]);
    const double error = probability[i] - gold[i];
    sum += error * error;
  }
  return gold.empty() ? 0 : sum / static_cast<double>(gold.size());
}

double brier_score(std::span<const int> gold, std::span<const double> probabilities, int classes) {
  MINBERT_CHECK(classes >= 1 && probabilities.size() == gold.size() * static_cast<std::size_t>(classes),
                "{} labels, {} probabilities, {} classes", gold.size(), probabilities.size(), classes);
  double sum = 0;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    MINBERT_CHECK(gold[i] >= 0 && gold[i] < classes, "row {}: label {}, {} classes", i, gold[i], classes);
    for (int k = 0; k < classes; ++k) {
      const double error = probabilities[i * static_cast<std::size_t>(classes) + static_cast<std::size_t>(k)] - (gold[i] == k ? 1 : 0);
      sum += error * error;
    }
  }
  return gold.empty() ? 0 : sum / static_cast<double>(gold.size());
}

}  // namespace minbert
