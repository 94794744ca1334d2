// Bootstrap: a counter addresses each resample, so that any thread can draw any of them.
#include "minbert/stats/bootstrap.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <type_traits>
#include <utility>
#include <vector>

#include "minbert/base/check.h"
#include "minbert/base/parallel.h"

namespace minbert {
namespace {

/// Fills `rows` with draws from [0, rows.size()). Scaling a 32-bit word favours a row by at most size / 2^32 of its probability.
void draw_rows(std::uint64_t key, std::uint32_t resample, std::span<std::int32_t> rows) {
  const std::uint64_t size = rows.size();
  for (std::size_t i = 0; i < rows.size(); i += 4) {
    const auto words = philox(key, {static_cast<std::uint32_t>(i / 4), resample, 0, 0});
    for (std::size_t j = 0; j < std::min<std::size_t>(4, rows.size() - i); ++j) {
      rows[i + j] = static_cast<std::int32_t>(words[j] * size >> 32);
    }
  }
}

/// The statistic on each resample.
std::vector<Score> resampled(std::int64_t rows, const Statistic& statistic, const BootstrapOptions& options, Rng& rng) {
  MINBERT_CHECK(rows >= 1 && rows <= std::numeric_limits<std::int32_t>::max(), "{} rows", rows);
  MINBERT_CHECK(options.resamples >= 1 && options.confidence > 0 && options.confidence < 1, "{} resamples, confidence {}",
                options.resamples, options.confidence);
  const std::uint64_t key = rng.next_u64();
  std::vector<Score> scores(static_cast<std::size_t>(options.resamples));
  parallel_for(options.resamples, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::int32_t> drawn(static_cast<std::size_t>(rows));
    for (std::int64_t r = begin; r < end; ++r) {
      draw_rows(key, static_cast<std::uint32_t>(r), drawn);
      scores[static_cast<std::size_t>(r)] = statistic(drawn);
    }
  });
  return scores;
}

std::vector<double> defined_values(std::span<const Score> scores) {
  std::vector<double> values;
  for (const Score& score : scores)
    if (score.defined) values.push_back(score.value);
  return values;
}

Score on_all_rows(std::int64_t rows, const Statistic& statistic) {
  std::vector<std::int32_t> all(static_cast<std::size_t>(rows));
  std::iota(all.begin(), all.end(), 0);
  return statistic(all);
}

/// A statistic that is undefined on all rows is so on each resample; it is its value then.
Statistic defined_somewhere(std::int64_t rows, Statistic statistic) {
  if (on_all_rows(rows, statistic).defined) return statistic;
  return [statistic = std::move(statistic)](std::span<const std::int32_t> drawn) { return Score{statistic(drawn).value, true}; };
}

/// Sorts `values` and takes the interval's ends from them; without any they are the estimate. One NaN makes both ends NaN, so that the
/// interval does not hide it.
Interval percentile_interval(double estimate, std::vector<double>& values, double confidence) {
  if (std::any_of(values.begin(), values.end(), [](double x) { return std::isnan(x); })) {
    const double nan = std::numeric_limits<double>::quiet_NaN();
    return {estimate, nan, nan};
  }
  if (values.empty()) return {estimate, estimate, estimate};
  std::sort(values.begin(), values.end());
  return {estimate, quantile(values, (1 - confidence) / 2), quantile(values, (1 + confidence) / 2)};
}

/// The metric as a function of rows. `Value` is int for labels.
template <class Value>
Statistic gathered(Metric metric, std::vector<Value> gold, std::vector<Value> predicted, int set_labels = 0) {
  return [=, gold = std::move(gold), predicted = std::move(predicted)](std::span<const std::int32_t> rows) {
    std::vector<Value> g(rows.size()), p(rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      g[i] = gold[static_cast<std::size_t>(rows[i])];
      p[i] = predicted[static_cast<std::size_t>(rows[i])];
    }
    if constexpr (std::is_same_v<Value, double>)
      if (set_labels > 0) return compute_set_metric(metric, g, p, set_labels);
    return compute_metric(metric, std::span<const Value>(g), std::span<const Value>(p));
  };
}

/// The metric of one system as a function of rows.
Statistic metric_statistic(Metric metric, std::span<const double> gold, std::span<const double> predicted, int set_labels) {
  MINBERT_CHECK(gold.size() == predicted.size(), "{} gold values, {} predictions", gold.size(), predicted.size());
  const bool classes = set_labels == 0 && metric_fits(metric, Answers::kClasses);
  const auto values = [](std::span<const double> all) { return std::vector<double>(all.begin(), all.end()); };
  return classes ? gathered(metric, labels_from(gold), labels_from(predicted))
                 : gathered(metric, values(gold), values(predicted), set_labels);
}

/// The result from both scores on all rows and the differences b - a on the resamples.
PairedDifference paired_result(double a, double b, std::vector<double> differences, double confidence) {
  PairedDifference result{.a = a, .b = b, .difference = {}};
  const double observed = b - a;
  // Differences are multiples of 1/rows, so that many equal the observed one. They must count in spite of rounding errors.
  const double at_least = std::abs(observed) * (1 - 1e-12);
  const auto extreme =
      std::count_if(differences.begin(), differences.end(), [&](double x) { return !(std::abs(x - observed) < at_least); });
  result.p_value = (1.0 + static_cast<double>(extreme)) / (1.0 + static_cast<double>(differences.size()));
  result.difference = percentile_interval(observed, differences, confidence);
  return result;
}

}  // namespace

