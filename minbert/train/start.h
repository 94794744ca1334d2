// Start: the tokenizer, sizes and weights that a run starts from.
#pragma once

#include <optional>

#include "minbert/pipeline/model_folder.h"
#include "minbert/train/run_rows.h"

namespace minbert {

struct RunSetup;

struct Start {
  Tokenizer tokenizer;
  ModelConfig config;
  std::optional<ModelFolder> folder = {};  ///< model.init, found and read; nothing from scratch
  bool has_pooler = false;                 ///< the folder's weights have a pooler that pretraining must keep for those who start from its result
};

/// Trains the vocabulary of a scratch model, or reads the folder of model.init. Throws Error: kModel, kUsage for sizes that do not fit.
Start read_start(const RunConfig& config, const RunRows& rows);

/// Overwrites all parameters with those that the run starts from: the folder's, and by seed those that it lacks. Tells `events` which.
void set_initial_weights(RunSetup& setup, const RunConfig& config, TrainEvents& events);

}  // namespace minbert
