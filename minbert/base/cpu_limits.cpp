// CpuLimits on Linux: sched_getaffinity, /sys/devices/system/cpu, and the cgroups that /proc/self/cgroup names.
#include "minbert/base/cpu_limits.h"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <set>
#include <sstream>
#include <string_view>
#include <thread>

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// The first line of a file of the system's, or nothing.
std::optional<std::string> first_line(const fs::path& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

std::optional<double> number(std::string_view text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end == text.data()) return std::nullopt;
  return value;
}

/// Processors that share a core have the same list of siblings; one whose topology is unknown counts as a core.
int count_cores(const fs::path& root, const std::vector<int>& allowed) {
  std::set<std::string> cores;
  for (const int cpu : allowed) {
    const auto siblings = first_line(root / fmt::format("sys/devices/system/cpu/cpu{}/topology/thread_siblings_list", cpu));
    cores.insert(siblings.value_or(fmt::format("cpu {}", cpu)));
  }
  return static_cast<int>(cores.size());
}

/// cpu.max holds "150000 100000" (microseconds in each period), or "max 100000" for no limit.
std::optional<double> quota_v2(const fs::path& group) {
  const std::string line = first_line(group / "cpu.max").value_or("");
  const auto blank = line.find(' ');
  const auto quota = number(line), period = blank == line.npos ? std::nullopt : number(std::string_view(line).substr(blank + 1));
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return *quota / *period;
}

/// A quota of -1 means no limit.
std::optional<double> quota_v1(const fs::path& group) {
  const auto quota = number(first_line(group / "cpu.cfs_quota_us").value_or("")),
             period = number(first_line(group / "cpu.cfs_period_us").value_or(""));
  if (!quota || !period || *quota <= 0 || *period <= 0) return std::nullopt;
  return *quota / *period;
}

/// Takes the least quota of a group and those that it lies in. Inside a container /proc/self/cgroup may name a path of the host's, of which
/// only the end of the walk, the mount itself, is to be seen.
template <class ReadQuota>
void apply_quotas(CpuLimits& limits, const fs::path& mount, const std::string& group, const char* source, ReadQuota&& read_quota) {
  for (fs::path path = fs::path(group).relative_path();; path = path.parent_path()) {
    if (const auto quota = read_quota(mount / path); quota && (!limits.quota || *quota < *limits.quota)) {
      limits.quota = quota;
      limits.quota_source = source;
    }
    if (path.empty()) return;
  }
}

/// Lines of /proc/self/cgroup: "0::/group" for v2, "4:cpu,cpuacct:/group" for the hierarchies of v1.
void read_cgroups(CpuLimits& limits, const fs::path& root) {
  const fs::path mounts = root / "sys/fs/cgroup";
  std::ifstream file(root / "proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == line.npos || second == line.npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (controllers.empty()) {
      for (const fs::path& mount : {mounts, mounts / "unified"}) apply_quotas(limits, mount, group, "cgroup v2 cpu.max", quota_v2);
      continue;
    }
    std::istringstream names(controllers);
    for (std::string name; std::getline(names, name, ',');) {
      if (name != "cpu") continue;
      for (const fs::path& mount : {mounts / controllers, mounts / "cpu"})
        apply_quotas(limits, mount, group, "cgroup v1 cpu.cfs_quota_us", quota_v1);
    }
  }
}

}  // namespace

int CpuLimits::threads() const {
  const int least = std::min(cores, allowed);
  const double granted = quota ? std::ceil(*quota - 1e-9) : least;
  return std::max(1, granted < least ? static_cast<int>(granted) : least);
}

std::string CpuLimits::decided_by() const {
  if (threads() < std::min(cores, allowed)) return fmt::format("{} of {:.4g} CPUs", quota_source, *quota);
  if (cores < allowed) return fmt::format("{} physical cores of {} CPUs", cores, allowed);
  if (allowed < online) return fmt::format("affinity mask of {} of {} CPUs", allowed, online);
  return fmt::format("{} physical cores", cores);
}

CpuLimits read_cpu_limits(const fs::path& root, const std::vector<int>& allowed, int online) {
  CpuLimits limits;
  limits.online = std::max(1, online);
  limits.allowed = std::max(1, static_cast<int>(allowed.size()));
  limits.cores = std::max(1, count_cores(root, allowed));
  read_cgroups(limits, root);
  return limits;
}

CpuLimits read_cpu_limits() {
  const auto online = static_cast<int>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  // A machine may have more processors than a plain cpu_set_t has room for.
  for (std::size_t most = CPU_SETSIZE; most <= 1 << 16; most *= 2) {
    cpu_set_t* set = CPU_ALLOC(most);
    if (set == nullptr) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(most);
    const bool known = ::sched_getaffinity(0, bytes, set) == 0;
    std::vector<int> allowed;
    for (std::size_t cpu = 0; cpu < most && known; ++cpu)
      if (CPU_ISSET_S(cpu, bytes, set)) allowed.push_back(static_cast<int>(cpu));
    CPU_FREE(set);
    if (known) return read_cpu_limits("/", allowed, online);
  }
  CpuLimits limits;
  limits.online = limits.allowed = limits.cores = online;
  return limits;
}

}  // namespace minbert
