// Reliability bins, expected calibration error and Brier scores.
#include "minbert/stats/calibration.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <numeric>
#include <utility>

#include "minbert/base/check.h"

namespace minbert {
namespace {

/// The temperature in [1/20, 1000] with the least loss, which is convex in 1 / T, so that the interval can be narrowed from both sides. 1
/// if the loss falls towards T = 0, as it does where all of a few rows are answered correctly.
template <class Loss>
double least_loss(const Loss& loss) {
  constexpr double kSharpest = 20, kBluntest = 1e-3;  // 1 / T
  const double golden = (std::sqrt(5.0) - 1) / 2;
  double low = std::log(kBluntest), high = std::log(kSharpest);
  for (int i = 0; i < 60; ++i) {
    const double a = high - golden * (high - low), b = low + golden * (high - low);
    if (loss(std::exp(a)) <= loss(std::exp(b)))
      high = b;
    else
      low = a;
  }
  const double found = std::exp((low + high) / 2);
  // Compares losses, because that of confident rows is 0 well before the end.
  if (loss(kSharpest) <= loss(found)) return 1;
  return 1 / (loss(kBluntest) <= loss(found) ? kBluntest : found);
}

}  // namespace

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

double fit_temperature(std::span<const double> logits, std::span<const int> labels, int classes) {
  const auto width = static_cast<std::size_t>(classes);
  MINBERT_CHECK(classes >= 1 && logits.size() == labels.size() * width, "{} logits, {} labels", logits.size(), labels.size());
  if (labels.empty()) return 1;
  return least_loss([&](double factor) {
    double sum = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const auto row = logits.subspan(i * width, width);
      const double top = *std::max_element(row.begin(), row.end());
      double total = 0;
      for (const double x : row) total += std::exp(factor * (x - top));
      sum += std::log(total) - factor * (row[static_cast<std::size_t>(labels[i])] - top);
    }
    return sum;
  });
}

double fit_temperature(std::span<const double> logits, std::span<const int> labels) {
  MINBERT_CHECK(logits.size() == labels.size(), "{} logits, {} labels", logits.size(), labels.size());
  if (labels.empty()) return 1;
  return least_loss([&](double factor) {
    double sum = 0;
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const double x = factor * (labels[i] != 0 ? -logits[i] : logits[i]);
      sum += std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
    }
    return sum;
  });
}

double best_threshold(std::span<const int> gold, std::span<const double> probability) {
  MINBERT_CHECK(gold.size() == probability.size(), "{} labels, {} probabilities", gold.size(), probability.size());
  std::vector<std::pair<double, int>> rows;
  std::int64_t positive = 0;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    rows.emplace_back(probability[i], gold[i]);
    positive += gold[i];
  }
  if (positive == 0) return 0.5;
  std::sort(rows.begin(), rows.end(), std::greater<>());
  double best = -1, threshold = 0.5;
  std::int64_t hits = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {  // predicts the label for the rows 0 to i
    hits += rows[i].second;
    const double low = i + 1 < rows.size() ? rows[i + 1].first : 0;
    if (low == rows[i].first) continue;
    const double f1 = 2.0 * static_cast<double>(hits) / static_cast<double>(positive + static_cast<std::int64_t>(i) + 1);
    const double candidate = low < 0.5 && rows[i].first > 0.5 ? 0.5 : (low + rows[i].first) / 2;
    if (f1 > best || (f1 == best && std::abs(candidate - 0.5) < std::abs(threshold - 0.5))) {
      best = f1;
      threshold = candidate;
    }
  }
  return threshold;
}

}  // namespace minbert
