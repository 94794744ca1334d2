// RunStatus: a run's status.json (docs/run_folder.md), for all who read it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/data/phase_seconds.h"

namespace minbert {

inline constexpr int kRunFormat = 1;  ///< "format" of a run's files

/// The members of status.json. One that the file lacks keeps its default.
struct RunStatus {
  std::string state;  ///< running | done | stopped | failed
  std::string started, updated;
  int resumes = 0;
  std::string error;  ///< failed runs only
  int exit_code = 1;  ///< failed runs only
  // Runs that are done only, down to peak_memory_bytes.
  std::map<std::string, double> scores;
  std::optional<double> mean;
  double seconds = 0;
  std::optional<int> best_epoch;
  std::int64_t peak_memory_bytes = 0;
  std::optional<PhaseSeconds> phases;  ///< wall-clock time so far, in any state; older versions did not write it
};

/// Throws Error(kData) naming file and key for another format, a state without meaning, and members of another type or out of range.
RunStatus read_run_status(const std::filesystem::path& file);
/// Nothing when there is no such file.
std::optional<RunStatus> find_run_status(const std::filesystem::path& file);

/// N of a folder seed-N or fold-N, as --seeds and --folds name their runs; nothing for another name.
std::optional<std::uint64_t> number_among_runs(std::string_view folder_name);
/// Whether a folder of this name holds a run of --folds, and not of --seeds.
bool is_fold(std::string_view folder_name);
/// The folders seed-N or fold-N in `folder`, by N; none if there is no such folder.
std::vector<std::filesystem::path> numbered_runs(const std::filesystem::path& folder);

}  // namespace minbert
