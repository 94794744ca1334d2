// Metrics: label metrics from counts of labels, correlations from products of centred unit vectors.
#include "minbert/stats/metrics.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "minbert/base/check.h"

namespace minbert {
namespace {

constexpr Score kUndefined{0, false};

/// How many rows have each class as gold, as prediction, and as both.
struct LabelCounts {
  std::vector<std::int64_t> gold, predicted, hits;
  std::int64_t rows = 0, correct = 0;
};

LabelCounts count_labels(std::span<const int> gold, std::span<const int> predicted) {
  constexpr int kMaxLabel = 1 << 20;  // so that an identifier mistaken for a label does not allocate gigabytes
  MINBERT_CHECK(gold.size() == predicted.size(), "{} gold labels, {} predictions", gold.size(), predicted.size());
  int top = -1, bottom = 0;
  for (const auto labels : {gold, predicted}) {
    for (const int label : labels) {
      top = std::max(top, label);
      bottom = std::min(bottom, label);
    }
  }
  MINBERT_CHECK(bottom >= 0 && top <= kMaxLabel, "labels from {} to {}", bottom, top);
  const auto classes = static_cast<std::size_t>(top + 1);
  LabelCounts counts{std::vector<std::int64_t>(classes), std::vector<std::int64_t>(classes), std::vector<std::int64_t>(classes),
                     static_cast<std::int64_t>(gold.size()), 0};
  for (std::size_t i = 0; i < gold.size(); ++i) {
    const auto g = static_cast<std::size_t>(gold[i]), p = static_cast<std::size_t>(predicted[i]);
    ++counts.gold[g];
    ++counts.predicted[p];
    if (g == p) ++counts.hits[g];
  }
  counts.correct = std::accumulate(counts.hits.begin(), counts.hits.end(), std::int64_t{0});
  return counts;
}

double ratio(std::int64_t part, std::int64_t whole) { return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole); }

/// Values shifted to mean 0 and scaled to norm 1; nothing when all values are equal, which is tested before because rounding may move the
/// mean off them. Dividing by the largest first keeps the squares of tiny values from underflowing.
std::optional<std::vector<double>> unit_deviations(std::span<const double> values) {
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  if (values.empty() || *low == *high) return std::nullopt;
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  std::vector<double> unit(values.begin(), values.end());
  const double largest = std::max(*high - mean, mean - *low);
  double squares = 0;
  for (double& x : unit) {
    x = (x - mean) / largest;
    squares += x * x;
  }
  const double norm = std::sqrt(squares);
  for (double& x : unit) x /= norm;
  return unit;
}

bool all_finite(std::span<const double> values) {
  return std::all_of(values.begin(), values.end(), [](double x) { return std::isfinite(x); });
}

Score label_metric(Metric metric, std::span<const int> gold, std::span<const int> predicted) {
  switch (metric) {
    case Metric::kAccuracy: return accuracy(gold, predicted);
    case Metric::kMacroF1: return macro_f1(gold, predicted);
    case Metric::kF1: return binary_f1(gold, predicted);
    default: return mcc(gold, predicted);
  }
}

}  // namespace

bool metric_fits(Metric metric, Answers answers) {
  switch (metric) {
    case Metric::kPearson:
    case Metric::kSpearman: return answers == Answers::kValues;
    case Metric::kMicroF1:
    case Metric::kSubsetAccuracy: return answers == Answers::kSets;
    case Metric::kMacroF1: return answers != Answers::kValues;
    default: return answers == Answers::kClasses;
  }
}

Score compute_metric(Metric metric, std::span<const int> gold, std::span<const int> predicted) {
  if (metric_fits(metric, Answers::kClasses)) return label_metric(metric, gold, predicted);
  return compute_metric(metric, std::vector<double>(gold.begin(), gold.end()), std::vector<double>(predicted.begin(), predicted.end()));
}

