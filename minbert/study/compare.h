// Comparison of two runs on the same rows, or of two configs over the same seeds: how much better one is, and whether chance alone could
// explain it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/stats/bootstrap.h"
#include "minbert/stats/mcnemar.h"

namespace minbert {

/// One task that both runs predicted, or the mean over all such tasks.
struct TaskComparison {
  std::string task;    ///< "mean" for the mean
  std::string metric;  ///< empty for the mean
  std::int64_t rows = 0;
  PairedDifference scores;         ///< b minus a
  std::optional<McNemar> mcnemar;  ///< absent for numbers and for the mean
};

struct RunComparison {
  std::string a, b;                     ///< the folders as given
  std::vector<std::string> seeds = {};  ///< the runs, such as seed-1, that both folders have; empty when a and b are runs themselves
  std::vector<TaskComparison> tasks;
};

struct CompareOptions {
  std::string split = "dev";
  int resamples = BootstrapOptions{}.resamples;
  std::uint64_t seed = 11711;  ///< draws the resamples; every pair uses the same seed
  bool all_pairs = false;      ///< false: compares the first run with each other run only
};

/// Reads eval/SPLIT of at least two run folders, and compares them by a paired bootstrap of the rows. Instead of runs, all may be folders
/// of seed-N runs, as --seeds and studies make them; they are compared by a paired t test over the seeds that both have finished. Throws
/// Error(kData) when there are no labelled predictions, when two runs share no task, when two folders share fewer than two seeds, and when
/// rows or labels differ (the error names the row).
std::vector<RunComparison> compare_runs(std::span<const std::filesystem::path> runs, const CompareOptions& options);

/// {"split", "resamples", "confidence", "comparisons": [{"a", "b", "seeds" (if there are), "tasks": [{"task", "metric", "rows", "a", "b",
/// "difference", "low", "high", "p_value", "mcnemar": {"only_a", "only_b", "statistic", "p_value", "exact"}}]}]}
Json comparison_json(std::span<const RunComparison> comparisons, const CompareOptions& options);

}  // namespace minbert
