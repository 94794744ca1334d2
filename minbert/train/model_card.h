// Saves a run's model folders, with a README.md that describes them.
#pragma once

#include <filesystem>
#include <optional>

#include "minbert/train/setup.h"

namespace minbert {

/// Saves the current parameters, which `stage` trained, as a model folder that replaces an earlier one, completely or not at all. For an
/// mlm stage the folder holds the MLM head too. The model has the task `only`, or all tasks.
void save_model(const std::filesystem::path& folder, const RunSetup& setup, const RunConfig& config, const StageSpec& stage,
                std::optional<std::size_t> only = std::nullopt);

}  // namespace minbert
