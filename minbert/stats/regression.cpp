// Least squares: slope and intercept from centred sums.
#include "minbert/stats/regression.h"

#include <numeric>

#include "minbert/base/check.h"
#include "minbert/stats/metrics.h"

namespace minbert {

FittedLine fit_line(std::span<const double> x, std::span<const double> y) {
  MINBERT_CHECK(x.size() == y.size(), "{} and {} values", x.size(), y.size());
  if (x.empty()) return {.defined = false};
  const auto rows = static_cast<double>(x.size());
  const double mean_x = std::accumulate(x.begin(), x.end(), 0.0) / rows, mean_y = std::accumulate(y.begin(), y.end(), 0.0) / rows;
  double xx = 0, xy = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    xx += (x[i] - mean_x) * (x[i] - mean_x);
    xy += (x[i] - mean_x) * (y[i] - mean_y);
  }
  const Score correlation = pearson(x, y);
  // For a constant y, the correlation is undefined, but the line is well defined and flat.
  if (!correlation.defined) return {.slope = 0, .intercept = mean_y, .correlation = 0, .defined = pearson(x, x).defined};
  return {.slope = xy / xx, .intercept = mean_y - xy / xx * mean_x, .correlation = correlation.value, .defined = true};
}

}  // namespace minbert
