// Spread: mean and standard deviation of a few values, such as one score of several seeds.
#pragma once

#include <span>

namespace minbert {

struct Spread {
  double mean = 0;
  double deviation = 0;  ///< sample standard deviation (n - 1); 0 of one value
};

/// At least one value.
Spread spread(std::span<const double> values);

}  // namespace minbert
