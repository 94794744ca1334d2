// Tables of runs that are finished: their scores, what differs in their configs, and how they compare.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/study/table_format.h"

namespace minbert {

/// eval/SPLIT/metrics.json of a run. Throws Error(kData) if it is not there.
std::filesystem::path results_file(const std::filesystem::path& run, const std::string& split);

/// The folders, but for each study those of its rows that have results on `split`, in the order of study.json.
std::vector<std::filesystem::path> rows_of_studies(std::span<const std::filesystem::path> folders, const std::string& split);

/// A row for each folder: a run, or the runs of several seeds in seed-N, whose scores are given as mean ± standard deviation (n - 1); seeds
/// without results are left out. Columns: run, the tasks, mean, seconds (of training), epoch (kept), seeds. Throws Error(kData) for a
/// folder without results on `split`.
ResultTable scores_table(std::span<const std::filesystem::path> runs, const std::string& split);

/// The keys that differ in the runs' config.toml: columns key and each run. A folder of seeds stands for its first run; runs without a
/// config have empty cells. run.name, and for folders of seeds run.seed, are left out.
ResultTable differences_table(std::span<const std::filesystem::path> runs);

/// comparison_json() as one table with a row for each task of each pair.
ResultTable comparison_table(const Json& comparisons);

}  // namespace minbert
