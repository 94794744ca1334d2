// Samplers: decide which rows of which task make up each step of an epoch.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/options.h"
#include "minbert/base/round_up.h"

namespace minbert {

enum class Sampler { kSequential, kShuffled, kRoundRobin, kProportional, kSqrt, kAnnealed };

constexpr std::array<OptionName<Sampler>, 6> option_names(Sampler) {
  return {{{Sampler::kSequential, "sequential"},
           {Sampler::kShuffled, "shuffled"},
           {Sampler::kRoundRobin, "round_robin"},
           {Sampler::kProportional, "proportional"},
           {Sampler::kSqrt, "sqrt"},
           {Sampler::kAnnealed, "annealed"}}};
}

/// What a sampler knows of a task.
struct SampledTask {
  std::string name;  ///< names the random stream, so that a task's order of rows does not depend on the tasks beside it
  std::int64_t rows = 0;
  std::int64_t batch = 0;  ///< rows per optimizer step, accumulation included
  std::int64_t batches() const { return divide_up(rows, batch); }
};

struct SamplerOptions {
  Sampler sampler = Sampler::kSequential;
  int epochs = 1;  ///< E, for the annealed sampler
  std::uint64_t seed = 0;
  std::string stage = "0";  ///< names the random streams
  bool shuffle = true;      ///< false: rows stay in file order
};

/// One optimizer step: the `size` entries of EpochPlan::rows from `begin` on, all rows of one task.
struct SampledStep {
  std::int32_t task = 0;
  std::size_t begin = 0, size = 0;
};

/// The steps of one epoch, and their rows one step after the other.
struct EpochPlan {
  std::vector<SampledStep> steps;
  std::vector<std::uint32_t> rows;
  std::span<const std::uint32_t> rows_of(const SampledStep& step) const { return std::span(rows).subspan(step.begin, step.size); }
};

/// Steps of one epoch: the sum over tasks of ceil(rows / batch).
std::int64_t steps_per_epoch(std::span<const SampledTask> tasks);

/// The plan of `epoch`, from 1 to options.epochs. It is a pure function of its arguments, so a resumed run needs no saved state: it draws
/// the tasks of earlier epochs again to find where each task's walk stands.
///
/// Task i's walk over a stage is a sequence of rounds. A round is a fresh permutation of its n_i rows, cut into ceil(n_i/b_i) batches, the
/// last one short. sequential and shuffled use one round per epoch; the others continue their walks from epoch to epoch. Samplers that
/// draw pick task i for a step with probability in proportion to n_i^a / b_i, so that rows come in proportion to n_i^a.
EpochPlan plan_epoch(std::span<const SampledTask> tasks, const SamplerOptions& options, int epoch);

/// What the sampler gives one task, for --dry-run.
struct SampledCounts {
  std::int64_t steps = 0, rows = 0;
};
/// Counts all options.epochs together. Its time is linear in the steps, or constant for sequential and shuffled, whose epochs are alike.
std::vector<SampledCounts> count_epochs(std::span<const SampledTask> tasks, const SamplerOptions& options);

}  // namespace minbert