Interval bootstrap_interval(std::int64_t rows, const Statistic& statistic, const BootstrapOptions& options, Rng& rng) {
  const Statistic used = defined_somewhere(rows, statistic);
  std::vector<double> values = defined_values(resampled(rows, used, options, rng));
  return percentile_interval(on_all_rows(rows, used).value, values, options.confidence);
}

Interval bootstrap_interval(Metric metric, std::span<const double> gold, std::span<const double> predicted, const BootstrapOptions& options,
                            Rng& rng, int set_labels) {
  return bootstrap_interval(static_cast<std::int64_t>(gold.size()), metric_statistic(metric, gold, predicted, set_labels), options, rng);
}

PairedDifference paired_bootstrap(Metric metric, std::span<const double> gold, std::span<const double> predicted_a,
                                  std::span<const double> predicted_b, const BootstrapOptions& options, Rng& rng) {
  const PairedTask task{.metric = metric, .gold = gold, .predicted_a = predicted_a, .predicted_b = predicted_b};
  return paired_bootstrap(std::span(&task, 1), options, rng).tasks.front();
}

PairedScores paired_bootstrap(std::span<const PairedTask> tasks, const BootstrapOptions& options, Rng& rng) {
  MINBERT_CHECK(!tasks.empty(), "no task");
  const auto count = static_cast<double>(tasks.size());
  PairedScores scores;
  std::vector<Score> means(static_cast<std::size_t>(options.resamples));
  for (const PairedTask& task : tasks) {
    const auto rows = static_cast<std::int64_t>(task.gold.size());
    const Statistic a = defined_somewhere(rows, metric_statistic(task.metric, task.gold, task.predicted_a, task.set_labels)),
                    b = defined_somewhere(rows, metric_statistic(task.metric, task.gold, task.predicted_b, task.set_labels));
    const auto difference = [&](std::span<const std::int32_t> drawn) {
      const Score of_a = a(drawn), of_b = b(drawn);
      return Score{of_b.value - of_a.value, of_a.defined && of_b.defined};
    };
    const std::vector<Score> differences = resampled(rows, difference, options, rng);
    for (std::size_t i = 0; i < differences.size(); ++i)
      means[i] = {means[i].value + differences[i].value / count, means[i].defined && differences[i].defined};
    const double score_a = on_all_rows(rows, a).value, score_b = on_all_rows(rows, b).value;
    scores.mean.a += score_a / count;
    scores.mean.b += score_b / count;
    scores.tasks.push_back(paired_result(score_a, score_b, defined_values(differences), options.confidence));
  }
  scores.mean = paired_result(scores.mean.a, scores.mean.b, defined_values(means), options.confidence);
  return scores;
}

double quantile(std::span<const double> ascending, double q) {
  MINBERT_CHECK(!ascending.empty() && q >= 0 && q <= 1, "{} values, q {}", ascending.size(), q);
  const double position = q * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, ascending.size() - 1);
  return std::lerp(ascending[below], ascending[above], position - static_cast<double>(below));
}

}  // namespace minbert
