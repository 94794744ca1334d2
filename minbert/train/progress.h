// Progress: where a run stands, and checkpoints/last/, from which it goes on.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "minbert/train/optimizer.h"
#include "minbert/train/selection.h"

namespace minbert {

/// A position between two optimizer steps. What the next step does follows from it, the parameters and the moments.
struct Progress {
  std::size_t stage = 0;        ///< index into RunConfig::stages; their number: all are done
  int epoch = 0;                ///< of the stage, from 1; 0: the stage has not begun
  std::int64_t epoch_step = 0;  ///< steps done of this epoch
  std::int64_t stage_step = 0;  ///< of this stage
  std::int64_t run_step = 0;    ///< of the run
  double wall_s = 0;            ///< seconds of training steps
  Json selection;               ///< EpochSelection::state of the stage
  std::string data;             ///< data_digest of the rows trained on
};

/// What stands beside a finished stage's best/, as stage.json.
struct StageRecord {
  std::int64_t run_step = 0;  ///< of the run, at the stage's end
  double wall_s = 0;          ///< the same
  int best_epoch = 0;
  std::string from = {};  ///< the run that trained it, relative to this one's folder; empty: this one
};

/// `stage`: the folder checkpoints/stage-NAME. Throws Error(kResources).
void save_stage_record(const std::filesystem::path& stage, const StageRecord& record);
/// Nothing for a stage that is not finished. Throws Error(kModel) when stage.json is broken.
std::optional<StageRecord> find_stage_record(const std::filesystem::path& stage);

/// Writes the folder: model.safetensors, heads.safetensors, mlm.safetensors (given an MLM head), optimizer.safetensors (given one), state.json,
/// DONE. A kill at any instant leaves one complete checkpoint, the earlier or this one. Throws Error(kResources).
void save_checkpoint(const std::filesystem::path& folder, const Params& params, const Optimizer* optimizer, const Progress& progress);

/// Where a run can go on; nothing when there is no complete checkpoint. Throws Error(kModel) when state.json is broken.
std::optional<Progress> find_checkpoint(const std::filesystem::path& folder);

/// Overwrites parameters, bit for bit. Throws Error(kModel).
void load_checkpoint_weights(const std::filesystem::path& folder, Params& params);
/// The moments; for a stage that has begun.
void load_checkpoint_optimizer(const std::filesystem::path& folder, Optimizer& optimizer);

}  // namespace minbert
