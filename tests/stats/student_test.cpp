// Student's t against printed tables, and cases small enough to compute by hand.
#include "minbert/stats/student.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <utility>

namespace minbert {
namespace {

TEST(Student, QuantilesAreThoseOfTheTables) {
  const std::pair<int, double> table[] = {{1, 12.7062}, {2, 4.30265},  {3, 3.18245},  {4, 2.77645},  {5, 2.57058},
                                          {9, 2.26216}, {10, 2.22814}, {29, 2.04523}, {120, 1.97993}};
  for (const auto& [degrees, expected] : table) EXPECT_NEAR(student_quantile(0.95, degrees), expected, 5e-6 * expected) << degrees;
  EXPECT_NEAR(student_quantile(0.99, 4), 4.60409, 1e-5);
}

TEST(Student, FewDegreesHaveClosedForms) {
  for (const double t : {0.0, 0.3, 1.0, 7.5, 1e4}) {
    EXPECT_NEAR(student_within(t, 1), 2 / M_PI * std::atan(t), 1e-14);
    EXPECT_NEAR(student_within(t, 2), t / std::sqrt(t * t + 2), 1e-14);
  }
}

TEST(Student, SeedsAreComparedInPairs) {
  // Differences 1, 2 and 3: mean 2, standard deviation 1, t = 2 sqrt(3).
  const PairedSeeds result = compare_seeds(std::array{5.0, 1.0, 9.0}, std::array{6.0, 3.0, 12.0});
  EXPECT_DOUBLE_EQ(result.a, 5);
  EXPECT_DOUBLE_EQ(result.b, 7);
  EXPECT_DOUBLE_EQ(result.difference.estimate, 2);
  EXPECT_DOUBLE_EQ(result.deviation, 1);
  EXPECT_NEAR(result.difference.low, 2 - 4.30265 / std::sqrt(3), 1e-5);
  EXPECT_NEAR(result.difference.high, 2 + 4.30265 / std::sqrt(3), 1e-5);
  EXPECT_NEAR(result.p_value, 1 - std::sqrt(12.0 / 14), 1e-12);
}

TEST(Student, EqualDifferencesLeaveNoDoubt) {
  const PairedSeeds same = compare_seeds(std::array{1.0, 2.0}, std::array{1.0, 2.0});
  EXPECT_EQ(same.p_value, 1);
  EXPECT_EQ(same.difference.low, 0);
  const PairedSeeds moved = compare_seeds(std::array{1.0, 2.0}, std::array{2.0, 3.0});
  EXPECT_EQ(moved.p_value, 0);
  EXPECT_EQ(moved.difference.high, 1);
}

}  // namespace
}  // namespace minbert
