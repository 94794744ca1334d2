// Spread: mean and standard deviation of a few values, such as one score of several seeds.
#pragma once

#include <cstddef>
#include <span>

namespace minbert {

struct Spread {
  std::size_t count = 0;
  double mean;       ///< NaN without values
  double deviation;  ///< sample standard deviation (n - 1); NaN for fewer than two values
};

Spread spread(std::span<const double> values);

}  // namespace minbert
