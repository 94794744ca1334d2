// Scores pairs and sorts by the scores.
#include "minbert/pipeline/rank.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace minbert {

double cosine(std::span<const float> u, std::span<const float> v) {
  double product = 0, length_u = 0, length_v = 0;
  for (std::size_t i = 0; i < u.size(); ++i) {
    product += static_cast<double>(u[i]) * v[i];
    length_u += static_cast<double>(u[i]) * u[i];
    length_v += static_cast<double>(v[i]) * v[i];
  }
  return product / std::max(std::sqrt(length_u) * std::sqrt(length_v), kCosineFloor);
}

bool scores_pairs(const TaskSpec& task) { return task.is_pair() && (task.is_regression() || task.labels.count == 2); }

std::optional<std::size_t> only_pair_task(std::span<const TaskSpec> tasks) {
  const auto first = std::ranges::find_if(tasks, scores_pairs);
  if (first == tasks.end() || std::find_if(first + 1, tasks.end(), scores_pairs) != tasks.end()) return std::nullopt;
  return static_cast<std::size_t>(first - tasks.begin());
}

double pair_score(const TaskSpec& task, const Prediction& prediction) {
  return task.is_regression() ? prediction.value : prediction.probs[1];
}

std::vector<std::size_t> falling_order(std::span<const double> scores) {
  std::vector<std::size_t> order(scores.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return scores[a] > scores[b]; });
  return order;
}

}  // namespace minbert
