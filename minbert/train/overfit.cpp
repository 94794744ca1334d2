// The same few rows over and over.
#include "minbert/train/overfit.h"

#include <numeric>

#include "minbert/base/clock.h"
#include "minbert/train/stage.h"

namespace minbert {

TrainResult overfit(Backend& backend, const RunConfig& config, const TrainOptions& options, TrainEvents& events) {
  RunSetup setup = prepare_run(backend, config, events);
  set_initial_weights(setup, config, events);
  const StageSpec& stage = config.stages.front();
  const std::vector<std::size_t> tasks = config.tasks_of(stage);
  Optimizer optimizer(*setup.params, stage, [&](const ParamInfo& info) { return stage_trains(stage, info); });
  TrainStep step(setup);

  std::int64_t number = 0;
  double wall_s = 0;
  const std::int64_t planned = kOverfitSteps * std::ssize(tasks);
  for (std::int64_t round = 1; round <= kOverfitSteps; ++round) {
    for (const std::size_t task : tasks) {
      const Stopwatch watch;
      const StepRows rows{task, &setup.tasks[task].train, {}};
      const std::int64_t batch = setup.specs[task].batch.value_or(stage.batch);
      std::vector<std::uint32_t> which(static_cast<std::size_t>(std::min(batch, rows.rows->rows())));
      std::iota(which.begin(), which.end(), 0u);
      const StepResult result = step.run(rows, which, which.size(), {}, optimizer);
      const double norm = optimizer.gradient_norm(task);
      optimizer.step(task, norm, 1);
      ++number;
      wall_s += watch.seconds();
      events.step({.stage = stage.name,
                   .task = setup.specs[task].name,
                   .step = number,
                   .epoch = static_cast<int>(round),
                   .loss = result.loss,
                   .lr = stage.lr,
                   .grad_norm = norm,
                   .tokens = result.tokens,
                   .tokens_per_s = static_cast<double>(result.tokens) / std::max(watch.seconds(), 1e-9),
                   .wall_s = wall_s,
                   .stage_step = number,
                   .stage_steps = planned,
                   .log = round == 1 || round % 10 == 0});
      if (options.should_stop()) return {.stopped = true};
    }
  }
  return {};
}

}  // namespace minbert
