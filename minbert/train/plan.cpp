// --dry-run: does everything up to the first step, one step on each task's longest rows to measure its memory, and a few more and some
// scores to measure their time.
#include <algorithm>
#include <numeric>

#include "minbert/base/clock.h"
#include "minbert/base/system.h"
#include "minbert/pipeline/predict.h"
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
    if (task == kMlmName || task == kContrastiveName) continue;
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
  const auto sums = count_epochs(tasks, sampler_options(config, stage));
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

std::int64_t tokens_of(const TokenizedRows& rows) { return std::ssize(rows.ids) + (rows.windows ? std::ssize(rows.windows->rows.ids) : 0); }

/// Seconds for each token that a forward pass reads, measured on a few hundred rows from all of train.
double forward_seconds(RunSetup& setup, std::size_t task) {
  constexpr std::int64_t kRows = 256;
  const TokenizedRows& train = setup.tasks[task].train;
  std::vector<std::uint32_t> which;
  for (std::int64_t i = 0; i < std::min(kRows, train.rows()); ++i)
    which.push_back(static_cast<std::uint32_t>(i * train.rows() / std::min(kRows, train.rows())));
  if (which.empty()) return 0;
  const TokenizedRows sample = copy_rows(train, which);
  predict_rows(*setup.runner, task, setup.tasks[task].spec, copy_rows(sample, std::vector<std::uint32_t>{0}));  // warms up
  const Stopwatch watch;
  predict_rows(*setup.runner, task, setup.tasks[task].spec, sample);
  return watch.seconds() / static_cast<double>(tokens_of(sample));
}

/// Seconds of a step on `task` of the stage, measured on the steps that the first epoch plans first. An earlier step must have warmed up.
double step_seconds(Objective& objective, std::size_t task, const EpochPlan& plan, const DropoutState& dropout, Optimizer& optimizer,
                    const std::string& place) {
  constexpr int kSteps = 8;
  constexpr double kEnough_s = 2;
  const Stopwatch watch;
  int steps = 0;
  for (const SampledStep& step : plan.steps) {
    if (static_cast<std::size_t>(step.task) != task) continue;
    const StepResult result = objective.step(task, objective.whole_step(task, plan.rows_of(step), 1), 1, dropout, optimizer);
    finish_step(result, objective.head(task), 0, optimizer, place);
    if (++steps == kSteps || watch.seconds() > kEnough_s) break;
  }
  return steps == 0 ? 0 : watch.seconds() / steps;
}

/// Seconds of all scores of the stage: dev before the first epoch and after each, and the sample of train.
double score_seconds(const RunSetup& setup, const RunConfig& config, const StageSpec& stage, const std::map<std::size_t, double>& rates) {
  double seconds = 0;
  for (const auto& [task, rate] : rates) {
    const TaskData& data = setup.tasks[task];
    double tokens = static_cast<double>(tokens_of(data.dev)) * (stage.epochs + 1);
    if (scores_train(stage, true) && data.train.rows() > 0) {
      const auto sample = train_sample(stage, 0, data.train.rows(), config.run.seed, data.spec.name);
      tokens += static_cast<double>(std::ssize(sample) * std::ssize(data.train.ids)) / static_cast<double>(data.train.rows()) *
                (scores_train(stage, false) ? stage.epochs + 1 : 1);
    }
    seconds += rate * tokens;
  }
  return seconds;
}

/// What a frozen encoder computes once for all epochs.
double encode_seconds(const RunSetup& setup, const std::map<std::size_t, double>& rates) {
  double seconds = 0;
  for (const auto& [task, rate] : rates)
    seconds += rate * static_cast<double>(tokens_of(setup.tasks[task].train) + tokens_of(setup.tasks[task].dev));
  return seconds;
}

