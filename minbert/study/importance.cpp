// Importance: groups trials by a hyperparameter's value and compares the ranks of their scores.
#include "minbert/study/importance.h"

#include <algorithm>
#include <map>

#include "minbert/stats/metrics.h"

namespace minbert {
namespace {

/// Cuts the sorted values into groups of equal size; equal values share a group.
std::vector<std::size_t> equal_groups(const std::vector<double>& values) {
  constexpr std::size_t kMost = 5, kRowsInGroup = 4;
  const std::size_t count = std::clamp<std::size_t>(values.size() / kRowsInGroup, 3, kMost);
  std::vector<std::size_t> groups;
  for (const double rank : average_ranks(values))
    groups.push_back(
        std::min(count - 1, static_cast<std::size_t>((rank - 0.5) * static_cast<double>(count) / static_cast<double>(values.size()))));
  return groups;
}

std::vector<std::size_t> choice_groups(const std::vector<Json>& values) {
  std::map<std::string, std::size_t> numbers;
  std::vector<std::size_t> groups;
  for (const Json& value : values) groups.push_back(numbers.try_emplace(dump_json(value), numbers.size()).first->second);
  return groups;
}

}  // namespace

double share_between(const std::vector<std::size_t>& groups, const std::vector<double>& values) {
  struct Group {
    double sum = 0, count = 0;
  };
  std::map<std::size_t, Group> by_group;
  double total = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    by_group[groups[i]].sum += values[i];
    by_group[groups[i]].count += 1;
    total += values[i];
  }
  const auto n = static_cast<double>(values.size()), k = static_cast<double>(by_group.size());
  if (k < 2 || n <= k) return 0;
  double around_mean = 0, around_groups = 0;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const Group& group = by_group[groups[i]];
    around_mean += (values[i] - total / n) * (values[i] - total / n);
    around_groups += (values[i] - group.sum / group.count) * (values[i] - group.sum / group.count);
  }
  if (around_mean <= 0) return 0;
  return std::max(0.0, 1 - around_groups / (n - k) / (around_mean / (n - 1)));
}

std::vector<Importance> importance_of(const SearchFile& file, const std::vector<Trial>& trials) {
  std::vector<const Trial*> ended;
  for (const Trial& trial : trials)
    if (trial.state == TrialState::kFailed || (trial.ended() && trial.score)) ended.push_back(&trial);
  if (std::ssize(ended) < kFewestTrials) return {};

  std::vector<double> scores;
  double lowest = 0;
  for (const Trial* trial : ended) lowest = std::min(lowest, trial->score.value_or(0));
  for (const Trial* trial : ended) scores.push_back(trial->score.value_or(lowest - 1));
  const std::vector<double> ranks = average_ranks(scores);

  std::vector<Importance> found;
  for (const SearchDimension& dimension : file.space) {
    Importance importance{.key = dimension.key, .share = 0, .trend = {}};
    if (dimension.kind == DrawKind::kChoice) {
      std::vector<Json> values;
      for (const Trial* trial : ended) values.push_back(trial->values.at(dimension.key));
      importance.share = share_between(choice_groups(values), ranks);
    } else {
      std::vector<double> values;
      for (const Trial* trial : ended) values.push_back(trial->values.at(dimension.key).get<double>());
      importance.share = share_between(equal_groups(values), ranks);
      importance.trend = spearman(values, scores).value;
    }
    found.push_back(std::move(importance));
  }
  std::ranges::stable_sort(found, std::greater<>(), &Importance::share);
  return found;
}

}  // namespace minbert
