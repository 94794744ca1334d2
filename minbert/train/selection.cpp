// Chooses epochs by their dev scores.
#include "minbert/train/selection.h"

namespace minbert {

double mean_score(const Scores& scores) {
  double sum = 0;
  for (const auto& [task, score] : scores) sum += score;
  return scores.empty() ? 0 : sum / static_cast<double>(scores.size());
}

std::vector<std::string> EpochSelection::offer(int epoch, const Scores& scores, const std::vector<std::string>& tasks) {
  const auto improves = [&](const std::string& key, double score) {
    const auto [at, first] = best_.emplace(key, score);
    if (!first && !(score > at->second)) return false;
    at->second = score;
    return true;
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
  epochs_without_ = improved.empty() ? epochs_without_ + 1 : 0;
  if (!improved.empty()) best_epoch_ = epoch;
  return improved;
}

Json EpochSelection::state() const { return {{"best", best_}, {"best_epoch", best_epoch_}, {"epochs_without", epochs_without_}}; }

void EpochSelection::restore(const Json& state) {
  best_ = state.at("best").get<Scores>();
  best_epoch_ = state.at("best_epoch").get<int>();
  epochs_without_ = state.at("epochs_without").get<std::int64_t>();
}

}  // namespace minbert