/// What the teachers of a distill stage take to answer all its rows, if they are as large as this model.
double teacher_seconds(const RunSetup& setup, std::size_t index, const std::map<std::size_t, double>& rates) {
  double seconds = 0;
  for (const auto& [task, rate] : rates) {
    const std::string& name = setup.tasks[task].spec.name;
    const auto more = setup.unlabelled[index].find(name);
    const TokenizedRows& rows = more == setup.unlabelled[index].end() ? setup.tasks[task].train : more->second.with_train;
    seconds += static_cast<double>(setup.teachers[index].at(name)) * rate * static_cast<double>(tokens_of(rows));
  }
  return seconds;
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
               {"gradient_and_moment_bytes", Optimizer::state_bytes(*setup.params, stage, trains)}};
  for (int ranks = 2; ranks <= 64; ranks *= 2)
    json["gradient_and_moment_bytes_by_ranks"][std::to_string(ranks)] = Optimizer::state_bytes(*setup.params, stage, trains, ranks);
  if (stage.mlm) json["texts"] = corpus_json(setup.mlm[index]);
  if (stage.contrastive) json["texts"] = contrastive_json(setup.contrastive[index]);
  std::map<std::size_t, double> rates;  // seconds a token, by task
  if (stage.has_tasks())
    for (const std::size_t task : setup.tasks_of(stage)) rates[task] = forward_seconds(setup, task);
  if (stage.kind == StageKind::kHeads && stage.cache_features) {
    json["seconds"] = {{"encode", encode_seconds(setup, rates)}};
    return json;
  }

  json["seconds"] = {{"steps", 0.0}};
  if (stage.has_tasks()) json["seconds"]["scores"] = score_seconds(setup, config, stage, rates);
  if (stage.distill) json["seconds"]["teachers"] = teacher_seconds(setup, index, rates);
  if (stage.epochs == 0) return json;

  Optimizer optimizer(*setup.params, stage, trains, config.run.seed);
  const ModelConfig& model = setup.params->config();
  const DropoutState dropout{.hidden = model.hidden_dropout_prob, .attention = model.attention_probs_dropout_prob, .heads = true};
  const EpochPlan plan = plan_epoch(sampled, sampler_options(config, stage), 1);
  double seconds = 0;
  for (std::size_t task = 0; task < sampled.size(); ++task) {
    const std::string place = fmt::format("stage {}, task {}", stage.name, sampled[task].name);
    const std::vector<std::uint32_t> rows = longest_rows(objective->rows(task), sampled[task].batch / stage.accumulate);
    const StepResult result = objective->step(task, objective->whole_step(task, rows, 1), 1, dropout, optimizer);
    finish_step(result, objective->head(task), 0, optimizer, place);
    const auto steps = json["sampled"][sampled[task].name]["steps"].get<double>();
    seconds += steps * step_seconds(*objective, task, plan, dropout, optimizer, place);
  }
  if (const auto all = static_cast<double>(stage.epochs * steps_per_epoch(sampled)); all > 0)
    seconds *= static_cast<double>(planned_steps(stage, sampled)) / all;  // max_steps
  if (stage.max_minutes > 0) seconds = std::min(seconds, 60 * stage.max_minutes);
  json["activation_bytes"] = objective->activation_bytes();
  json["seconds"]["steps"] = seconds;
  return json;
}

}  // namespace

Json plan_training(Backend& backend, const RunConfig& config) {
  TrainEvents silent;
  Comm alone;
  RunSetup setup = prepare_run(backend, config, silent, alone);
  set_initial_weights(setup, config, silent);
  Json json = {{"run", config.run.name},
               {"tasks", rows_json(setup, config)},
               {"parameters", parameters_json(*setup.params)},
               {"stages", Json::array()}};
  double seconds = 0;
  for (std::size_t index = 0; index < config.stages.size(); ++index) {
    const Json& stage = json["stages"].emplace_back(stage_json(setup, config, index, silent));
    for (const auto& [part, value] : stage["seconds"].items()) seconds += value.get<double>();
  }
  for (std::size_t task = 0; task < setup.tasks.size(); ++task)  // of the best model, at the end
    seconds += forward_seconds(setup, task) * static_cast<double>(tokens_of(setup.tasks[task].dev) + tokens_of(setup.tasks[task].test));
  json["seconds"] = seconds;
  json["parameter_bytes"] = setup.params->numel() * static_cast<std::int64_t>(dtype_size(setup.params->dtype()));
  json["peak_memory_bytes"] = peak_memory_bytes();
  return json;
}

std::vector<std::int64_t> planned_stage_steps(Backend& backend, const RunConfig& config) {
  TrainEvents silent;
  const ShouldStop never = [] { return false; };
  Comm alone;
  RunSetup setup = prepare_run(backend, config, silent, alone);
  std::vector<std::int64_t> steps;
  for (std::size_t i = 0; i < config.stages.size(); ++i)
    steps.push_back(planned_steps(config.stages[i], make_objective(setup, config, i, silent, never)->sampled()));
  return steps;
}

}  // namespace minbert
