// Chooses epochs by their dev scores.
#include "minbert/train/selection.h"

namespace minbert {

double mean_score(const Scores& scores) {
  double sum = 0;
  for (const auto& [task, score] : scores) sum += score;
  return scores.empty() ? 0 : sum / static_cast<double>(scores.size());
}

std::vector<std::string> EpochSelection::offer(int epoch, const Scores& scores, const std::vector<std::string>& tasks) {
  bool is_better = how_ == Selection::kLast || scores.empty();
  const auto improves = [&](const std::string& key, double score) {
    constexpr double kRounding = 1e-12;  // means of equal counts may differ in their last bits
    const auto [at, first] = state_.best.emplace(key, score);
    if (first || score > at->second + kRounding) {
      is_better = true;
      at->second = score;
      return true;
    }
    return ties_ == Ties::kLast && score >= at->second - kRounding;
  };
  std::vector<std::string> improved;
  if (how_ == Selection::kPerTask) {
    for (const std::string& task : tasks) {
      const auto score = scores.find(task);
      if (score == scores.end() || improves(task, score->second)) improved.push_back(task);
    }
  } else if (how_ == Selection::kLast || scores.empty() || improves("", mean_score(scores))) {
    improved = tasks;
  }
  state_.epochs_without = is_better ? 0 : state_.epochs_without + 1;
  if (!improved.empty()) state_.best_epoch = epoch;
  return improved;
}

Json SelectionState::json() const { return {{"best", best}, {"best_epoch", best_epoch}, {"epochs_without", epochs_without}}; }

SelectionState SelectionState::read(const JsonNode& node) {
  SelectionState state;
  for (const auto& [key, score] : node.at("best").members()) state.best[key] = score.as_number();
  state.best_epoch = node.at("best_epoch").as_whole<int>(-1);
  state.epochs_without = node.at("epochs_without").as_whole<std::int64_t>(0, std::numeric_limits<int>::max());
  return state;
}

}  // namespace minbert
