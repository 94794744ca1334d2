// --overfit-batch: a check that a model can learn one batch by heart.
#pragma once

#include "minbert/train/trainer.h"

namespace minbert {

inline constexpr std::int64_t kOverfitSteps = 100;

/// Trains each task of the first stage for kOverfitSteps steps on its first batch, in turn and without dropout. Masked-LM training hides
/// the same tokens of its first texts in each step. Losses go to `events`; no file is written. Throws Error(kDiverged).
TrainResult overfit(Backend& backend, const RunConfig& config, const TrainOptions& options, TrainEvents& events);

}  // namespace minbert
