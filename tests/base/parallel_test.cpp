// parallel_for and for_teams: ranges, nesting, exceptions, threads of a team, and what they do while one is stopped or there is no work.
#include "minbert/base/parallel.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace minbert {
namespace {

using std::chrono::milliseconds;

/// Processor seconds of this process so far.
double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// A number of threads for the test, whatever the machine has.
class ParallelTest : public testing::Test {
 protected:
  void SetUp() override { set_num_threads(4); }
  void TearDown() override { set_num_threads(before_); }

 private:
  int before_ = num_threads();
};

TEST_F(ParallelTest, RangesCoverEveryIndexOnce) {
  for (const std::int64_t count : {0, 1, 3, 4, 5, 6, 7, 15, 16, 17, 63, 100, 1000, 1001}) {
    for (const std::int64_t grain : {1, 3, 100}) {
      std::vector<int> calls(static_cast<std::size_t>(count));
      std::atomic<int> ranges = 0;
      parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
        ++ranges;
        for (std::int64_t i = begin; i < end; ++i) ++calls[static_cast<std::size_t>(i)];
      });
      EXPECT_EQ(calls, std::vector<int>(calls.size(), 1));
      EXPECT_LE(ranges, std::min<std::int64_t>((count + grain - 1) / grain, 4 * 4 + 3)) << count << " by " << grain;
    }
  }
}

TEST_F(ParallelTest, NestedCallsRunOnTheSameThread) {
  std::atomic<int> elsewhere = 0;
  parallel_for(4, 1, [&](std::int64_t, std::int64_t) {
    const auto self = std::this_thread::get_id();
    parallel_for(100, 1, [&](std::int64_t, std::int64_t) { elsewhere += self != std::this_thread::get_id(); });
  });
  EXPECT_EQ(elsewhere, 0);
}

TEST_F(ParallelTest, AStoppedThreadKeepsItsChunkAlone) {
  constexpr std::int64_t kCount = 160;
  std::atomic<std::int64_t> others = 0;
  std::int64_t own = 0;
  parallel_for(kCount, 1, [&](std::int64_t begin, std::int64_t end) {
    if (begin > 0) {
      others += end - begin;
      return;
    }
    own = end;  // as if the scheduler had stopped this thread until all others are done
    const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (others < kCount - own && std::chrono::steady_clock::now() < patience) std::this_thread::yield();
  });
  EXPECT_EQ(others, kCount - own);
  EXPECT_LE(own, kCount / 4 / 2) << "half the share of a thread";
}

TEST_F(ParallelTest, ThreadsHaveIndicesOfTheirOwn) {
  std::array<std::atomic<int>, 4> users{};
  std::atomic<int> shared = 0;
  for (int round = 0; round < 100; ++round) {
    parallel_for(100, 1, [&](std::int64_t, std::int64_t) {
      auto& mine = users.at(static_cast<std::size_t>(thread_index()));
      shared += mine++;
      parallel_for(100, 1, [&](std::int64_t, std::int64_t) { shared += &mine != &users.at(static_cast<std::size_t>(thread_index())); });
      --mine;
    });
  }
  EXPECT_EQ(shared, 0);
  EXPECT_EQ(thread_index(), 0);
}

TEST_F(ParallelTest, ThreadsWithoutWorkSleep) {
  std::atomic<std::int64_t> sum = 0;
  const auto work = [&] { parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) { sum += end - begin; }); };
  work();
  std::this_thread::sleep_for(milliseconds(20));
  const double before = processor_seconds();
  std::this_thread::sleep_for(milliseconds(200));
  EXPECT_LT(processor_seconds() - before, 0.1);
  work();
  EXPECT_EQ(sum, 200);
}

TEST_F(ParallelTest, WhoWaitsForAStoppedThreadSleeps) {
  double spent = 0;
  parallel_for(4, 1, [&](std::int64_t begin, std::int64_t) {
    if (begin > 0) return;
    std::this_thread::sleep_for(milliseconds(20));
    const double before = processor_seconds();
    std::this_thread::sleep_for(milliseconds(200));
    spent = processor_seconds() - before;
  });
  EXPECT_LT(spent, 0.1);
}

TEST_F(ParallelTest, AForkedChildWorksAlone) {
  std::atomic<int> sum = 0;
  const auto work = [&] { parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) { sum += static_cast<int>(end - begin); }); };
  work();
  EXPECT_EXIT(
      {
        work();
        std::exit(sum == 200 ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(ParallelTest, ExceptionsComeBackOnceAllHaveReturned) {
  std::atomic<int> returned = 0;
  const auto work = [&](std::int64_t index) {
    ++returned;
    if (index == 2) throw std::runtime_error("two");
  };
  EXPECT_THROW(parallel_for(4, 1, [&](std::int64_t begin, std::int64_t) { work(begin); }), std::runtime_error);
  EXPECT_THROW(for_teams(4, [&](int team) { work(team); }), std::runtime_error);
  EXPECT_EQ(returned, 8);
}

TEST_F(ParallelTest, TeamsShareTheThreads) {
  std::vector<int> threads(2), sums(2);
  for_teams(2, [&](int team) {
    const auto at = static_cast<std::size_t>(team);
    threads[at] = num_threads();
    std::atomic<int> sum = 0;
    parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) { sum += static_cast<int>(end - begin); });
    sums[at] = sum;
  });
  EXPECT_EQ(threads, (std::vector{2, 2}));
  EXPECT_EQ(sums, (std::vector{100, 100}));
  EXPECT_EQ(num_threads(), 4);
}

}  // namespace
}  // namespace minbert
