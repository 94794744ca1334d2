// EpochSelection: which epoch of a stage is kept, and when the stage stops early.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/train/config.h"

namespace minbert {

using Scores = std::map<std::string, double>;  ///< by task

/// Mean over the tasks (paper eq. 9); 0 without tasks.
double mean_score(const Scores& scores);

class EpochSelection {
 public:
  EpochSelection(Selection how, std::int64_t patience) : how_(how), patience_(patience) {}

  /// To be called for each epoch in turn, 0 first. Returns the tasks for which this epoch is the best so far: all or none, except for
  /// per_task. Ties keep the earlier epoch; without scores, and for `last`, each epoch counts as better than those before.
  std::vector<std::string> offer(int epoch, const Scores& scores, const std::vector<std::string>& tasks);
  /// Whether the last early_stop_patience epochs brought no better one.
  bool exhausted() const { return patience_ > 0 && epochs_without_ >= patience_; }
  /// The epoch kept (for per_task the latest one kept for any task); -1 before the first.
  int best_epoch() const { return best_epoch_; }

  Json state() const;
  /// Throws Json::exception.
  void restore(const Json& state);

 private:
  Selection how_;
  std::int64_t patience_;
  Scores best_;  // by task, or the mean under ""
  int best_epoch_ = -1;
  std::int64_t epochs_without_ = 0;
};

}  // namespace minbert
