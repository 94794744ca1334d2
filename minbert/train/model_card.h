// Model folders of a run: saving them, with a README.md that says what is in them.
#pragma once

#include <filesystem>

#include "minbert/train/setup.h"

namespace minbert {

/// Puts a model folder of the parameters as they are, which `stage` made, in the place of an earlier one, complete or not at all. That of an
/// mlm stage has the MLM head beside the model.
void save_model(const std::filesystem::path& folder, const RunSetup& setup, const RunConfig& config, const StageSpec& stage);

}  // namespace minbert
