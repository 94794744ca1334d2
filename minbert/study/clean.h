// clean: frees what finished runs hold only so that they could be resumed, or their stages be shared.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

namespace minbert {

/// What one run can give up.
struct RunSurplus {
  std::filesystem::path run;
  std::string state;  ///< of its status.json; "running" while a process holds its lock, "stopped" after a kill
  std::vector<std::pair<std::filesystem::path, std::int64_t>> free;  ///< folders of weights, and how many bytes removing each frees
};

/// Looks through a run folder, or all runs of a study, a search or a folder of seeds. Only finished runs have a surplus: checkpoints/last,
/// and the models of stages, which best/ does not need. While a study has runs left to train, these keep the models of stages, which they
/// may share. A folder whose files are all hard links to those of best/ takes no room and stays. Throws Error(kUsage) for any other
/// folder, Error(kData) for a broken status.json.
std::vector<RunSurplus> find_surplus(const std::filesystem::path& folder);

/// Removes the folders. Throws LockHeld if a process is at work in the run, Error(kResources) if one cannot be removed.
void free_surplus(const RunSurplus& run);

}  // namespace minbert
