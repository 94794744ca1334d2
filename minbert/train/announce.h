// Says what a run has decided before its first step.
#pragma once

#include "minbert/train/setup.h"

namespace minbert {

/// Sends a message about each task's rows, one about the model, and one about the stages and what is kept.
void announce(RunSetup& setup, const RunConfig& config, TrainEvents& events);

}  // namespace minbert
