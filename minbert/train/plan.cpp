// --dry-run: everything up to the first step, and one step of each task's longest rows to see what it takes.
#include <algorithm>
#include <numeric>

#include "minbert/base/system.h"
#include "minbert/train/stage.h"
#include "minbert/train/trainer.h"

namespace minbert {
namespace {

Json rows_json(const TaskData& task) {
  Json json = Json::object();
  for (const auto& [split, tokens] : {std::pair("train", &task.train), {"dev", &task.dev}, {"test", &task.test}}) {
    const auto report = task.rows.reports.find(split);
    if (report == task.rows.reports.end()) continue;
    json[split] = {{"read", report->second.read},
                   {"used", report->second.used},
                   {"skipped", report->second.skipped.size()},
                   {"tokens", tokens->ids.size()},
                   {"truncated", tokens->truncated}};
  }
  return json;
}

Json parameters_json(const Params& params) {
  std::map<std::string, std::int64_t> counts;
  for (const ParamInfo& info : params.table())
    counts[info.role == Role::kEncoder ? "encoder" : info.role == Role::kPooler ? "pooler" : "head:" + info.task] += info.numel();
  Json json = counts;
  json["total"] = params.numel();
  return json;
}

/// Realised counts of all epochs, by task.
Json sampling_json(const RunConfig& config, const StageSpec& stage, std::span<const SampledTask> tasks) {
  std::vector<SampledCounts> sums(tasks.size());
  for (int epoch = 1; epoch <= stage.epochs; ++epoch) {
    const auto counts = count_plan(plan_epoch(tasks, sampler_options(config, stage), epoch), tasks);
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      sums[i].steps += counts[i].steps;
      sums[i].rows += counts[i].rows;
    }
  }
  Json json = Json::object();
  for (std::size_t i = 0; i < tasks.size(); ++i) json[tasks[i].name] = {{"steps", sums[i].steps}, {"rows", sums[i].rows}};
  return json;
}

std::vector<std::uint32_t> longest_rows(const TokenizedRows& rows, std::int64_t count) {
  std::vector<std::uint32_t> order(static_cast<std::size_t>(rows.rows()));
  std::iota(order.begin(), order.end(), 0u);
  std::ranges::stable_sort(order, std::greater<>(), [&](std::uint32_t row) { return rows.row_tokens(row); });
  order.resize(static_cast<std::size_t>(std::min(count, rows.rows())));
  return order;
}

Json stage_json(RunSetup& setup, const RunConfig& config, const StageSpec& stage) {
  const auto tasks = sampled_tasks(config, stage, setup.tasks);
  const auto trains = [&](const ParamInfo& info) { return stage_trains(stage, info); };
  Json json = {{"name", stage.name},
               {"kind", option_name(stage.kind)},
               {"tasks", stage.tasks},
               {"epochs", stage.epochs},
               {"steps_per_epoch", steps_per_epoch(tasks)},
               {"planned_steps", planned_steps(stage, tasks)},
               {"sampled", sampling_json(config, stage, tasks)},
               {"gradient_and_moment_bytes", Optimizer::state_bytes(*setup.params, trains)}};
  if (stage.kind == StageKind::kHeads && stage.cache_features) return json;

  Optimizer optimizer(*setup.params, stage, trains);
  TrainStep step(setup);
  const ModelConfig& model = setup.params->config();
  const DropoutState dropout{.hidden = model.hidden_dropout_prob, .attention = model.attention_probs_dropout_prob, .heads = true};
  for (const std::size_t task : config.tasks_of(stage)) {
    const auto batch = setup.specs[task].batch.value_or(stage.batch);
    const auto rows = longest_rows(setup.tasks[task].train, batch);
    step.run({task, &setup.tasks[task].train, {}}, rows, rows.size(), dropout, optimizer);
    optimizer.step(task, optimizer.gradient_norm(task), 0);
  }
  json["activation_bytes"] = step.activation_bytes();
  return json;
}

}  // namespace

Json plan_training(Backend& backend, const RunConfig& config) {
  TrainEvents silent;
  RunSetup setup = prepare_run(backend, config, silent);
  set_initial_weights(setup, config, silent);
  Json json = {{"run", config.run.name}, {"tasks", Json::object()}, {"parameters", parameters_json(*setup.params)}, {"stages", Json::array()}};
  for (const TaskData& task : setup.tasks) json["tasks"][task.spec.name] = rows_json(task);
  for (const StageSpec& stage : config.stages) json["stages"].push_back(stage_json(setup, config, stage));
  json["parameter_bytes"] = setup.params->numel() * static_cast<std::int64_t>(dtype_size(setup.params->dtype()));
  json["peak_memory_bytes"] = peak_memory_bytes();
  return json;
}

std::vector<std::int64_t> planned_stage_steps(Backend& backend, const RunConfig& config) {
  TrainEvents silent;
  const RunSetup setup = prepare_run(backend, config, silent);
  std::vector<std::int64_t> steps;
  for (const StageSpec& stage : config.stages) steps.push_back(planned_steps(stage, sampled_tasks(config, stage, setup.tasks)));
  return steps;
}

}  // namespace minbert
