// EpochSelection: which epoch of a stage is kept, and when to stop looking.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/train/config.h"

namespace minbert {

using Scores = std::map<std::string, double>;  ///< by task

/// Mean over the tasks (paper eq. 9); 0 of none.
double mean_score(const Scores& scores);

class EpochSelection {
 public:
  EpochSelection(Selection how, std::int64_t patience) : how_(how), patience_(patience) {}

  /// Told of each epoch in turn, 0 first. Returns the tasks whose best epoch this is, all or none but for per_task. Ties keep the
  /// earlier epoch; without scores, and for `last`, each epoch is better than those before.
  std::vector<std::string> offer(int epoch, const Scores& scores, const std::vector<std::string>& tasks);
  /// Whether early_stop_patience epochs have gone by without a better one.
  bool exhausted() const { return patience_ > 0 && epochs_without_ >= patience_; }
  /// The epoch kept, for per_task the latest of them; -1 before the first.
  int best_epoch() const { return best_epoch_; }

  Json state() const;
  /// Throws Json::exception.
  void restore(const Json& state);

 private:
  Selection how_;
  std::int64_t patience_;
  Scores best_;  // by task, or of all under ""
  int best_epoch_ = -1;
  std::int64_t epochs_without_ = 0;
};

}  // namespace minbert
