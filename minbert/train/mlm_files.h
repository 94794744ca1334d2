// eval/mlm/ of a run: what its mlm stages read, how far these texts are from each other, and what training on them did to the losses.
#pragma once

#include <filesystem>

#include "minbert/data/corpus_records.h"
#include "minbert/train/setup.h"

namespace minbert {

/// Writes corpora.csv and overlap.csv (docs/run_folder.md) into `folder` and returns the former's rows; a run without mlm stages has none
/// and no files. `evals`: all evaluations of the run.
std::vector<CorpusRecord> write_mlm_files(const std::filesystem::path& folder, const RunSetup& setup, const RunConfig& config,
                                          std::span<const EvalRecord> evals);

}  // namespace minbert
