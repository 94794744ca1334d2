// train(): a run from its config to its best model; resumable at any step.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>

#include "minbert/base/json.h"
#include "minbert/train/config.h"
#include "minbert/train/events.h"
#include "minbert/train/run_folder.h"

namespace minbert {

struct TrainOptions {
  std::filesystem::path folder;  ///< the run folder
  OpenRun open;
  std::string config_text;  ///< resolved config.toml with origins
  std::string input_text;   ///< the files as given
  bool overfit_batch = false;  ///< train on the first batch of each task over and over, to see the loss go to 0
  bool profile = false;        ///< time by op, primitives' cache hits and memory into profile.json
  /// Asked after each step and each batch of an evaluation: true saves a checkpoint and stops (a signal arrived).
  std::function<bool()> should_stop = [] { return false; };
};

struct TrainResult {
  bool stopped = false;           ///< by should_stop, after a good checkpoint
  bool already_finished = false;  ///< a resume found nothing to do
  std::map<std::string, double> dev_scores = {};  ///< of best/, by task; empty without dev data
  double dev_mean = 0;
};

/// Throws Error: kDiverged when a loss or gradient is not finite, and what its parts throw; status.json then says "failed".
TrainResult train(Backend& backend, const RunConfig& config, const TrainOptions& options, TrainEvents& events);

/// What --dry-run prints: tasks with rows read, used and skipped; parameters by role; per stage planned steps, realised sampling counts
/// and bytes of memory (parameters, gradients and moments, activations of the longest batch, the process at its peak), seen in one step of
/// each task's longest rows. Nothing is written.
Json plan_training(Backend& backend, const RunConfig& config);

}  // namespace minbert
