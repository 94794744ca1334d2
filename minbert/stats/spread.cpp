// Spread: two passes, for the sake of close values.
#include "minbert/stats/spread.h"

#include <cmath>

#include "minbert/base/check.h"

namespace minbert {

Spread spread(std::span<const double> values) {
  MINBERT_CHECK(!values.empty(), "no values");
  const auto n = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / n;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {mean, values.size() > 1 ? std::sqrt(squares / (n - 1)) : 0.0};
}

}  // namespace minbert