Score compute_metric(Metric metric, std::span<const double> gold, std::span<const double> predicted) {
  if (metric_fits(metric, Answers::kClasses)) return label_metric(metric, labels_from(gold), labels_from(predicted));
  MINBERT_CHECK(metric_fits(metric, Answers::kValues), "{} scores sets", option_name(metric));
  return metric == Metric::kPearson ? pearson(gold, predicted) : spearman(gold, predicted);
}

std::vector<ClassScores> set_scores(std::span<const double> gold, std::span<const double> predicted, int labels) {
  MINBERT_CHECK(gold.size() == predicted.size(), "{} gold sets, {} predictions", gold.size(), predicted.size());
  std::vector<ClassScores> scores(static_cast<std::size_t>(labels));
  std::vector<std::int64_t> hits(scores.size());
  for (std::size_t i = 0; i < gold.size(); ++i) {
    const auto g = static_cast<std::uint64_t>(gold[i]), p = static_cast<std::uint64_t>(predicted[i]);
    for (std::size_t k = 0; k < scores.size(); ++k) {
      scores[k].gold += static_cast<std::int64_t>(g >> k & 1);
      scores[k].predicted += static_cast<std::int64_t>(p >> k & 1);
      hits[k] += static_cast<std::int64_t>((g & p) >> k & 1);
    }
  }
  for (std::size_t k = 0; k < scores.size(); ++k) {
    scores[k].precision = ratio(hits[k], scores[k].predicted);
    scores[k].recall = ratio(hits[k], scores[k].gold);
    scores[k].f1 = ratio(2 * hits[k], scores[k].gold + scores[k].predicted);
  }
  return scores;
}

Score compute_set_metric(Metric metric, std::span<const double> gold, std::span<const double> predicted, int labels) {
  MINBERT_CHECK(metric_fits(metric, Answers::kSets) && gold.size() == predicted.size(), "{} of {} and {} sets", option_name(metric),
                gold.size(), predicted.size());
  if (gold.empty()) return kUndefined;
  if (metric == Metric::kMicroF1) {
    std::int64_t hits = 0, members = 0;
    for (std::size_t i = 0; i < gold.size(); ++i) {
      const auto g = static_cast<std::uint64_t>(gold[i]), p = static_cast<std::uint64_t>(predicted[i]);
      hits += std::popcount(g & p);
      members += std::popcount(g) + std::popcount(p);
    }
    return {ratio(2 * hits, members), members > 0};
  }
  if (metric == Metric::kSubsetAccuracy) {
    std::int64_t equal = 0;
    for (std::size_t i = 0; i < gold.size(); ++i) equal += gold[i] == predicted[i];
    return {ratio(equal, std::ssize(gold)), true};
  }
  double sum = 0;
  int present = 0;
  for (const ClassScores& label : set_scores(gold, predicted, labels)) {
    sum += label.f1;
    present += label.gold + label.predicted > 0;
  }
  return present == 0 ? kUndefined : Score{sum / labels, true};
}

std::vector<int> labels_from(std::span<const double> values) {
  std::vector<int> labels(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    MINBERT_CHECK(values[i] >= 0 && values[i] <= std::numeric_limits<int>::max() && values[i] == std::floor(values[i]),
                  "label {} in row {}", values[i], i);
    labels[i] = static_cast<int>(values[i]);
  }
  return labels;
}

Score accuracy(std::span<const int> gold, std::span<const int> predicted) {
  const LabelCounts counts = count_labels(gold, predicted);
  return {ratio(counts.correct, counts.rows), counts.rows > 0};
}

Score macro_f1(std::span<const int> gold, std::span<const int> predicted) {
  const LabelCounts counts = count_labels(gold, predicted);
  double sum = 0;
  int present = 0;
  for (std::size_t k = 0; k < counts.gold.size(); ++k) {
    const std::int64_t rows = counts.gold[k] + counts.predicted[k];
    if (rows == 0) continue;
    sum += ratio(2 * counts.hits[k], rows);
    ++present;
  }
  return present == 0 ? kUndefined : Score{sum / present, true};
}

