// Calibration and McNemar's test against scikit-learn, statsmodels and figures computed by hand.
#include "minbert/stats/calibration.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <vector>

#include "minbert/stats/mcnemar.h"
#include "tests/base/error_matchers.h"
#include "tests/stats/golden.h"

namespace minbert {
namespace {

using Labels = std::vector<int>;
using Values = std::vector<double>;

TEST(Calibration, BrierScoresEqualScikitLearn) {
  const Json& binary = golden()["brier_binary"];
  EXPECT_NEAR(brier_score(binary["gold"].get<Labels>(), binary["probability"].get<Values>()), binary["score"].get<double>(),
              kGoldenTolerance);
  const Json& classes = golden()["brier_classes"];
  EXPECT_NEAR(brier_score(classes["gold"].get<Labels>(), classes["probability"].get<Values>(), classes["classes"].get<int>()),
              classes["score"].get<double>(), kGoldenTolerance);
}

TEST(Calibration, BinsAreOpenBelowAndClosedAbove) {
  const auto bins = reliability_bins(Values{0.0, 0.25, 0.2500001, 0.5, 1.0}, Labels{0, 1, 1, 0, 1}, 4);
  ASSERT_EQ(bins.size(), 4u);
  EXPECT_EQ(bins[0].rows, 2);
  EXPECT_EQ(bins[1].rows, 2);
  EXPECT_EQ(bins[2].rows, 0);
  EXPECT_EQ(bins[3].rows, 1);
  EXPECT_DOUBLE_EQ(bins[0].confidence, 0.125);
  EXPECT_DOUBLE_EQ(bins[0].accuracy, 0.5);
  EXPECT_EQ(bins[2].confidence, 0);
  EXPECT_DOUBLE_EQ(bins[1].low, 0.25);
  EXPECT_DOUBLE_EQ(bins[3].high, 1.0);
}

TEST(Calibration, EveryEdgeFallsInTheBinThatItCloses) {
  constexpr int kBins = 100;
  Values edges;
  for (int b = 1; b <= kBins; ++b) edges.push_back(static_cast<double>(b) / kBins);
  for (const auto& bin : reliability_bins(edges, Labels(kBins, 1), kBins)) EXPECT_EQ(bin.rows, 1) << bin.high;
}

TEST(Calibration, ErrorOfKnownRows) {
  // Two bins: confidences .3 and .4 with one right (.5 against .35), and .9, .7 and .8 with none right (0 against .8).
  const auto bins = reliability_bins(Values{0.3, 0.4, 0.9, 0.7, 0.8}, Labels{0, 1, 0, 0, 0}, 2);
  EXPECT_NEAR(expected_calibration_error(bins), (2 * 0.15 + 3 * 0.8) / 5, 1e-15);
  EXPECT_EQ(expected_calibration_error(reliability_bins(Values{}, Labels{})), 0);
}

TEST(Calibration, AccuracyByCoverage) {
  const std::vector<double> confidence = {0.6, 0.9, 0.5, 0.8, 0.7};
  const std::vector<int> correct = {0, 1, 0, 1, 0};
  std::vector<std::array<double, 4>> found;
  for (const CoveragePoint& point : accuracy_by_coverage(confidence, correct, 5))
    found.push_back({point.confidence, static_cast<double>(point.rows), point.coverage, point.accuracy});
  EXPECT_EQ(found, (decltype(found){{0.9, 1, 0.2, 1}, {0.8, 2, 0.4, 1}, {0.7, 3, 0.6, 2.0 / 3}, {0.6, 4, 0.8, 0.5}, {0.5, 5, 1, 0.4}}));
  EXPECT_TRUE(accuracy_by_coverage({}, {}).empty());
}

TEST(Calibration, RowsOfEqualConfidenceStayTogether) {
  std::vector<double> confidence(100, 0.9);
  std::vector<int> correct(100, 1);
  for (std::size_t i = 60; i < 100; ++i) confidence[i] = 0.5 - 0.001 * static_cast<double>(i), correct[i] = 0;
  const auto points = accuracy_by_coverage(confidence, correct, 10);
  ASSERT_EQ(points.size(), 5u) << "0.6, then 0.7 ... 1";
  EXPECT_EQ(points[0].rows, 60);
  EXPECT_EQ(points[0].accuracy, 1);
  EXPECT_EQ(points[1].rows, 70);
  EXPECT_EQ(points[4].rows, 100);
  EXPECT_DOUBLE_EQ(points[4].accuracy, 0.6);
}

TEST(Calibration, TemperatureOfKnownRows) {
  // Three rows of four are right where the logits say log 9: the likeliest difference is log 3.
  const std::vector<double> sigmoids = {std::log(9.0), std::log(9.0), -std::log(9.0), std::log(9.0)};
  EXPECT_NEAR(fit_temperature(sigmoids, std::vector<int>{1, 1, 0, 0}), 2, 1e-6);
  const std::vector<double> two = {0, std::log(9.0), 5, 5 + std::log(9.0), 1, 1 + std::log(9.0), 0, std::log(9.0)};
  EXPECT_NEAR(fit_temperature(two, std::vector<int>{1, 1, 1, 0}, 2), 2, 1e-6);
  EXPECT_EQ(fit_temperature({}, std::span<const int>()), 1);
}

TEST(Calibration, RowsThatAreAllRightDecideNoTemperature) {
  for (const double margin : {0.5, 1.5, 2.0, 8.0, 100.0})
    EXPECT_EQ(fit_temperature(Values{0, margin + 1, 0, margin}, Labels{1, 1}, 2), 1) << margin;
  EXPECT_EQ(fit_temperature(Values{3, -2}, Labels{1, 0}), 1);
}

TEST(Calibration, SureAnswersThatAreOftenWrongAreMadeUnsure) {
  EXPECT_EQ(fit_temperature(Values{0, 1, 0, 1}, Labels{0, 0}, 2), 1000) << "all wrong: the less sure the better";
  // Eleven rows of twenty are right where the logits say 10: the likeliest difference is log(11 / 9).
  Values logits;
  Labels labels;
  for (int i = 0; i < 20; ++i) {
    logits.insert(logits.end(), {0, 10});
    labels.push_back(i < 11);
  }
  EXPECT_NEAR(fit_temperature(logits, labels, 2), 10 / std::log(11.0 / 9), 1e-4);
}

TEST(Calibration, ThresholdsMakeF1Highest) {
  EXPECT_EQ(best_threshold(std::vector<int>{1, 0, 1, 0}, std::vector<double>{0.9, 0.8, 0.25, 0.125}), 0.1875);  // F1 .8
  EXPECT_EQ(best_threshold(std::vector<int>{1, 0}, std::vector<double>{0.9, 0.2}), 0.5);                        // any between is as good
  EXPECT_EQ(best_threshold(std::vector<int>{0, 0}, std::vector<double>{0.9, 0.2}), 0.5);
  EXPECT_EQ(best_threshold(std::vector<int>{1, 0, 1}, std::vector<double>{0.3, 0.2, 0.3}), 0.25);  // equal ones stay together
}

TEST(Calibration, BrokenCallsAreRefused) {
  expect_error(ErrorTag::kInternal, {"confidence 1.5"}, [] { reliability_bins(Values{1.5}, Labels{1}); });
  expect_error(ErrorTag::kInternal, {"confidence nan"}, [] { reliability_bins(Values{std::nan("")}, Labels{1}); });
  expect_error(ErrorTag::kInternal, {"label 2"}, [] { brier_score(Labels{2}, Values{0.5}); });
  expect_error(ErrorTag::kInternal, {"3 probabilities"}, [] { brier_score(Labels{0, 1}, Values{1, 0, 0}, 2); });
}

TEST(McNemar, EqualsStatsmodels) {
  for (const Json& row : golden()["mcnemar"]) {
    const auto a = row["only_a"].get<std::int64_t>(), b = row["only_b"].get<std::int64_t>();
    SCOPED_TRACE(fmt::format("{} and {}", a, b));
    const McNemar test = mcnemar_test(a, b);
    EXPECT_EQ(test.exact, a + b < 25);
    EXPECT_DOUBLE_EQ(test.statistic, row["statistic"].get<double>());
    EXPECT_NEAR(test.p_value, row["p_value"].get<double>(), kGoldenTolerance * row["p_value"].get<double>());
  }
}

TEST(McNemar, EqualCountsAreNoEvidence) {
  EXPECT_EQ(mcnemar_test(50, 50).p_value, 1);
  EXPECT_EQ(mcnemar_test(50, 50).statistic, 0);
}

TEST(McNemar, CountsRowsThatOneSystemAloneGetsRight) {
  const McNemar test = mcnemar_test(Labels{0, 1, 2, 3, 4}, Labels{0, 1, 2, 0, 0}, Labels{0, 0, 0, 3, 1});
  EXPECT_EQ(test.only_a, 2);
  EXPECT_EQ(test.only_b, 1);
}

}  // namespace
}  // namespace minbert
