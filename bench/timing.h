// Timing of work that is done in rounds.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "minbert/ops/backend.h"

namespace minbert {

/// Means over pieces of work of each one's median and best.
struct Timing {
  double ms = 0, best_ms = 0;
};

/// Does work(0) ... work(count - 1) rounds + 1 times over. The first time does not count, nor does the backend's profile of it.
Timing time_rounds(Backend& backend, std::size_t count, std::int64_t rounds, const std::function<void(std::size_t)>& work);

/// To three digits after the point, as benchmarks print figures.
double rounded(double x);

}  // namespace minbert
