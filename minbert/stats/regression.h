// Least squares: the line through the points of a scatter plot.
#pragma once

#include <span>

namespace minbert {

struct FittedLine {
  double slope = 0, intercept = 0;
  double correlation = 0;  ///< Pearson's correlation; its square is the share of variance that the line explains
  bool defined = true;     ///< false when x is constant or empty; the slope is then 0, the intercept the mean of y
};

/// The line that minimises the squared vertical distances to (x, y). All values must be finite.
FittedLine fit_line(std::span<const double> x, std::span<const double> y);

}  // namespace minbert
