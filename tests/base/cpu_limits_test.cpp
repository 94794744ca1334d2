// CpuLimits: made-up trees of /proc and /sys, and this process under an affinity mask.
#include "minbert/base/cpu_limits.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <numeric>

#include "minbert/base/files.h"
#include "minbert/base/parallel.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

/// A machine of made-up files.
class CpuLimitsTest : public testing::Test {
 protected:
  void file(const std::string& path, std::string_view content) const {
    make_directories((root_ / path).parent_path());
    write_file(root_ / path, content);
  }
  /// `threads` logical processors on each core, numbered as Linux does: cores first.
  void topology(int cores, int threads) const {
    for (int cpu = 0; cpu < cores * threads; ++cpu) {
      std::string siblings;
      for (int thread = 0; thread < threads; ++thread) siblings += (thread > 0 ? "," : "") + std::to_string(cpu % cores + thread * cores);
      file("sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list", siblings + "\n");
    }
  }
  CpuLimits read(const std::vector<int>& allowed, int online) const { return read_cpu_limits(root_.path(), allowed, online); }
  CpuLimits read(int online) const {
    std::vector<int> all(static_cast<std::size_t>(online));
    std::iota(all.begin(), all.end(), 0);
    return read(all, online);
  }

  TempFolder root_;
};

TEST_F(CpuLimitsTest, NothingToReadLimitsNothing) {
  const CpuLimits limits = read(8);
  EXPECT_EQ(limits.threads(), 8);
  EXPECT_EQ(limits.decided_by(), "8 physical cores");
  EXPECT_FALSE(limits.quota);
}

TEST_F(CpuLimitsTest, SiblingsShareACore) {
  topology(4, 2);
  EXPECT_EQ(read(8).threads(), 4);
  EXPECT_EQ(read(8).decided_by(), "4 physical cores of 8 CPUs");
  EXPECT_EQ(read({0, 4}, 8).threads(), 1) << "two siblings";
  EXPECT_EQ(read({1, 2, 3}, 8).decided_by(), "affinity mask of 3 of 8 CPUs");
}

TEST_F(CpuLimitsTest, QuotaOfCgroupV2) {
  topology(8, 1);
  file("proc/self/cgroup", "0::/outer/inner\n");
  file("sys/fs/cgroup/outer/inner/cpu.max", "max 100000\n");
  EXPECT_EQ(read(8).threads(), 8);
  file("sys/fs/cgroup/outer/cpu.max", "250000 100000\n");  // that of a group further out holds too
  EXPECT_EQ(read(8).threads(), 3);
  EXPECT_EQ(read(8).decided_by(), "cgroup v2 cpu.max of 2.5 CPUs");
  file("sys/fs/cgroup/outer/inner/cpu.max", "100000 100000\n");
  EXPECT_EQ(read(8).threads(), 1);
  EXPECT_EQ(read({0}, 8).decided_by(), "affinity mask of 1 of 8 CPUs") << "the quota takes nothing more";
  file("sys/fs/cgroup/outer/inner/cpu.max", "5000 100000\n");
  EXPECT_EQ(read(8).threads(), 1);
}

TEST_F(CpuLimitsTest, ContainerSeesTheMountInsteadOfItsPath) {
  file("proc/self/cgroup", "0::/docker/0123\n");
  file("sys/fs/cgroup/cpu.max", "200000 100000\n");
  EXPECT_EQ(read(8).threads(), 2);
}

TEST_F(CpuLimitsTest, QuotaOfCgroupV1) {
  file("proc/self/cgroup", "12:memory:/a\n4:cpu,cpuacct:/a/b\n1:name=systemd:/\n0::/\n");
  file("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_quota_us", "-1\n");
  file("sys/fs/cgroup/cpu,cpuacct/a/b/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(read(8).threads(), 8);
  file("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "150000\n");
  file("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "50000\n");
  EXPECT_EQ(read(8).threads(), 3);
  EXPECT_EQ(read(8).decided_by(), "cgroup v1 cpu.cfs_quota_us of 3 CPUs");
}

TEST_F(CpuLimitsTest, NonsenseLimitsNothing) {
  file("proc/self/cgroup", "x\n0:\n0::/../../..\n4:cpu\n\n");
  for (const char* text : {"", "100000", "-5 100000", "100000 0", "a b"}) {
    file("sys/fs/cgroup/cpu.max", text);
    EXPECT_EQ(read(4).threads(), 4) << text;
  }
  EXPECT_EQ(read({}, 0).threads(), 1);
}

TEST(AvailableCores, FollowTheAffinityMask) {
  cpu_set_t before, one;
  ASSERT_EQ(::sched_getaffinity(0, sizeof before, &before), 0);
  int first = 0;
  while (!CPU_ISSET(first, &before)) ++first;
  CPU_ZERO(&one);
  CPU_SET(first, &one);
  ASSERT_EQ(::sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(available_cores(), 1);
  EXPECT_EQ(read_cpu_limits().allowed, 1);
  ASSERT_EQ(::sched_setaffinity(0, sizeof before, &before), 0);
  EXPECT_EQ(read_cpu_limits().allowed, CPU_COUNT(&before));
  EXPECT_LE(available_cores(), CPU_COUNT(&before));
}

}  // namespace
}  // namespace minbert
