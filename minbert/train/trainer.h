// train(): trains a run from its config to its best model; resumable at any step.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/data/corpus_records.h"
#include "minbert/train/comm.h"
#include "minbert/train/config.h"
#include "minbert/train/events.h"
#include "minbert/train/run_folder.h"

namespace minbert {

/// Version of the trained bits: to be raised by every change that alters a bit of any trained weight, such as a new default. Fingerprints
/// of kept results include it.
inline constexpr int kNumericsVersion = 9;

/// Finished stages of another run to be taken over, because this run would train them to the same bits.
struct AdoptStages {
  std::filesystem::path donor;  ///< that run's folder; its first `stages` stages have the same names, options, data and start
  std::size_t stages = 0;
};
/// The most leading stages that a run can adopt. A stage with from = "last" may start from weights that its predecessor does not keep on
/// disk, so that this predecessor must be trained here.
std::size_t adoptable_stages(const RunConfig& config);

struct TrainOptions {
  std::filesystem::path folder;  ///< the run folder
  OpenRun open;
  std::string config_text;     ///< resolved config.toml with origins
  std::string input_text;      ///< text of the given files
  AdoptStages adopt;           ///< for a run that has not begun
  Json fingerprint;            ///< written as fingerprint.json unless it is null
  bool overfit_batch = false;  ///< train on the first batch of each task over and over, to see the loss go to 0
  bool profile = false;        ///< write the time of each op to profile.json
  bool announce = false;       ///< say in a few messages what is trained on what, before the first step
  /// Called after each step and each batch of an evaluation. True, as after a signal, saves a checkpoint and stops.
  std::function<bool()> should_stop = [] { return false; };
  Comm* ranks = nullptr;  ///< the processes that train together, each of which calls train(); null: this one alone
};

/// The folder of a run: `output`, or runs/NAME if that is empty, NAME being run.name.
std::filesystem::path run_folder_of(const std::filesystem::path& output, const RunConfig& config);
/// Options with the folder and the texts of config.toml and config.input.toml. `config` is what load_run_config() made of the tree.
TrainOptions train_options(const ConfigTree& tree, const RunConfig& config, const std::filesystem::path& folder, const OpenRun& open);

struct TrainResult {
  bool stopped = false;                            ///< should_stop returned true; a checkpoint is saved
  bool already_finished = false;                   ///< the resumed run was finished before
  std::map<std::string, double> dev_scores = {};   ///< scores of best/ by task; empty without dev data
  std::optional<double> dev_mean = {};             ///< nothing without dev data
  std::map<std::string, double> test_scores = {};  ///< the same for test
  double step_seconds = 0;                         ///< of the optimizer steps; 0 for a run that was stopped
  PhaseSeconds phases = {};                        ///< wall-clock time of all processes of the run
  std::vector<CorpusRecord> corpora = {};          ///< texts of mlm stages, with losses before and after
};

/// Throws Error: kDiverged if a loss or gradient is not finite, and what its parts throw. The state in status.json is "failed" then. Only
/// the first rank writes the folder, and has all of the result; an exception on one rank leaves the others waiting.
TrainResult train(Backend& backend, const RunConfig& config, const TrainOptions& options, TrainEvents& events);

/// What --dry-run prints: rows read, used and skipped by task; parameters by role; for each stage its planned steps, sampled rows and bytes
/// of memory (parameters, gradients and moments, activations, peak of the process), measured in one step on each task's longest rows; what
/// gradients and moments take on each of 2, 4, 8 ... ranks; and the seconds that steps, scores (not of mlm stages) or vectors of a frozen
/// encoder will take, from a few timed steps and passes. No file is written.
Json plan_training(Backend& backend, const RunConfig& config);
/// The planned steps of each stage; none is made.
std::vector<std::int64_t> planned_stage_steps(Backend& backend, const RunConfig& config);

}  // namespace minbert
