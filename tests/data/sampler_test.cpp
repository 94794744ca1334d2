// Samplers: an epoch's steps, each task's walk through its rows, and the odds of the drawn ones.
#include "minbert/data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace minbert {
namespace {

using RowIds = std::vector<std::uint32_t>;

const std::vector<SampledTask> kTasks = {{"large", 50, 8}, {"small", 10, 4}, {"single", 1, 8}};
constexpr int kEpochs = 5;
constexpr Sampler kSamplers[] = {Sampler::kSequential,   Sampler::kShuffled, Sampler::kRoundRobin,
                                 Sampler::kProportional, Sampler::kSqrt,     Sampler::kAnnealed};

SamplerOptions options_of(Sampler sampler) { return {.sampler = sampler, .epochs = kEpochs, .seed = 7}; }

std::vector<std::int32_t> tasks_of(const EpochPlan& plan) {
  std::vector<std::int32_t> tasks;
  for (const SampledStep& step : plan.steps) tasks.push_back(step.task);
  return tasks;
}

/// Collects a task's batches over all epochs.
std::vector<RowIds> walk_of(std::int32_t task, const SamplerOptions& options, std::span<const SampledTask> tasks = kTasks) {
  std::vector<RowIds> batches;
  for (int epoch = 1; epoch <= options.epochs; ++epoch) {
    const EpochPlan plan = plan_epoch(tasks, options, epoch);
    for (const SampledStep& step : plan.steps) {
      const auto rows = plan.rows_of(step);
      if (step.task == task) batches.emplace_back(rows.begin(), rows.end());
    }
  }
  return batches;
}

/// What a plan gives one task.
struct PlanCounts {
  std::int64_t steps = 0, rows = 0;
  std::int64_t distinct_rows = 0;
};

std::vector<PlanCounts> count_plan(const EpochPlan& plan, std::span<const SampledTask> tasks) {
  std::vector<PlanCounts> counts(tasks.size());
  std::vector<std::vector<bool>> seen;
  for (const SampledTask& task : tasks) seen.emplace_back(static_cast<std::size_t>(task.rows), false);
  for (const SampledStep& step : plan.steps) {
    const auto task = static_cast<std::size_t>(step.task);
    ++counts[task].steps;
    counts[task].rows += static_cast<std::int64_t>(step.size);
    for (const std::uint32_t row : plan.rows_of(step)) {
      counts[task].distinct_rows += !seen[task][row];
      seen[task][row] = true;
    }
  }
  return counts;
}

TEST(Sampler, AnEpochHasEachTasksBatchesTogether) {
  EXPECT_EQ(steps_per_epoch(kTasks), 7 + 3 + 1);
  for (const Sampler sampler : kSamplers)
    for (int epoch = 1; epoch <= kEpochs; ++epoch)
      EXPECT_EQ(plan_epoch(kTasks, options_of(sampler), epoch).steps.size(), 11u) << option_name(sampler);
}

TEST(Sampler, WalksGoThroughAllRowsBeforeAnyComesAgain) {
  for (const Sampler sampler : kSamplers) {
    for (std::int32_t task = 0; task < 3; ++task) {
      const SampledTask& of = kTasks[static_cast<std::size_t>(task)];
      const auto walk = walk_of(task, options_of(sampler));
      std::set<RowIds> rounds;
      RowIds round;
      for (std::size_t i = 0; i < walk.size(); ++i) {
        const bool last = (static_cast<std::int64_t>(i) + 1) % of.batches() == 0;
        EXPECT_EQ(std::ssize(walk[i]), last && of.rows % of.batch != 0 ? of.rows % of.batch : std::min(of.batch, of.rows));
        round.insert(round.end(), walk[i].begin(), walk[i].end());
        if (!last) continue;
        EXPECT_TRUE(rounds.insert(round).second || of.rows == 1) << option_name(sampler) << ": the same order twice";
        RowIds all(static_cast<std::size_t>(of.rows));
        std::iota(all.begin(), all.end(), 0u);
        EXPECT_TRUE(std::ranges::is_permutation(round, all)) << option_name(sampler);
        round.clear();
      }
    }
  }
}

TEST(Sampler, GoesRoundWithinAStage) {
  for (const Sampler sampler : kSamplers)
    EXPECT_GT(std::ssize(walk_of(0, options_of(sampler))), kTasks[0].batches()) << option_name(sampler);
}

TEST(Sampler, OrdersOfTasks) {
  const auto order = [](Sampler sampler, int epoch = 1) { return tasks_of(plan_epoch(kTasks, options_of(sampler), epoch)); };
  const std::vector<std::int32_t> sequential = {0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 2};
  EXPECT_EQ(order(Sampler::kSequential), sequential);
  EXPECT_EQ(order(Sampler::kRoundRobin), (std::vector<std::int32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1}));
  EXPECT_NE(order(Sampler::kShuffled), sequential);
  EXPECT_NE(order(Sampler::kShuffled), order(Sampler::kShuffled, 2));
  EXPECT_TRUE(std::ranges::is_permutation(order(Sampler::kShuffled), sequential));
}

