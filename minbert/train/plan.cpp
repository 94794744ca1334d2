// --dry-run: does everything up to the first step, and one step on each task's longest rows to measure its memory.
#include <algorithm>
#include <numeric>

#include "minbert/base/system.h"
#include "minbert/train/data_report.h"
#include "minbert/train/stage.h"
#include "minbert/train/start.h"
#include "minbert/train/trainer.h"

namespace minbert {
namespace {

/// Counts of rows by task and split, corpora included.
Json rows_json(const RunSetup& setup, const RunConfig& config) {
  const Json data = data_json(setup, config);
  Json json = Json::object();
  for (const auto& [task, splits] : data.items()) {
    if (task == kMlmName) continue;
    for (const auto& [split, report] : splits.items()) {
      Json& row = json[task][split] = {{"read", report["read"]}, {"used", report["used"]}, {"skipped", report["skipped"]}};
      for (const char* key : {"tokens", "truncated"})
        if (report.contains(key)) row[key] = report[key];
    }
  }
  return json;
}

std::string part_name(const ParamInfo& info) {
  switch (info.role) {
    case Role::kEncoder: return "encoder";
    case Role::kPooler: return "pooler";
    case Role::kHead: return "head:" + info.task;
    case Role::kMlm: return "mlm";
  }
  return {};
}

Json parameters_json(const Params& params) {
  std::map<std::string, std::int64_t> counts;
  for (const ParamInfo& info : params.table()) counts[part_name(info)] += info.numel();
  Json json = counts;
  json["total"] = params.numel();
  return json;
}

/// Steps and rows that the sampler plans for all epochs, by task.
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

Json stage_json(RunSetup& setup, const RunConfig& config, std::size_t index, TrainEvents& events) {
  const StageSpec& stage = config.stages[index];
  const ShouldStop never = [] { return false; };
  const auto objective = make_objective(setup, config, index, events, never);
  const auto sampled = objective->sampled();
  const auto trains = [&](const ParamInfo& info) { return stage_trains(stage, info); };
  Json json = {{"name", stage.name},
               {"kind", option_name(stage.kind)},
               {"tasks", stage.tasks},
               {"epochs", stage.epochs},
               {"steps_per_epoch", steps_per_epoch(sampled)},
               {"planned_steps", planned_steps(stage, sampled)},
               {"sampled", sampling_json(config, stage, sampled)},
               {"gradient_and_moment_bytes", Optimizer::state_bytes(*setup.params, trains)}};
  if (stage.mlm) json["texts"] = corpus_json(setup.mlm[index]);
  if (stage.kind == StageKind::kHeads && stage.cache_features) return json;

  Optimizer optimizer(*setup.params, stage, trains);
  const ModelConfig& model = setup.params->config();
  const DropoutState dropout{.hidden = model.hidden_dropout_prob, .attention = model.attention_probs_dropout_prob, .heads = true};
  for (std::size_t task = 0; task < sampled.size(); ++task) {
    const std::vector<std::uint32_t> rows = longest_rows(objective->rows(task), sampled[task].batch / stage.accumulate);
    const StepResult result = objective->step(task, objective->whole_step(task, rows, 1), 1, dropout, optimizer);
    finish_step(result, objective->head(task), 0, optimizer, fmt::format("stage {}, task {}", stage.name, sampled[task].name));
  }
  json["activation_bytes"] = objective->activation_bytes();
  return json;
}

}  // namespace

Json plan_training(Backend& backend, const RunConfig& config) {
  TrainEvents silent;
  RunSetup setup = prepare_run(backend, config, silent);
  set_initial_weights(setup, config, silent);
  Json json = {{"run", config.run.name},
               {"tasks", rows_json(setup, config)},
               {"parameters", parameters_json(*setup.params)},
               {"stages", Json::array()}};
  for (std::size_t index = 0; index < config.stages.size(); ++index) json["stages"].push_back(stage_json(setup, config, index, silent));
  json["parameter_bytes"] = setup.params->numel() * static_cast<std::int64_t>(dtype_size(setup.params->dtype()));
  json["peak_memory_bytes"] = peak_memory_bytes();
  return json;
}

std::vector<std::int64_t> planned_stage_steps(Backend& backend, const RunConfig& config) {
  TrainEvents silent;
  const ShouldStop never = [] { return false; };
  RunSetup setup = prepare_run(backend, config, silent);
  std::vector<std::int64_t> steps;
  for (std::size_t i = 0; i < config.stages.size(); ++i)
    steps.push_back(planned_steps(config.stages[i], make_objective(setup, config, i, silent, never)->sampled()));
  return steps;
}

}  // namespace minbert
