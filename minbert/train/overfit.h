// --overfit-batch: a model that learns must be able to learn one batch by heart.
#pragma once

#include "minbert/train/trainer.h"

namespace minbert {

/// Trains the first stage's tasks in turn on their first batch (or on the first texts, the same tokens hidden), without dropout, kOverfitSteps steps each; losses go to `events`. Nothing
/// is written.
inline constexpr std::int64_t kOverfitSteps = 100;
TrainResult overfit(Backend& backend, const RunConfig& config, const TrainOptions& options, TrainEvents& events);

}  // namespace minbert