TEST(Sampler, ShuffledMovesBatchesAndLeavesThemAsTheyAre) {
  for (std::int32_t task = 0; task < 3; ++task)
    EXPECT_EQ(walk_of(task, options_of(Sampler::kShuffled)), walk_of(task, options_of(Sampler::kSequential)));
}

TEST(Sampler, FileOrder) {
  SamplerOptions options = options_of(Sampler::kRoundRobin);
  options.shuffle = false;
  const auto walk = walk_of(1, options);
  EXPECT_EQ(walk[0], (RowIds{0, 1, 2, 3}));
  EXPECT_EQ(walk[2], (RowIds{8, 9}));
  EXPECT_EQ(walk[3], walk[0]);
}

TEST(Sampler, SeedStageAndNameDecideAWalkAndNeighboursDoNot) {
  const SamplerOptions options = options_of(Sampler::kSequential);
  const auto walk = walk_of(1, options);
  const std::vector<SampledTask> alone = {kTasks[1]}, renamed = {{"other", 10, 4}};
  EXPECT_EQ(walk_of(0, options, alone), walk);
  EXPECT_NE(walk_of(0, options, renamed), walk);
  SamplerOptions other = options;
  other.seed = 8;
  EXPECT_NE(walk_of(1, other), walk);
  other = options;
  other.stage = "second";
  EXPECT_NE(walk_of(1, other), walk);
}

/// Expects steps in proportion to n^power / batch, within five standard errors.
void expect_odds(const SamplerOptions& options, int epoch, double power) {
  const std::vector<SampledTask> tasks = {{"large", 40000, 4}, {"small", 2500, 4}, {"wide", 10000, 16}};
  const EpochPlan plan = plan_epoch(tasks, options, epoch);
  const auto steps = static_cast<double>(plan.steps.size());
  const auto counts = count_plan(plan, tasks);
  double total = 0;
  for (const SampledTask& task : tasks) total += std::pow(task.rows, power) / static_cast<double>(task.batch);
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const double p = std::pow(tasks[i].rows, power) / static_cast<double>(tasks[i].batch) / total;
    EXPECT_NEAR(static_cast<double>(counts[i].steps) / steps, p, 5 * std::sqrt(p * (1 - p) / steps))
        << tasks[i].name << ", power " << power;
  }
}

TEST(Sampler, DrawsTasksByTheirRows) {
  expect_odds(options_of(Sampler::kProportional), 2, 1.0);
  expect_odds(options_of(Sampler::kSqrt), 2, 0.5);
  for (int epoch = 1; epoch <= kEpochs; ++epoch) expect_odds(options_of(Sampler::kAnnealed), epoch, 1 - 0.2 * (epoch - 1));
  SamplerOptions once = options_of(Sampler::kAnnealed);
  once.epochs = 1;
  expect_odds(once, 1, 1.0);
}

TEST(Sampler, CountsWhatIsRealised) {
  const EpochPlan plan = plan_epoch(kTasks, options_of(Sampler::kRoundRobin), 1);
  const auto counts = count_plan(plan, kTasks);
  EXPECT_EQ(counts[0].steps, 4);
  EXPECT_EQ(counts[0].distinct_rows, 32);
  EXPECT_EQ(counts[1].rows, 4 + 4 + 2 + 4);
  EXPECT_EQ(counts[1].distinct_rows, 10);
  EXPECT_EQ(counts[2].rows, 3);
  EXPECT_EQ(counts[2].distinct_rows, 1);
}

TEST(Sampler, CountsOfAStageAreThoseOfItsEpochs) {
  for (const Sampler sampler :
       {Sampler::kSequential, Sampler::kShuffled, Sampler::kRoundRobin, Sampler::kProportional, Sampler::kAnnealed}) {
    const SamplerOptions options = options_of(sampler);
    const auto all = count_epochs(kTasks, options);
    for (std::size_t i = 0; i < kTasks.size(); ++i) {
      SampledCounts sum;
      for (int epoch = 1; epoch <= kEpochs; ++epoch) {
        const PlanCounts counts = count_plan(plan_epoch(kTasks, options, epoch), kTasks)[i];
        sum.steps += counts.steps;
        sum.rows += counts.rows;
      }
      EXPECT_EQ(all[i].steps, sum.steps) << option_name(sampler) << " " << i;
      EXPECT_EQ(all[i].rows, sum.rows) << option_name(sampler) << " " << i;
    }
  }
}

}  // namespace
}  // namespace minbert
