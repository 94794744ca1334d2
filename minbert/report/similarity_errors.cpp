// Errors of predicted numbers: bins and their edges.
#include "minbert/report/similarity_errors.h"

#include <algorithm>
#include <cmath>

#include "minbert/stats/bootstrap.h"

namespace minbert {

std::vector<ErrorBin> error_bins(std::span<const double> quantity, std::span<const double> gold, std::span<const double> predicted,
                                 std::span<const double> edges) {
  std::vector<ErrorBin> bins;
  for (std::size_t i = 0; i + 1 < edges.size(); ++i) bins.push_back({.low = edges[i], .high = edges[i + 1]});
  for (std::size_t row = 0; row < quantity.size(); ++row) {
    const auto above = std::ranges::upper_bound(edges, quantity[row]);
    if (above == edges.begin() || quantity[row] > edges.back()) continue;
    ErrorBin& bin = bins[std::min(static_cast<std::size_t>(above - edges.begin()) - 1, bins.size() - 1)];
    ++bin.rows;
    bin.error += std::abs(predicted[row] - gold[row]);
    bin.bias += predicted[row] - gold[row];
  }
  for (ErrorBin& bin : bins) {
    if (bin.rows == 0) continue;
    bin.error /= static_cast<double>(bin.rows);
    bin.bias /= static_cast<double>(bin.rows);
  }
  return bins;
}

std::vector<double> even_edges(std::vector<double> values, int bins) {
  if (values.empty()) return {0, 1};
  std::ranges::sort(values);
  std::vector<double> edges;
  for (int i = 0; i <= bins; ++i) edges.push_back(quantile(values, static_cast<double>(i) / bins));
  edges.erase(std::unique(edges.begin(), edges.end()), edges.end());
  if (edges.size() == 1) edges.push_back(edges.front() + 1);
  return edges;
}

}  // namespace minbert
