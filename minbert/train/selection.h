// EpochSelection: which epoch of a stage is kept, and when the stage stops early.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "minbert/base/json_node.h"
#include "minbert/train/config.h"

namespace minbert {

using Scores = std::map<std::string, double>;  ///< by task

/// Mean over the tasks (paper eq. 9); 0 without tasks.
double mean_score(const Scores& scores);

/// What a checkpoint keeps of an EpochSelection.
struct SelectionState {
  Scores best;  ///< by task, or the mean under ""
  int best_epoch = -1;
  std::int64_t epochs_without = 0;

  Json json() const;
  /// Throws the node's Error.
  static SelectionState read(const JsonNode& node);
  bool operator==(const SelectionState&) const = default;
};

class EpochSelection {
 public:
  EpochSelection(Selection how, Ties ties, std::int64_t patience) : how_(how), ties_(ties), patience_(patience) {}

  /// To be called for each epoch in turn, 0 first. Returns the tasks for which this epoch is the best so far: all or none, except for
  /// per_task. Without scores, and for `last`, each epoch counts as better than those before.
  std::vector<std::string> offer(int epoch, const Scores& scores, const std::vector<std::string>& tasks);
  /// Whether the last early_stop_patience epochs brought no better one.
  bool exhausted() const { return patience_ > 0 && state_.epochs_without >= patience_; }
  /// The epoch kept (for per_task the latest one kept for any task); -1 before the first.
  int best_epoch() const { return state_.best_epoch; }

  const SelectionState& state() const { return state_; }
  void restore(const SelectionState& state) { state_ = state; }

 private:
  Selection how_;
  Ties ties_;
  std::int64_t patience_;
  SelectionState state_;
};

}  // namespace minbert
