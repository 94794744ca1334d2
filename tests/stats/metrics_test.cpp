// Metrics, ranks, confusion matrices and fitted lines against scikit-learn and SciPy, and in edge cases.
#include "minbert/stats/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "minbert/stats/regression.h"
#include "tests/base/error_matchers.h"
#include "tests/stats/golden.h"

namespace minbert {
namespace {

using Labels = std::vector<int>;
using Values = std::vector<double>;

Score labels_score(Metric metric, const Labels& gold, const Labels& predicted) { return compute_metric(metric, gold, predicted); }
Score values_score(Metric metric, const Values& gold, const Values& predicted) { return compute_metric(metric, gold, predicted); }

TEST(Metrics, LabelScoresEqualScikitLearn) {
  for (const Json& row : golden()["labels"]) {
    SCOPED_TRACE(row["name"].get<std::string>());
    const auto gold = row["gold"].get<Labels>(), predicted = row["predicted"].get<Labels>();
    for (const Metric metric : {Metric::kAccuracy, Metric::kMacroF1, Metric::kF1, Metric::kMcc}) {
      const auto expected = row[std::string(option_name(metric))].get<double>();
      EXPECT_NEAR(labels_score(metric, gold, predicted).value, expected, kGoldenTolerance) << option_name(metric);
      const Values g(gold.begin(), gold.end()), p(predicted.begin(), predicted.end());
      EXPECT_EQ(values_score(metric, g, p).value, labels_score(metric, gold, predicted).value) << option_name(metric);
    }
  }
}

TEST(Metrics, ConfusionAndClassScoresEqualScikitLearn) {
  for (const Json& row : golden()["labels"]) {
    SCOPED_TRACE(row["name"].get<std::string>());
    const auto matrix = confusion_matrix(row["gold"].get<Labels>(), row["predicted"].get<Labels>(), row["classes"].get<int>());
    EXPECT_EQ(matrix.counts, row["confusion"].get<std::vector<std::int64_t>>());
    const auto scores = class_scores(matrix);
    ASSERT_EQ(scores.size(), row["precision"].size());
    for (std::size_t k = 0; k < scores.size(); ++k) {
      EXPECT_NEAR(scores[k].precision, row["precision"][k].get<double>(), kGoldenTolerance);
      EXPECT_NEAR(scores[k].recall, row["recall"][k].get<double>(), kGoldenTolerance);
      EXPECT_NEAR(scores[k].f1, row["class_f1"][k].get<double>(), kGoldenTolerance);
      EXPECT_EQ(scores[k].gold, row["support"][k].get<std::int64_t>());
    }
  }
}

TEST(Metrics, ScoresOfSetsEqualScikitLearn) {
  // Bit k says whether label k is in the set. The expected numbers are sklearn.metrics' f1_score and accuracy_score of the indicators.
  const std::vector<double> gold = {3, 0, 4, 6, 1, 2, 5}, predicted = {1, 2, 4, 2, 1, 3, 0};
  EXPECT_NEAR(compute_set_metric(Metric::kMicroF1, gold, predicted, 3).value, 0.625, 1e-15);
  EXPECT_NEAR(compute_set_metric(Metric::kMacroF1, gold, predicted, 3).value, 0.611111111111111, 1e-15);
  EXPECT_NEAR(compute_set_metric(Metric::kMacroF1, gold, predicted, 4).value, 0.458333333333333, 1e-15) << "a label that nobody has";
  EXPECT_NEAR(compute_set_metric(Metric::kSubsetAccuracy, gold, predicted, 3).value, 2.0 / 7, 1e-15);
  const auto labels = set_scores(gold, predicted, 3);
  EXPECT_EQ(labels[2].f1, 0.5);
  EXPECT_EQ(labels[2].gold, 3);
  const std::vector<double> none = {0, 0};
  EXPECT_FALSE(compute_set_metric(Metric::kMicroF1, none, none, 3).defined);
  EXPECT_EQ(compute_set_metric(Metric::kSubsetAccuracy, none, none, 3).value, 1);
  for (const auto& [metric, name] : option_names(Metric{}))
    EXPECT_EQ(metric_fits(metric, Answers::kClasses) + metric_fits(metric, Answers::kValues) + metric_fits(metric, Answers::kSets),
              metric == Metric::kMacroF1 ? 2 : 1)
        << name;
}

TEST(Metrics, CorrelationsEqualSciPy) {
  for (const Json& row : golden()["values"]) {
    SCOPED_TRACE(row["name"].get<std::string>());
    const auto x = row["x"].get<Values>(), y = row["y"].get<Values>();
    EXPECT_NEAR(values_score(Metric::kPearson, x, y).value, row["pearson"].get<double>(), kGoldenTolerance);
    EXPECT_NEAR(values_score(Metric::kSpearman, x, y).value, row["spearman"].get<double>(), kGoldenTolerance);
    EXPECT_EQ(average_ranks(x), row["ranks"].get<Values>());
  }
}

TEST(Metrics, FittedLinesEqualSciPy) {
  for (const Json& row : golden()["values"]) {
    if (row["line"].is_null()) continue;
    SCOPED_TRACE(row["name"].get<std::string>());
    const FittedLine line = fit_line(row["x"].get<Values>(), row["y"].get<Values>());
    // SciPy divides covariances that were already divided by the number of rows; an offset of 1e6 amplifies the rounding difference.
    for (const auto& [got, expected] :
         {std::pair(line.slope, row["line"][0].get<double>()), {line.intercept, row["line"][1].get<double>()}}) {
      EXPECT_NEAR(got, expected, 1e-10 * std::abs(expected));
    }
    EXPECT_NEAR(line.correlation, row["pearson"].get<double>(), kGoldenTolerance);
  }
}

TEST(Metrics, FlatAndVerticalLines) {
  const FittedLine flat = fit_line(Values{1, 2, 3}, Values{5, 5, 5});
  EXPECT_TRUE(flat.defined);
  EXPECT_EQ(flat.slope, 0);
  EXPECT_EQ(flat.intercept, 5);
  EXPECT_FALSE(fit_line(Values{2, 2, 2}, Values{1, 2, 3}).defined);
  EXPECT_EQ(fit_line(Values{2, 2, 2}, Values{1, 2, 3}).intercept, 2);
  EXPECT_FALSE(fit_line(Values{}, Values{}).defined);
}

TEST(Metrics, ConstantInputScoresZeroAndSaysSo) {
  // Ten times 0.1 does not sum to 1, so that the mean differs from every value. That must not count as variance.
  const Values constant(10, 0.1), varied = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  for (const Metric metric : {Metric::kPearson, Metric::kSpearman}) {
    for (const Score score : {values_score(metric, constant, varied), values_score(metric, varied, constant)}) {
      EXPECT_EQ(score.value, 0);
      EXPECT_FALSE(score.defined);
    }
    EXPECT_TRUE(values_score(metric, varied, varied).defined);
    EXPECT_FALSE(values_score(metric, Values{1}, Values{2}).defined);
  }
  EXPECT_FALSE(labels_score(Metric::kMcc, {0, 1, 1}, {1, 1, 1}).defined);
  EXPECT_FALSE(labels_score(Metric::kF1, {0, 2}, {2, 0}).defined);
  EXPECT_TRUE(labels_score(Metric::kMacroF1, {0, 1}, {1, 0}).defined);
}

TEST(Metrics, NoRowsScoreZeroAndSaySo) {
  for (const auto& [metric, name] : option_names(Metric{})) {
    if (metric_fits(metric, Answers::kSets)) {
      EXPECT_EQ(compute_set_metric(metric, {}, {}, 3).value, 0) << name;
      EXPECT_FALSE(compute_set_metric(metric, {}, {}, 3).defined) << name;
    }
    if (metric == Metric::kMicroF1 || metric == Metric::kSubsetAccuracy) continue;
    EXPECT_EQ(labels_score(metric, {}, {}).value, 0) << name;
    EXPECT_FALSE(labels_score(metric, {}, {}).defined) << name;
  }
}

TEST(Metrics, NotANumberIsNeverAScore) {
  for (const Metric metric : {Metric::kPearson, Metric::kSpearman}) {
    for (const double bad : {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
      EXPECT_TRUE(std::isnan(values_score(metric, {1, 2, 3}, {1, bad, 2}).value));
      EXPECT_TRUE(std::isnan(values_score(metric, {bad, bad, bad}, {1, 3, 2}).value));
    }
  }
}

TEST(Metrics, BrokenCallsAreRefused) {
  expect_error(ErrorTag::kInternal, {"2 gold labels, 1 predictions"}, [] { labels_score(Metric::kAccuracy, {0, 1}, {0}); });
  expect_error(ErrorTag::kInternal, {"labels from -1"}, [] { labels_score(Metric::kMcc, {0, -1}, {0, 1}); });
  expect_error(ErrorTag::kInternal, {"labels from 0 to 2000000000"}, [] { labels_score(Metric::kMcc, {0, 2000000000}, {0, 1}); });
  expect_error(ErrorTag::kInternal, {"label 0.5 in row 1"}, [] { values_score(Metric::kF1, {0, 1}, {0, 0.5}); });
  expect_error(ErrorTag::kInternal, {"label nan in row 0"}, [] { values_score(Metric::kF1, {0}, {std::nan("")}); });
  expect_error(ErrorTag::kInternal, {"1 and 2 values"}, [] { values_score(Metric::kSpearman, {0}, {0, 1}); });
  expect_error(ErrorTag::kInternal, {"row 1: gold 2"}, [] { confusion_matrix(Labels{0, 2}, Labels{0, 1}, 2); });
}

}  // namespace
}  // namespace minbert
