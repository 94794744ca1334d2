// EpochSelection: which epochs are kept, and when a stage stops early.
#include "minbert/train/selection.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

using Names = std::vector<std::string>;
const Names kTasks = {"a", "b"};

TEST(EpochSelection, MeanKeepsTheEarlierOfEquals) {
  EpochSelection selection(Selection::kMean, Ties::kFirst, 0);
  EXPECT_EQ(selection.offer(0, {{"a", 0.5}, {"b", 0.25}}, kTasks), kTasks);  // before training
  EXPECT_EQ(selection.offer(1, {{"a", 0.25}, {"b", 0.5}}, kTasks), Names());
  EXPECT_EQ(selection.best_epoch(), 0);
  EXPECT_EQ(selection.offer(2, {{"a", 0.25}, {"b", 0.75}}, kTasks), kTasks);
  EXPECT_EQ(selection.offer(3, {{"a", -1.0}, {"b", 0.9}}, kTasks), Names());
  EXPECT_EQ(selection.best_epoch(), 2);
}

TEST(EpochSelection, RoundingDecidesNoTie) {
  for (const Ties ties : {Ties::kFirst, Ties::kLast}) {
    EpochSelection selection(Selection::kMean, ties, 0);
    selection.offer(0, {{"a", 0.475}, {"b", 0.25}}, kTasks);
    selection.offer(1, {{"a", 0.525}, {"b", 0.2}}, kTasks);  // a mean that is larger by one bit
    selection.offer(2, {{"a", 0.475}, {"b", 0.25}}, kTasks);
    EXPECT_EQ(selection.best_epoch(), ties == Ties::kFirst ? 0 : 2);
  }
}

TEST(EpochSelection, TiesMayGoToTheLast) {
  EpochSelection selection(Selection::kMean, Ties::kLast, 0);
  for (const double score : {0.5, 0.5, 0.75, 0.75, 0.5}) selection.offer(selection.best_epoch() + 1, {{"a", score}}, kTasks);
  EXPECT_EQ(selection.best_epoch(), 3);
}

TEST(EpochSelection, PerTaskKeepsEachTasksOwn) {
  EpochSelection selection(Selection::kPerTask, Ties::kFirst, 0);
  EXPECT_EQ(selection.offer(0, {{"a", 0.5}, {"b", 0.5}}, kTasks), kTasks);
  EXPECT_EQ(selection.offer(1, {{"a", 0.6}, {"b", 0.5}}, kTasks), Names{"a"});
  EXPECT_EQ(selection.offer(2, {{"a", 0.55}, {"b", 0.7}}, kTasks), Names{"b"});
  EXPECT_EQ(selection.offer(3, {{"a", 0.6}}, kTasks), Names{"b"});  // a task without dev rows keeps its last epoch
}

TEST(EpochSelection, PatienceEndsAPlateauWhicheverEpochIsKept) {
  for (const Ties ties : {Ties::kFirst, Ties::kLast}) {
    EpochSelection selection(Selection::kMean, ties, 2);
    for (int epoch = 0; epoch < 3; ++epoch) {
      EXPECT_FALSE(selection.exhausted()) << epoch;
      selection.offer(epoch, {{"a", 0.5}}, kTasks);
    }
    EXPECT_TRUE(selection.exhausted());
    EXPECT_EQ(selection.best_epoch(), ties == Ties::kLast ? 2 : 0);
  }
}

TEST(EpochSelection, PatienceDoesNotWaitForATaskWithoutScores) {
  EpochSelection selection(Selection::kPerTask, Ties::kFirst, 2);
  for (int epoch = 0; epoch < 3; ++epoch) {
    EXPECT_FALSE(selection.exhausted()) << epoch;
    selection.offer(epoch, {{"a", 0.5}}, kTasks);
  }
  EXPECT_TRUE(selection.exhausted());
}

TEST(EpochSelection, LastTakesEveryEpoch) {
  EpochSelection selection(Selection::kLast, Ties::kFirst, 0);
  for (int epoch = 0; epoch < 3; ++epoch) EXPECT_EQ(selection.offer(epoch, {{"a", 1.0 - epoch}}, kTasks), kTasks);
  EXPECT_EQ(selection.best_epoch(), 2);
}

TEST(EpochSelection, PatienceCountsEpochsSinceTheBestAndSurvivesAResume) {
  EpochSelection whole(Selection::kMean, Ties::kFirst, 2);
  for (const auto& [epoch, score, exhausted] :
       {std::tuple(0, 0.1, false), {1, 0.0, false}, {2, 0.2, false}, {3, 0.2, false}, {4, 0.1, true}}) {
    EpochSelection resumed(Selection::kMean, Ties::kFirst, 2);
    resumed.restore(SelectionState::read({whole.state().json(), "state.json", ErrorTag::kModel}));
    resumed.offer(epoch, {{"a", score}}, kTasks);
    whole.offer(epoch, {{"a", score}}, kTasks);
    EXPECT_EQ(whole.exhausted(), exhausted) << epoch;
    EXPECT_EQ(resumed.state(), whole.state()) << epoch;
  }
  EXPECT_EQ(whole.best_epoch(), 2);
}

}  // namespace
}  // namespace minbert
