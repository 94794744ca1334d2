// eval/mlm/ of a run: what its mlm stages read, how far these texts are from each other, and what training on them did to the losses.
#pragma once

#include <filesystem>

#include "minbert/train/setup.h"

namespace minbert {

/// Writes eval/mlm/corpora.csv and overlap.csv (docs/run_folder.md) into the run folder; nothing for a run without mlm stages. Losses are
/// those of metrics.jsonl.
void write_mlm_files(const std::filesystem::path& run, const RunSetup& setup, const RunConfig& config);

}  // namespace minbert
