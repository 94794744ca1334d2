// Errors of numbers, by what may explain them: bins of another quantity.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace minbert {

/// Rows whose quantity lies in [low, high), in the last bin [low, high].
struct ErrorBin {
  double low = 0, high = 0;
  std::int64_t rows = 0;
  double error = 0;  ///< mean distance of prediction and gold
  double bias = 0;   ///< mean of prediction - gold
};

/// Bins between neighbouring `edges` (ascending, at least two); rows outside are in none. `quantity`, `gold`, `predicted`: one entry a row.
std::vector<ErrorBin> error_bins(std::span<const double> quantity, std::span<const double> gold, std::span<const double> predicted,
                                 std::span<const double> edges);

/// Edges of bins that hold about equally many of the values: distinct quantiles, at least two.
std::vector<double> even_edges(std::vector<double> values, int bins);

}  // namespace minbert
