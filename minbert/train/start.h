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
  std::optional<ModelFolder> folder = {};  ///< of model.init; nothing for a model from scratch
  bool has_pooler = false;                 ///< pretraining keeps the folder's pooler, unchanged, for runs that start from its result
};

/// Trains the vocabulary of a scratch model, or reads the folder of model.init. Throws Error: kModel, kUsage for sizes that do not fit.
Start read_start(const RunConfig& config, const RunRows& rows);

/// Overwrites all parameters with their initial values: the folder's, or drawn by seed where it has none. Reports to `events` which is
/// which.
void set_initial_weights(RunSetup& setup, const RunConfig& config, TrainEvents& events);

}  // namespace minbert
