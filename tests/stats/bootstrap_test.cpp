// Bootstrap: determinism, known sampling distributions, and the paired test with and without a difference.
#include "minbert/stats/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "minbert/base/parallel.h"
#include "tests/base/error_matchers.h"
#include "tests/stats/golden.h"

namespace minbert {
namespace {

using Values = std::vector<double>;

/// `rows` binary labels, and predictions that are right with probability `accuracy`.
std::pair<Values, Values> coin_rows(std::size_t rows, double accuracy, std::uint64_t seed) {
  Rng rng(seed, "coin");
  Values gold(rows), predicted(rows);
  for (std::size_t i = 0; i < rows; ++i) {
    gold[i] = static_cast<double>(rng.below(2));
    predicted[i] = rng.uniform() < accuracy ? gold[i] : 1 - gold[i];
  }
  return {gold, predicted};
}

TEST(Bootstrap, QuantilesEqualNumPy) {
  const Json& table = golden()["percentiles"];
  const auto values = table["values"].get<Values>();
  for (std::size_t i = 0; i < table["q"].size(); ++i) {
    EXPECT_NEAR(quantile(values, table["q"][i].get<double>()), table["result"][i].get<double>(), 1e-15);
  }
  EXPECT_EQ(quantile(Values{3}, 0.7), 3);
}

TEST(Bootstrap, AccuracyIntervalIsTheBinomialOne) {
  const auto [gold, predicted] = coin_rows(2000, 0.8, 1);
  Rng rng(11, "bootstrap");
  const Interval interval = bootstrap_interval(Metric::kAccuracy, gold, predicted, {.resamples = 4000}, rng);
  const double deviation = std::sqrt(interval.estimate * (1 - interval.estimate) / 2000);
  EXPECT_EQ(interval.estimate, compute_metric(Metric::kAccuracy, gold, predicted).value);
  EXPECT_NEAR(interval.low, interval.estimate - 1.96 * deviation, 0.15 * deviation);
  EXPECT_NEAR(interval.high, interval.estimate + 1.96 * deviation, 0.15 * deviation);
}

TEST(Bootstrap, EveryRowIsDrawnEquallyOften) {
  // The number of rows is not a multiple of 4, so that part of the last block of random words is unused.
  constexpr std::size_t kRows = 7;
  constexpr int kResamples = 20000;
  set_num_threads(1);
  std::vector<int> counts(kRows);
  const Statistic count = [&](std::span<const std::int32_t> rows) {
    for (const auto row : rows) ++counts.at(static_cast<std::size_t>(row));
    return Score{};
  };
  Rng rng(5, "bootstrap");
  bootstrap_interval(kRows, count, {.resamples = kResamples}, rng);
  // Each row is drawn about 20,000 times (and twice on all rows); five standard deviations are 5 * sqrt(140000 * 1/7 * 6/7).
  for (const int c : counts) EXPECT_NEAR(c, kResamples + 2, 655);
}

TEST(Bootstrap, ThreadsChangeNothingAndSeedsDo) {
  const auto [gold, predicted] = coin_rows(301, 0.7, 2);
  const auto run = [&, g = gold, p = predicted](int threads, std::uint64_t seed) {
    set_num_threads(threads);
    Rng rng(seed, "bootstrap");
    return bootstrap_interval(Metric::kMcc, g, p, {.resamples = 500}, rng);
  };
  const Interval one = run(1, 3), three = run(3, 3), other = run(1, 4);
  set_num_threads(1);
  EXPECT_EQ(one.low, three.low);
  EXPECT_EQ(one.high, three.high);
  EXPECT_TRUE(one.low != other.low || one.high != other.high);
  Rng rng(3, "bootstrap");
  const Interval first = bootstrap_interval(Metric::kMcc, gold, predicted, {.resamples = 500}, rng);
  const Interval second = bootstrap_interval(Metric::kMcc, gold, predicted, {.resamples = 500}, rng);
  EXPECT_TRUE(first.low != second.low || first.high != second.high) << "the second call must draw anew";
}

TEST(Bootstrap, PairedTestSeesADifferenceAndNoneWhereThereIsNone) {
  const auto [gold, weak] = coin_rows(1500, 0.70, 6);
  Values strong = weak;
  Rng noise(8, "noise");
  for (std::size_t i = 0; i < gold.size(); ++i) {
    if (noise.uniform() < 0.15) strong[i] = gold[i];
  }
  Rng rng(9, "bootstrap");
  const auto better = paired_bootstrap(Metric::kAccuracy, gold, weak, strong, {}, rng);
  EXPECT_GT(better.b, better.a);
  EXPECT_EQ(better.difference.estimate, better.b - better.a);
  EXPECT_GT(better.difference.low, 0);
  EXPECT_DOUBLE_EQ(better.p_value, 1.0 / 1001);
  const auto same = paired_bootstrap(Metric::kAccuracy, gold, weak, weak, {}, rng);
  EXPECT_EQ(same.p_value, 1);
  EXPECT_EQ(same.difference.low, 0);
  EXPECT_EQ(same.difference.high, 0);
  const auto swapped = paired_bootstrap(Metric::kAccuracy, gold, strong, weak, {}, rng);
  EXPECT_LT(swapped.difference.high, 0);
  EXPECT_DOUBLE_EQ(swapped.p_value, 1.0 / 1001);
}

TEST(Bootstrap, PairedPValueAgreesWithTheNormalOne) {
  const auto [gold, a] = coin_rows(4000, 0.75, 12);
  Values b = a;
  Rng noise(13, "noise");
  for (std::size_t i = 0; i < gold.size(); ++i) {
    if (noise.uniform() < 0.05) b[i] = noise.uniform() < 0.60 ? gold[i] : 1 - gold[i];
  }
  double sum = 0, squares = 0;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    const double d = (b[i] == gold[i] ? 1 : 0) - (a[i] == gold[i] ? 1 : 0);
    sum += d;
    squares += d * d;
  }
  const double mean = sum / 4000, deviation = std::sqrt((squares / 4000 - mean * mean) / 4000);
  const double normal = std::erfc(std::abs(mean) / deviation / std::sqrt(2.0));
  Rng rng(14, "bootstrap");
  const auto test = paired_bootstrap(Metric::kAccuracy, gold, a, b, {.resamples = 4000}, rng);
  ASSERT_GT(normal, 0.01);
  ASSERT_LT(normal, 0.9);
  EXPECT_NEAR(test.p_value, normal, 0.03);
}

TEST(Bootstrap, NotANumberShows) {
  // About 4 resamples of 1000 draw one row four times, which are too few to reach a percentile by sorting.
  const Statistic rarely = [](std::span<const std::int32_t> rows) {
    const bool constant = std::all_of(rows.begin(), rows.end(), [&](std::int32_t row) { return row == 2; });
    return Score{constant ? std::numeric_limits<double>::quiet_NaN() : 1.0};
  };
  Rng rng(1, "bootstrap");
  const Interval interval = bootstrap_interval(4, rarely, {}, rng);
  EXPECT_EQ(interval.estimate, 1);
  EXPECT_TRUE(std::isnan(interval.low) && std::isnan(interval.high));
}

TEST(Bootstrap, ResamplesWithoutAScoreAreLeftOut) {
  // One positive row of ten: about 35 of 100 resamples have none, so that F1 is undefined there. All answers are right.
  std::vector<double> gold(10), wrong(10);
  gold[3] = wrong[4] = 1;
  Rng rng(1, "bootstrap");
  const Interval interval = bootstrap_interval(Metric::kF1, gold, gold, {}, rng);
  EXPECT_EQ(interval.low, 1);
  EXPECT_EQ(interval.high, 1);
  const PairedDifference better = paired_bootstrap(Metric::kF1, gold, wrong, gold, {}, rng);
  EXPECT_EQ(better.difference.low, 1);
  EXPECT_EQ(better.difference.high, 1);

  // A score that is undefined on all rows is 0 on all resamples too: that of constant answers.
  std::vector<double> numbers(10), constant(10, 2.0);
  std::iota(numbers.begin(), numbers.end(), 0.0);
  const Interval none = bootstrap_interval(Metric::kPearson, numbers, constant, {}, rng);
  EXPECT_EQ(none.low, 0);
  EXPECT_EQ(none.high, 0);
  const PairedDifference whole = paired_bootstrap(Metric::kPearson, numbers, constant, numbers, {}, rng);
  EXPECT_NEAR(whole.difference.low, 1, 1e-12);
  EXPECT_LT(whole.p_value, 0.01);
}

TEST(Bootstrap, BrokenCallsAreRefused) {
  Rng rng(1, "bootstrap");
  const Values none, one = {1};
  expect_error(ErrorTag::kInternal, {"0 rows"}, [&] { bootstrap_interval(Metric::kAccuracy, none, none, {}, rng); });
  expect_error(ErrorTag::kInternal, {"0 resamples"}, [&] { bootstrap_interval(Metric::kAccuracy, one, one, {.resamples = 0}, rng); });
  expect_error(ErrorTag::kInternal, {"confidence 1"}, [&] { bootstrap_interval(Metric::kAccuracy, one, one, {.confidence = 1}, rng); });
  expect_error(ErrorTag::kInternal, {"1 gold values, 0 predictions"}, [&] { bootstrap_interval(Metric::kAccuracy, one, none, {}, rng); });
}

}  // namespace
}  // namespace minbert
