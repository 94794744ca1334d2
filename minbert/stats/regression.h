// Least squares through points: the line of a scatter plot.
#pragma once

#include <span>

namespace minbert {

struct FittedLine {
  double slope = 0, intercept = 0;
  double correlation = 0;  ///< Pearson's; its square is the share of variance that the line explains
  bool defined = true;     ///< false when x is constant or empty: slope 0 through the mean of y
};

/// The line that minimises the squared vertical distances to (x, y); values are finite.
FittedLine fit_line(std::span<const double> x, std::span<const double> y);

}  // namespace minbert
