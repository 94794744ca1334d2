// Timing of work that is done in rounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "minbert/ops/backend.h"

namespace minbert {

/// Means over the pieces of work of their medians and of their best times.
struct Timing {
  double ms = 0, best_ms = 0;
};

/// Runs work(0) ... work(count - 1) in rounds + 1 rounds. Neither the first round's times nor its profile count.
Timing time_rounds(Backend& backend, std::size_t count, std::int64_t rounds, const std::function<void(std::size_t)>& work);

/// Rounded to three digits after the point, as benchmarks print figures.
double rounded(double x);

}  // namespace minbert