Score binary_f1(std::span<const int> gold, std::span<const int> predicted) {
  const LabelCounts counts = count_labels(gold, predicted);
  if (counts.gold.size() < 2) return kUndefined;
  const std::int64_t rows = counts.gold[1] + counts.predicted[1];
  return {ratio(2 * counts.hits[1], rows), rows > 0};
}

Score mcc(std::span<const int> gold, std::span<const int> predicted) {
  const LabelCounts counts = count_labels(gold, predicted);
  // Covariances times the squared number of rows, which are exact integers.
  const std::int64_t rows = counts.rows;
  std::int64_t joint = rows * counts.correct, of_gold = rows * rows, of_predicted = rows * rows;
  for (std::size_t k = 0; k < counts.gold.size(); ++k) {
    joint -= counts.gold[k] * counts.predicted[k];
    of_gold -= counts.gold[k] * counts.gold[k];
    of_predicted -= counts.predicted[k] * counts.predicted[k];
  }
  if (of_gold == 0 || of_predicted == 0) return kUndefined;
  return {static_cast<double>(joint) / std::sqrt(static_cast<double>(of_gold) * static_cast<double>(of_predicted)), true};
}

Score pearson(std::span<const double> x, std::span<const double> y) {
  MINBERT_CHECK(x.size() == y.size(), "{} and {} values", x.size(), y.size());
  if (!all_finite(x) || !all_finite(y)) return {std::numeric_limits<double>::quiet_NaN(), true};
  const auto u = unit_deviations(x), v = unit_deviations(y);
  if (!u || !v) return kUndefined;
  return {std::clamp(std::inner_product(u->begin(), u->end(), v->begin(), 0.0), -1.0, 1.0), true};
}

Score spearman(std::span<const double> x, std::span<const double> y) {
  if (!all_finite(x) || !all_finite(y)) return {std::numeric_limits<double>::quiet_NaN(), true};
  return pearson(average_ranks(x), average_ranks(y));
}

std::vector<double> average_ranks(std::span<const double> values) {
  std::vector<std::size_t> order(values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (std::size_t begin = 0, end; begin < order.size(); begin = end) {
    for (end = begin + 1; end < order.size() && values[order[end]] == values[order[begin]];) ++end;
    const double shared = static_cast<double>(begin + 1 + end) / 2;
    for (std::size_t i = begin; i < end; ++i) ranks[order[i]] = shared;
  }
  return ranks;
}

ConfusionMatrix confusion_matrix(std::span<const int> gold, std::span<const int> predicted, int classes) {
  MINBERT_CHECK(gold.size() == predicted.size(), "{} gold labels, {} predictions", gold.size(), predicted.size());
  MINBERT_CHECK(classes >= 0);
  const auto k = static_cast<std::size_t>(classes);
  ConfusionMatrix matrix{classes, std::vector<std::int64_t>(k * k)};
  for (std::size_t i = 0; i < gold.size(); ++i) {
    MINBERT_CHECK(gold[i] >= 0 && gold[i] < classes && predicted[i] >= 0 && predicted[i] < classes,
                  "row {}: gold {}, predicted {}, {} classes", i, gold[i], predicted[i], classes);
    ++matrix.counts[static_cast<std::size_t>(gold[i]) * k + static_cast<std::size_t>(predicted[i])];
  }
  return matrix;
}

std::vector<ClassScores> class_scores(const ConfusionMatrix& matrix) {
  std::vector<ClassScores> scores(static_cast<std::size_t>(matrix.classes));
  for (int g = 0; g < matrix.classes; ++g) {
    for (int p = 0; p < matrix.classes; ++p) {
      scores[static_cast<std::size_t>(g)].gold += matrix.at(g, p);
      scores[static_cast<std::size_t>(p)].predicted += matrix.at(g, p);
    }
  }
  for (int k = 0; k < matrix.classes; ++k) {
    ClassScores& score = scores[static_cast<std::size_t>(k)];
    score.precision = ratio(matrix.at(k, k), score.predicted);
    score.recall = ratio(matrix.at(k, k), score.gold);
    score.f1 = ratio(2 * matrix.at(k, k), score.gold + score.predicted);
  }
  return scores;
}

}  // namespace minbert
