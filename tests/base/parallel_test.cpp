// parallel_for and for_teams: ranges, nesting, exceptions, and threads of a team.
#include "minbert/base/parallel.h"

#include <gtest/gtest.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

namespace minbert {
namespace {

/// A number of threads for the test, whatever the machine has.
class ParallelTest : public testing::Test {
 protected:
  void SetUp() override { set_num_threads(4); }
  void TearDown() override { set_num_threads(before_); }

 private:
  int before_ = num_threads();
};

TEST_F(ParallelTest, RangesCoverEveryIndexOnce) {
  for (const std::int64_t count : {0, 1, 3, 4, 1000}) {
    for (const std::int64_t grain : {1, 100}) {
      std::vector<int> calls(static_cast<std::size_t>(count));
      std::atomic<int> ranges = 0;
      parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
        ++ranges;
        for (std::int64_t i = begin; i < end; ++i) ++calls[static_cast<std::size_t>(i)];
      });
      EXPECT_EQ(calls, std::vector<int>(calls.size(), 1));
      EXPECT_LE(ranges, count <= grain ? 1 : 4);
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
