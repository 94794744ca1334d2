// Spread: two passes, because a sum of squares loses the deviation of values that are close together.
#include "minbert/stats/spread.h"

#include <cmath>
#include <limits>

namespace minbert {

Spread spread(std::span<const double> values) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const auto n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / n;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {values.size(), values.empty() ? kNone : mean, values.size() < 2 ? kNone : std::sqrt(squares / (n - 1))};
}

}  // namespace minbert
