// RunStatus: a run's status.json (docs/run_folder.md), for all who read it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "minbert/data/phase_seconds.h"

namespace minbert {

inline constexpr int kRunFormat = 1;  ///< "format" of a run's files

struct RunStatus {
  std::string state;             ///< running | done | stopped | failed
  std::string started, updated;  ///< empty where the file lacks them, as all below
  int resumes = 0;
  std::string error;  ///< of a failed run, as its exit code
  int exit_code = 1;
  std::map<std::string, double> scores;  ///< of a run that is done, as all below
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

}  // namespace minbert
