// Comparison of two runs on the same rows: by how much one is better, and whether that may be chance.
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

/// One task that both runs have predicted, or the mean over all of them.
struct TaskComparison {
  std::string task;    ///< "mean" for the mean
  std::string metric;  ///< empty for the mean
  std::int64_t rows = 0;
  PairedBootstrap bootstrap;       ///< b minus a
  std::optional<McNemar> mcnemar;  ///< of classes
};

struct RunComparison {
  std::string a, b;  ///< the folders as given
  std::vector<TaskComparison> tasks;
};

struct CompareOptions {
  std::string split = "dev";
  int resamples = BootstrapOptions{}.resamples;
  std::uint64_t seed = 11711;  ///< of the resamples: the same for each pair
  bool all_pairs = false;      ///< not each with the first alone
};

/// Reads eval/SPLIT of run folders, at least two. Throws Error(kData): no labelled predictions, no task in common, and, naming the row,
/// predictions of other rows or other labels.
std::vector<RunComparison> compare_runs(std::span<const std::filesystem::path> runs, const CompareOptions& options);

/// {"split", "resamples", "confidence", "comparisons": [{"a", "b", "tasks": [{"task", "metric", "rows", "a", "b", "difference", "low", "high",
/// "p_value", "mcnemar": {"only_a", "only_b", "statistic", "p_value", "exact"}}]}]}
Json comparison_json(std::span<const RunComparison> comparisons, const CompareOptions& options);

}  // namespace minbert
