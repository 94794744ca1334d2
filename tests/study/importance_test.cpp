// Importance for trials whose scores are computed from their values.
#include "minbert/study/importance.h"

#include <gtest/gtest.h>

#include "minbert/base/rng.h"

namespace minbert {
namespace {

TEST(Importance, ShareBetweenGroupsByHand) {
  // Groups {1, 2, 3} and {7, 8, 9}: the sum of squares is 4 within groups (4 degrees of freedom) and 58 in total (5).
  EXPECT_DOUBLE_EQ(share_between({0, 0, 0, 1, 1, 1}, {1, 2, 3, 7, 8, 9}), 1 - (4.0 / 4) / (58.0 / 5));
  EXPECT_EQ(share_between({0, 1, 0, 1, 0, 1}, {1, 2, 3, 3, 2, 1}), 0) << "less than chance";
  EXPECT_EQ(share_between({0, 0, 0}, {1, 2, 3}), 0);
  EXPECT_EQ(share_between({0, 1, 2}, {1, 2, 3}), 0);
  EXPECT_EQ(share_between({0, 1, 0, 1}, {5, 5, 5, 5}), 0);
}

class ImportanceTest : public testing::Test {
 protected:
  ImportanceTest() {
    for (const char* key : {"noise", "lr", "kind"})
      file_.space.push_back({.key = key, .kind = DrawKind::kUniform, .low = 0, .high = 1, .values = {}});
    file_.space[2].kind = DrawKind::kChoice;
  }
  std::vector<Trial> trials(int count) {
    Rng rng(3, "importance");
    std::vector<Trial> out;
    for (int i = 0; i < count; ++i) {
      const double lr = rng.uniform(), noise = rng.uniform();
      const bool good = rng.below(2) == 1;
      Trial trial{.number = i, .values = {{"lr", lr}, {"noise", noise}, {"kind", good ? "a" : "b"}}, .planned_steps = 10, .evals = {}};
      trial.state = TrialState::kDone;
      trial.score = -lr + (good ? 0.3 : 0.0);
      out.push_back(trial);
    }
    return out;
  }
  SearchFile file_;
};

TEST_F(ImportanceTest, FindsWhatScoresAreMadeOf) {
  const auto found = importance_of(file_, trials(60));
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[0].key, "lr");
  EXPECT_EQ(found[1].key, "kind");
  EXPECT_EQ(found[2].key, "noise");
  EXPECT_GT(found[0].share, 0.5);
  EXPECT_GT(found[1].share, 0.1);
  EXPECT_LT(found[2].share, 0.1);
  EXPECT_LT(*found[0].trend, -0.7);
  EXPECT_FALSE(found[1].trend.has_value());
}

TEST_F(ImportanceTest, FewTrialsSayNothingAndFailedOnesRankLast) {
  EXPECT_TRUE(importance_of(file_, trials(7)).empty());
  auto some = trials(40);
  for (Trial& trial : some) trial.score = 0.5;
  for (Trial& trial : some) {
    if (trial.values["kind"] != "b") continue;
    trial.state = TrialState::kFailed;
    trial.score.reset();
  }
  const auto found = importance_of(file_, some);
  EXPECT_EQ(found[0].key, "kind");
  EXPECT_GT(found[0].share, 0.99);
  some[0].state = TrialState::kRunning;
  some.resize(8);
  EXPECT_TRUE(importance_of(file_, some).empty()) << "one of the eight still runs";
}

}  // namespace
}  // namespace minbert
