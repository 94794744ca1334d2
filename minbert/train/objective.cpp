// Picks the objective by kind of stage.
#include "minbert/train/objective.h"

#include "minbert/train/mlm_objective.h"
#include "minbert/train/task_objective.h"

namespace minbert {

RowProgress follow(std::string what, std::int64_t rows, TrainEvents& events, const ShouldStop& should_stop) {
  return [what = std::move(what), rows, &events, &should_stop](std::int64_t done) {
    events.pass({what, done, rows});
    if (should_stop()) throw StopRequested();
  };
}

std::unique_ptr<Objective> make_objective(RunSetup& setup, const RunConfig& config, std::size_t index, TrainEvents& events,
                                          const ShouldStop& should_stop) {
  const StageSpec& stage = config.stages[index];
  if (stage.has_tasks()) return std::make_unique<TaskObjective>(setup, stage, events, should_stop);
  return std::make_unique<MlmObjective>(setup, stage, setup.mlm[index], config.run.seed, events, should_stop);
}

std::int64_t eval_train_rows(const StageSpec& stage) {
  const auto* number = std::get_if<std::int64_t>(&stage.eval_train);
  return number != nullptr ? *number : INT64_MAX;
}

}  // namespace minbert
