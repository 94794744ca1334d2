// Early stopping of synthetic curves.
#include "minbert/study/early_stop.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

SearchSection rule(StopRule stop, std::int64_t min_evals = 1, std::int64_t warmup_trials = 3, std::int64_t eta = 2) {
  SearchSection search;
  search.stop = stop;
  search.min_evals = min_evals;
  search.warmup_trials = warmup_trials;
  search.eta = eta;
  return search;
}

std::string reason(const SearchSection& search, std::span<const TrialCurve> others, const TrialCurve& own) {
  return reason_to_stop(search, others, own).value_or("none");
}

const std::vector<TrialCurve> kOthers = {{0.3, 0.5, 0.7}, {0.4, 0.4, 0.6}, {0.2, 0.6, 0.8}, {0.1}};

TEST(EarlyStop, MedianOfThoseWhoCameAsFar) {
  const SearchSection median = rule(StopRule::kMedian);
  EXPECT_FALSE(reason_to_stop(median, kOthers, {})) << "before training nothing is judged";
  EXPECT_EQ(reason(median, kOthers, {0.2}), "0.2000 is below the median 0.2500 of 4 trials at evaluation 1");
  EXPECT_FALSE(reason_to_stop(median, kOthers, {0.25}));
  EXPECT_TRUE(reason_to_stop(median, kOthers, {0.3, 0.49}));
  EXPECT_FALSE(reason_to_stop(median, kOthers, {0.3, 0.5})) << "the one that ended at evaluation 1 does not count";
  EXPECT_FALSE(reason_to_stop(median, kOthers, {0.3, 0.5, 0.5, 0.5})) << "nobody came as far";
}

TEST(EarlyStop, MedianWaitsForOthersAndForEvaluations) {
  EXPECT_FALSE(reason_to_stop(rule(StopRule::kMedian, 1, 5), kOthers, {0.0}));
  EXPECT_FALSE(reason_to_stop(rule(StopRule::kMedian, 1, 4), kOthers, {0.0, 0.0})) << "three came to evaluation 2";
  EXPECT_TRUE(reason_to_stop(rule(StopRule::kMedian, 1, 4), kOthers, {0.0}));
  EXPECT_FALSE(reason_to_stop(rule(StopRule::kMedian, 2), kOthers, {0.0}));
  EXPECT_TRUE(reason_to_stop(rule(StopRule::kMedian, 2), kOthers, {0.0, 0.0}));
  EXPECT_FALSE(reason_to_stop(rule(StopRule::kMedian), {}, {0.0}));
  EXPECT_FALSE(reason_to_stop(rule(StopRule::kNone), kOthers, {0.0}));
}

TEST(EarlyStop, HalvingJudgesAtRungsAlone) {
  const SearchSection halving = rule(StopRule::kHalving);
  const std::vector<TrialCurve> others(7, TrialCurve(8, 1.0));
  std::vector<std::int64_t> rungs;
  for (std::size_t evaluation = 1; evaluation < 9; ++evaluation)
    if (reason_to_stop(halving, others, TrialCurve(evaluation, 0.0))) rungs.push_back(static_cast<std::int64_t>(evaluation));
  EXPECT_EQ(rungs, (std::vector<std::int64_t>{1, 2, 4, 8}));
  rungs.clear();
  for (std::size_t evaluation = 1; evaluation < 9; ++evaluation)
    if (reason_to_stop(rule(StopRule::kHalving, 2, 1, 3), others, TrialCurve(evaluation, 0.0)))
      rungs.push_back(static_cast<std::int64_t>(evaluation));
  EXPECT_EQ(rungs, (std::vector<std::int64_t>{2, 6}));
}

TEST(EarlyStop, HalvingKeepsTheBestShare) {
  const SearchSection halving = rule(StopRule::kHalving, 1, 1, 2);
  EXPECT_FALSE(reason_to_stop(halving, {}, {0.0})) << "the first there goes on";
  EXPECT_FALSE(reason_to_stop(halving, kOthers, {0.2})) << "third of five, where three go on, equals sharing a rank";
  EXPECT_EQ(reason(halving, kOthers, {0.15}), "0.1500 is number 4 of 5 at evaluation 1, where 3 go on");
  EXPECT_EQ(reason(rule(StopRule::kHalving, 1, 20, 2), kOthers, {0.15}), "0.1500 is number 4 of 5 at evaluation 1, where 3 go on")
      << "warmup_trials is the median rule's";
  EXPECT_TRUE(reason_to_stop(rule(StopRule::kHalving, 1, 1, 5), kOthers, {0.3})) << "one of five";
  EXPECT_FALSE(reason_to_stop(rule(StopRule::kHalving, 1, 1, 5), kOthers, {0.4}));
}

}  // namespace
}  // namespace minbert
