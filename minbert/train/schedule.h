// Learning-rate schedules: the factor by which each optimizer step's rate is multiplied.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace minbert {

enum class ScheduleKind { kConstant, kLinear, kCosine };

/// The name in configurations: constant | linear | cosine.
std::string_view schedule_name(ScheduleKind kind);
/// The schedule of that name, or nothing.
std::optional<ScheduleKind> find_schedule(std::string_view name);

/// The factor of optimizer step `step`, counted from 0: up from 0 to 1 over warmup_steps, then constant, or down to 0 at
/// total_steps. Hugging Face transformers, optimization.py: get_{constant,linear,cosine}_schedule_with_warmup, num_cycles 0.5.
double lr_factor(ScheduleKind kind, std::int64_t step, std::int64_t warmup_steps, std::int64_t total_steps);

}  // namespace minbert
