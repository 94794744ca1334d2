// Errors of predicted numbers, binned by a quantity that may explain them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace minbert {

/// The rows whose quantity lies in [low, high); the last bin includes high.
struct ErrorBin {
  double low = 0, high = 0;
  std::int64_t rows = 0;
  double error = 0;  ///< mean of |prediction - gold|
  double bias = 0;   ///< mean of prediction - gold
};

/// Bins between neighbouring `edges` (ascending, at least two); rows outside the edges are left out. `quantity`, `gold` and `predicted`
/// have one entry for each row.
std::vector<ErrorBin> error_bins(std::span<const double> quantity, std::span<const double> gold, std::span<const double> predicted,
                                 std::span<const double> edges);

/// Edges of at most `bins` bins that hold about equally many values: distinct quantiles, at least two edges.
std::vector<double> even_edges(std::vector<double> values, int bins);

}  // namespace minbert
