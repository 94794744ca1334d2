// Progress: a run's position, and the checkpoint in checkpoints/last/ from which it is resumed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "minbert/train/optimizer.h"
#include "minbert/train/selection.h"

namespace minbert {

/// A position between two optimizer steps. Together with parameters and moments it determines the next step.
struct Progress {
  std::size_t stage = 0;                         ///< index into RunConfig::stages; the number of stages when all are done
  int epoch = 0;                                 ///< of the stage, from 1; 0 before it begins
  std::int64_t epoch_step = 0;                   ///< steps done in this epoch
  std::int64_t stage_step = 0;                   ///< steps done in this stage
  std::int64_t run_step = 0;                     ///< steps done in the run
  double wall_s = 0;                             ///< seconds that training steps took
  double stage_s = 0;                            ///< seconds that those of this stage took
  std::optional<SelectionState> selection = {};  ///< of the stage, once it has begun
  std::string data;                              ///< data_digest() of the rows
};

/// stage.json, beside a finished stage's best/.
struct StageRecord {
  std::int64_t run_step = 0;  ///< Progress::run_step at the stage's end
  double wall_s = 0;          ///< Progress::wall_s at the stage's end
  int best_epoch = 0;
  std::string from = {};  ///< folder of the run that trained the stage, relative to this one's; empty if it was this one
};

/// `stage` is the folder checkpoints/stage-NAME. Throws Error(kResources).
void save_stage_record(const std::filesystem::path& stage, const StageRecord& record);
/// Nothing if the stage is not finished. Throws Error(kModel) if stage.json is broken.
std::optional<StageRecord> find_stage_record(const std::filesystem::path& stage);

/// Writes model.safetensors, heads.safetensors, mlm.safetensors (if there is an MLM head), optimizer.safetensors (if `optimizer` is given),
/// state.json and DONE. All ranks call it, and the first one writes. A process that is killed while it writes leaves the earlier checkpoint
/// or this one, complete. Throws Error(kResources).
void save_checkpoint(const std::filesystem::path& folder, const Params& params, const Optimizer* optimizer, const Progress& progress,
                     const Comm& ranks);

/// Reads the position of a checkpoint; nothing if there is no complete one. Throws Error(kModel) if state.json is broken: a key missing, of
/// another type or out of range. expect_at_most() is for what only the config
/// tells.
std::optional<Progress> find_checkpoint(const std::filesystem::path& folder);

/// Returns the first rank's position.
Progress broadcast(Comm& ranks, const Progress& progress);
/// Gives all ranks the first one's parameters.
void broadcast(Comm& ranks, Params& params);

/// Throws Error(kModel) naming a key of the checkpoint's state.json if its value is beyond what the run's config allows.
void expect_at_most(const std::filesystem::path& folder, std::string_view key, std::int64_t value, std::int64_t most);

/// Overwrites all parameters with the same bits that were saved. Throws Error(kModel).
void load_checkpoint_weights(const std::filesystem::path& folder, Params& params);
/// Overwrites moments and step counts. The checkpoint must have been saved with an optimizer. Throws Error(kModel).
void load_checkpoint_optimizer(const std::filesystem::path& folder, Optimizer& optimizer);

}  // namespace minbert
