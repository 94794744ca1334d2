// CpuLimits: how many threads of maths this process may usefully run, and what limits them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace minbert {

struct CpuLimits {
  int online = 1;               ///< logical processors of the machine
  int allowed = 1;              ///< of them, those in the affinity mask (taskset, cpusets)
  int cores = 1;                ///< physical cores that the allowed ones belong to
  std::optional<double> quota;  ///< processors' worth of time that a cgroup grants
  std::string quota_source;     ///< such as "cgroup v2 cpu.max"

  /// The least of the cores, the allowed processors and the quota rounded up; at least 1.
  int threads() const;
  /// Which of them decided: "cgroup v2 cpu.max of 1.5 CPUs", "affinity mask of 1 of 8 CPUs", "2 physical cores".
  std::string decided_by() const;
};

/// The limits of this process.
CpuLimits read_cpu_limits();
/// Takes the allowed processors as given, and looks for /proc and /sys below `root`. What cannot be read limits nothing.
CpuLimits read_cpu_limits(const std::filesystem::path& root, const std::vector<int>& allowed, int online);

}  // namespace minbert
