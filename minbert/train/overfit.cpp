// Trains on the same few rows over and over.
#include "minbert/train/overfit.h"

#include <numeric>

#include "minbert/base/clock.h"
#include "minbert/train/stage.h"
#include "minbert/train/start.h"

namespace minbert {

TrainResult overfit(Backend& backend, const RunConfig& config, const TrainOptions& options, TrainEvents& events) {
  Comm alone;
  RunSetup setup = prepare_run(backend, config, events, alone);
  set_initial_weights(setup, config, events);
  const StageSpec& stage = config.stages.front();
  const auto objective = make_objective(setup, config, 0, events, options.should_stop);
  if (stage.distill) objective->prepare();  // has the teachers answer
  Optimizer optimizer(*setup.params, stage, [&](const ParamInfo& info) { return stage_trains(stage, info); }, config.run.seed);

  std::int64_t number = 0;
  double wall_s = 0;
  const std::int64_t planned = kOverfitSteps * std::ssize(objective->sampled());
  for (std::int64_t round = 1; round <= kOverfitSteps; ++round) {
    for (std::size_t task = 0; task < objective->sampled().size(); ++task) {
      const Stopwatch watch;
      const SampledTask& sampled = objective->sampled()[task];
      std::vector<std::uint32_t> which(static_cast<std::size_t>(std::min(sampled.batch / stage.accumulate, sampled.rows)));
      std::iota(which.begin(), which.end(), 0u);
      const StepResult result = objective->step(task, objective->whole_step(task, which, 1), 1, {}, optimizer);
      const StepOutcome outcome =
          finish_step(result, objective->head(task), 1, optimizer, fmt::format("step {}, task {}", ++number, sampled.name));
      wall_s += watch.seconds();
      const StepRecord record{.stage = stage.name,
                              .task = sampled.name,
                              .step = number,
                              .epoch = static_cast<int>(round),
                              .loss = outcome.loss,
                              .lr = stage.shown_lr(),
                              .grad_norm = outcome.grad_norm,
                              .tokens = outcome.tokens,
                              .tokens_per_s = static_cast<double>(outcome.tokens) / std::max(watch.seconds(), 1e-9),
                              .wall_s = wall_s};
      events.step({record, number, planned, round == 1 || round % 10 == 0});
      if (options.should_stop()) return {.stopped = true};
    }
  }
  return {};
}

}  // namespace minbert
