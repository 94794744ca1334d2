// Learning-rate schedules: the factor of each optimizer step's rate.
#pragma once

#include <array>
#include <cstdint>

#include "minbert/base/options.h"

namespace minbert {

enum class ScheduleKind { kConstant, kLinear, kCosine };

/// The names in configurations.
constexpr std::array<OptionName<ScheduleKind>, 3> option_names(ScheduleKind) {
  return {{{ScheduleKind::kConstant, "constant"}, {ScheduleKind::kLinear, "linear"}, {ScheduleKind::kCosine, "cosine"}}};
}

/// The factor of optimizer step `step`, counted from 0. It rises from 0 to 1 over warmup_steps, then stays, or falls to 0 at total_steps.
/// Hugging Face transformers, optimization.py: get_{constant,linear,cosine}_schedule_with_warmup, num_cycles 0.5.
double lr_factor(ScheduleKind kind, std::int64_t step, std::int64_t warmup_steps, std::int64_t total_steps);

}  // namespace minbert
