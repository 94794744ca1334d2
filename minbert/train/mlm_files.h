// eval/mlm/ of a run: the vocabulary of the texts that mlm stages read, how much they share, and their losses before and after training.
#pragma once

#include <filesystem>

#include "minbert/data/corpus_records.h"
#include "minbert/train/setup.h"

namespace minbert {

/// Writes corpora.csv and overlap.csv (docs/run_folder.md) into `folder` and returns the rows of corpora.csv. A run without mlm stages has
/// neither. `evals`: all evaluations of the run.
std::vector<CorpusRecord> write_mlm_files(const std::filesystem::path& folder, const RunSetup& setup, const RunConfig& config,
                                          std::span<const EvalRecord> evals);

}  // namespace minbert
