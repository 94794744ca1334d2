// train(): a run from its config to its best model; resumable at any step.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/data/corpus_records.h"
#include "minbert/train/config.h"
#include "minbert/train/events.h"
#include "minbert/train/run_folder.h"

namespace minbert {

/// Part of what a run's result depends on, for those who keep results: raise it whenever a change alters a bit of any trained weight, as a
/// new default does.
inline constexpr int kNumericsVersion = 3;

/// Finished stages of another run that this one would train to the same bits: taken over instead.
struct AdoptStages {
  std::filesystem::path donor;  ///< its folder; the first `stages` stages there have the same names, options, data and start
  std::size_t stages = 0;
};
/// At most so many: a stage with from = "last" starts from weights that no finished stage keeps.
std::size_t adoptable_stages(const RunConfig& config);

struct TrainOptions {
  std::filesystem::path folder;  ///< the run folder
  OpenRun open;
  std::string config_text;  ///< resolved config.toml with origins
  std::string input_text;   ///< the files as given
  AdoptStages adopt;        ///< by a run that has not begun
  Json fingerprint;         ///< becomes fingerprint.json, unless null
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
  std::vector<CorpusRecord> corpora = {};  ///< what mlm stages read and what became of the losses on it
};

/// Throws Error: kDiverged when a loss or gradient is not finite, and what its parts throw; status.json then says "failed".
TrainResult train(Backend& backend, const RunConfig& config, const TrainOptions& options, TrainEvents& events);

/// What --dry-run prints: tasks with rows read, used and skipped; parameters by role; per stage planned steps, realised sampling counts
/// and bytes of memory (parameters, gradients and moments, activations of the longest batch, the process at its peak), seen in one step of
/// each task's longest rows. Nothing is written.
Json plan_training(Backend& backend, const RunConfig& config);
/// The planned steps of each stage, without any of them being made.
std::vector<std::int64_t> planned_stage_steps(Backend& backend, const RunConfig& config);

}  // namespace minbert
