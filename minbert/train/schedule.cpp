// The schedules in double precision, in the Python originals' order of operations.
#include "minbert/train/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "minbert/base/check.h"

namespace minbert {
namespace {

double ratio(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(std::max<std::int64_t>(1, whole));
}

}  // namespace

double lr_factor(ScheduleKind kind, std::int64_t step, std::int64_t warmup_steps, std::int64_t total_steps) {
  MINBERT_CHECK(step >= 0 && warmup_steps >= 0, "step {}, {} warm-up steps", step, warmup_steps);
  if (step < warmup_steps) return ratio(step, warmup_steps);
  const std::int64_t decay_steps = total_steps - warmup_steps;
  switch (kind) {
    case ScheduleKind::kConstant: return 1;
    case ScheduleKind::kLinear: return std::max(0.0, ratio(total_steps - step, decay_steps));
    case ScheduleKind::kCosine: return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * ratio(step - warmup_steps, decay_steps))));
  }
  return 1;
}

}  // namespace minbert
