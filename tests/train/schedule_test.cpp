// Schedules give the factors of transformers 5.23.0.
#include "minbert/train/schedule.h"

#include <gtest/gtest.h>

#include <vector>

namespace minbert {
namespace {

constexpr std::int64_t kSteps[] = {0, 1, 2, 3, 4, 7, 9, 10, 11};

std::vector<double> factors(ScheduleKind kind, std::int64_t warmup_steps, std::int64_t total_steps) {
  std::vector<double> result;
  for (const std::int64_t step : kSteps) result.push_back(lr_factor(kind, step, warmup_steps, total_steps));
  return result;
}

// Printed by get_*_schedule_with_warmup(optimizer, warmup, total).lr_lambdas[0] at kSteps; equal to the last bit.
TEST(Schedule, EqualsTransformers) {
  using enum ScheduleKind;
  using Factors = std::vector<double>;
  EXPECT_EQ(factors(kConstant, 0, 10), Factors(9, 1.0));
  EXPECT_EQ(factors(kConstant, 3, 10), (Factors{0, 0.3333333333333333, 0.6666666666666666, 1, 1, 1, 1, 1, 1}));
  EXPECT_EQ(factors(kLinear, 0, 10), (Factors{1, 0.9, 0.8, 0.7, 0.6, 0.3, 0.1, 0, 0}));
  EXPECT_EQ(factors(kLinear, 3, 10),
            (Factors{0, 0.3333333333333333, 0.6666666666666666, 1, 0.8571428571428571, 0.42857142857142855, 0.14285714285714285, 0, 0}));
  EXPECT_EQ(factors(kLinear, 10, 10), (Factors{0, 0.1, 0.2, 0.3, 0.4, 0.7, 0.9, 0, 0}));
  EXPECT_EQ(factors(kCosine, 0, 10), (Factors{1, 0.9755282581475768, 0.9045084971874737, 0.7938926261462366, 0.6545084971874737,
                                              0.2061073738537635, 0.024471741852423234, 0, 0.024471741852423234}));
  EXPECT_EQ(factors(kCosine, 3, 10), (Factors{0, 0.3333333333333333, 0.6666666666666666, 1, 0.9504844339512095, 0.38873953302184283,
                                              0.04951556604879048, 0, 0.04951556604879043}));
  EXPECT_EQ(factors(kCosine, 10, 10), (Factors{0, 0.1, 0.2, 0.3, 0.4, 0.7, 0.9, 1, 0}));
}

TEST(Schedule, LongRunsEqualTransformers) {
  EXPECT_EQ(lr_factor(ScheduleKind::kLinear, 777, 1234, 20000), 0.6296596434359806);
  EXPECT_EQ(lr_factor(ScheduleKind::kLinear, 5000, 1234, 20000), 0.7993179153788766);
  EXPECT_EQ(lr_factor(ScheduleKind::kLinear, 19999, 1234, 20000), 5.328786102525844e-05);
  EXPECT_DOUBLE_EQ(lr_factor(ScheduleKind::kCosine, 5000, 1234, 20000), 0.9038778064389423);
  EXPECT_DOUBLE_EQ(lr_factor(ScheduleKind::kCosine, 19999, 1234, 20000), 7.00642260875739e-09);
}

TEST(Schedule, NothingPlannedDividesByNothing) {
  EXPECT_EQ(lr_factor(ScheduleKind::kConstant, 0, 0, 0), 1);
  EXPECT_EQ(lr_factor(ScheduleKind::kLinear, 0, 0, 0), 0);
  EXPECT_EQ(lr_factor(ScheduleKind::kCosine, 0, 0, 0), 1);
}

}  // namespace
}  // namespace minbert
