// Plans an epoch: first the order of tasks, then the next batches of each task's walk.
#include "minbert/data/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "minbert/base/check.h"
#include "minbert/base/rng.h"

namespace minbert {
namespace {

// Exponent a of the number of rows; annealed as in Stickland & Murray 2019, section 3.1.
double exponent(const SamplerOptions& options, int epoch) {
  if (options.sampler == Sampler::kProportional) return 1.0;
  if (options.sampler == Sampler::kSqrt) return 0.5;
  return 1.0 - 0.8 * (epoch - 1) / std::max(1, options.epochs - 1);
}

void draw_tasks(std::vector<std::int32_t>& order, std::span<const SampledTask> tasks, double power, Rng& rng) {
  std::vector<double> cumulative;
  double total = 0;
  for (const SampledTask& task : tasks)
    cumulative.push_back(total += std::pow(static_cast<double>(task.rows), power) / static_cast<double>(task.batch));
  for (std::int32_t& task : order) {
    const auto at = std::upper_bound(cumulative.begin(), cumulative.end(), rng.uniform() * total);
    task = static_cast<std::int32_t>(std::min<std::ptrdiff_t>(at - cumulative.begin(), std::ssize(tasks) - 1));
  }
}

// The task of every step of an epoch.
std::vector<std::int32_t> task_order(std::span<const SampledTask> tasks, const SamplerOptions& options, int epoch) {
  std::vector<std::int32_t> order;
  if (options.sampler == Sampler::kSequential || options.sampler == Sampler::kShuffled) {
    for (std::size_t i = 0; i < tasks.size(); ++i)
      order.insert(order.end(), static_cast<std::size_t>(tasks[i].batches()), static_cast<std::int32_t>(i));
  } else {
    order.resize(static_cast<std::size_t>(steps_per_epoch(tasks)));
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = static_cast<std::int32_t>(i % tasks.size());
  }
  Rng rng(options.seed, fmt::format("sampler/{}/{}", options.stage, epoch));
  if (options.sampler == Sampler::kShuffled)
    rng.shuffle(std::span(order));
  else if (options.sampler != Sampler::kSequential && options.sampler != Sampler::kRoundRobin)
    draw_tasks(order, tasks, exponent(options, epoch), rng);
  return order;
}

// Walks over a task's rows, batch after batch and round after round.
class Walk {
 public:
  Walk(const SampledTask& task, const SamplerOptions& options, std::int64_t batches_taken)
      : task_(task), options_(options), next_(batches_taken), order_(static_cast<std::size_t>(task.rows)) {}

  std::span<const std::uint32_t> take() {
    const std::int64_t round = next_ / task_.batches(), batch = next_ % task_.batches();
    ++next_;
    if (round != round_) permute(round);
    const auto begin = static_cast<std::size_t>(batch * task_.batch);
    return std::span(order_).subspan(begin, std::min(static_cast<std::size_t>(task_.batch), order_.size() - begin));
  }

 private:
  void permute(std::int64_t round) {
    round_ = round;
    std::iota(order_.begin(), order_.end(), 0u);
    if (options_.shuffle) Rng(options_.seed, fmt::format("rows/{}/{}/{}", options_.stage, task_.name, round)).shuffle(std::span(order_));
  }

  const SampledTask& task_;
  const SamplerOptions& options_;
  std::int64_t next_, round_ = -1;
  std::vector<std::uint32_t> order_;
};

}  // namespace

std::int64_t steps_per_epoch(std::span<const SampledTask> tasks) {
  return std::accumulate(tasks.begin(), tasks.end(), std::int64_t{0},
                         [](std::int64_t sum, const SampledTask& task) { return sum + task.batches(); });
}

EpochPlan plan_epoch(std::span<const SampledTask> tasks, const SamplerOptions& options, int epoch) {
  MINBERT_CHECK(epoch >= 1 && epoch <= options.epochs, "epoch {} of {}", epoch, options.epochs);
  std::size_t total_rows = 0;
  for (const SampledTask& task : tasks) {
    MINBERT_CHECK(task.rows >= 1 && task.rows <= UINT32_MAX && task.batch >= 1, "task {}: {} rows, batch {}", task.name, task.rows,
                  task.batch);
    total_rows += static_cast<std::size_t>(task.rows);
  }
  std::vector<std::int64_t> taken(tasks.size(), 0);
  for (int earlier = 1; earlier < epoch; ++earlier)
    for (const std::int32_t task : task_order(tasks, options, earlier)) ++taken[static_cast<std::size_t>(task)];
  std::vector<Walk> walks;
  for (std::size_t i = 0; i < tasks.size(); ++i) walks.emplace_back(tasks[i], options, taken[i]);

  EpochPlan plan;
  plan.rows.reserve(total_rows);
  for (const std::int32_t task : task_order(tasks, options, epoch)) {
    const auto rows = walks[static_cast<std::size_t>(task)].take();
    plan.steps.push_back({task, plan.rows.size(), rows.size()});
    plan.rows.insert(plan.rows.end(), rows.begin(), rows.end());
  }
  return plan;
}

std::vector<SampledCounts> count_epochs(std::span<const SampledTask> tasks, const SamplerOptions& options) {
  std::vector<SampledCounts> counts(tasks.size());
  if (options.sampler == Sampler::kSequential || options.sampler == Sampler::kShuffled) {
    for (std::size_t i = 0; i < tasks.size(); ++i)
      counts[i] = {.steps = options.epochs * tasks[i].batches(), .rows = options.epochs * tasks[i].rows};
    return counts;
  }
  for (int epoch = 1; epoch <= options.epochs; ++epoch)
    for (const std::int32_t drawn : task_order(tasks, options, epoch)) {
      const auto i = static_cast<std::size_t>(drawn);
      const std::int64_t batch = counts[i].steps++ % tasks[i].batches();
      counts[i].rows += std::min(tasks[i].batch, tasks[i].rows - batch * tasks[i].batch);
    }
  return counts;
}

}  // namespace minbert
