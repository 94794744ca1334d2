// Epochs of a stage: steps, evaluation, selection, checkpoints.
#include "minbert/train/stage.h"

#include <algorithm>
#include <cmath>

#include "minbert/base/clock.h"
#include "minbert/train/model_card.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// Up to `count` rows at even distances.
std::vector<Row> spread(const std::vector<Row>& rows, std::size_t count) {
  std::vector<Row> sample;
  count = std::min(count, rows.size());
  for (std::size_t i = 0; i < count; ++i) sample.push_back(rows[i * rows.size() / count]);
  return sample;
}

std::int64_t warmup_of(const StageSpec& stage, std::int64_t planned) {
  return stage.warmup_steps.value_or(static_cast<std::int64_t>(std::floor(stage.warmup_ratio * static_cast<double>(planned))));
}

}  // namespace

bool stage_trains(const StageSpec& stage, const ParamInfo& info) {
  if (info.role == Role::kHead) return std::find(stage.tasks.begin(), stage.tasks.end(), info.task) != stage.tasks.end();
  return stage.kind == StageKind::kFinetune && (info.role == Role::kEncoder || info.role == Role::kPooler);
}

std::vector<SampledTask> sampled_tasks(const RunConfig& config, const StageSpec& stage, std::span<const TaskData> tasks) {
  std::vector<SampledTask> sampled;
  for (const std::size_t task : config.tasks_of(stage))
    sampled.push_back({tasks[task].spec.name, tasks[task].train.rows(), tasks[task].spec.batch.value_or(stage.batch) * stage.accumulate});
  return sampled;
}

SamplerOptions sampler_options(const RunConfig& config, const StageSpec& stage) {
  return {.sampler = stage.sampler, .epochs = stage.epochs, .seed = config.run.seed, .stage = stage.name, .shuffle = stage.shuffle};
}

std::int64_t planned_steps(const StageSpec& stage, std::span<const SampledTask> tasks) {
  const std::int64_t all = stage.epochs * steps_per_epoch(tasks);
  return stage.max_steps > 0 ? std::min(stage.max_steps, all) : all;
}

fs::path stage_best(const RunFolder& folder, const StageSpec& stage) { return folder.checkpoint("stage-" + stage.name) / "best"; }

void load_best(const fs::path& folder, Params& params) {
  AtomicFolder::recover(folder);
  load_weights(folder / "model.safetensors", params, is_backbone);
  load_weights(folder / "heads.safetensors", params, is_head);
}

RowProgress follow(std::string what, std::int64_t rows, TrainEvents& events, const std::function<bool()>& should_stop) {
  return [what = std::move(what), rows, &events, &should_stop](std::int64_t done) {
    events.pass({what, done, rows});
    if (should_stop()) throw StopRequested();
  };
}

Stage::Stage(RunSetup& setup, const RunConfig& config, std::size_t index, RunFolder& folder, const std::function<bool()>& should_stop)
    : setup_(setup),
      config_(config),
      spec_(config.stages[index]),
      folder_(folder),
      should_stop_(should_stop),
      sampled_(sampled_tasks(config, spec_, setup.tasks)),
      planned_(planned_steps(spec_, sampled_)),
      dropout_{.hidden = setup.params->config().hidden_dropout_prob,
               .attention = setup.params->config().attention_probs_dropout_prob,
               .heads = true,
               .seed = config.run.seed},
      optimizer_(*setup.params, spec_, [&](const ParamInfo& info) { return stage_trains(spec_, info); }),
      step_(setup),
      selection_(spec_.select, spec_.early_stop_patience) {
  prepare_rows();
}

void Stage::prepare_rows() {
  const std::vector<std::size_t> tasks = config_.tasks_of(spec_);
  const auto* word = std::get_if<std::string>(&spec_.eval_train);
  const std::size_t sampled_rows = word != nullptr ? SIZE_MAX : static_cast<std::size_t>(std::get<std::int64_t>(spec_.eval_train));
  train_vectors_.resize(tasks.size());
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    const TaskData& data = setup_.tasks[tasks[i]];
    train_vectors_[i] = cache(tasks[i], data.train);
    train_.push_back({tasks[i], &data.train, train_vectors_[i]});
    if (data.has_dev()) dev_.push_back({tasks[i], &data.dev, cache(tasks[i], data.dev)});
    if (sampled_rows == 0) continue;
    samples_.push_back(tokenize_rows(setup_.tokenizer, data.spec, spread(data.rows.train.rows, sampled_rows), setup_.max_length));
    train_sample_.push_back({tasks[i], &samples_.back(), cache(tasks[i], samples_.back())});
  }
}

/// Sentence vectors of a frozen encoder; nothing when it trains, or drops anew in each step.
std::vector<float> Stage::cache(std::size_t task, const TokenizedRows& rows) {
  if (!frozen() || !spec_.cache_features) return {};
  const TaskSpec& spec = setup_.specs[task];
  return encode_rows(*setup_.model, spec.pool, rows, follow("vectors " + spec.name, rows.rows(), folder_, should_stop_));
}

void Stage::run(Progress& at) try {
  if (at.epoch > 0)
    resume(at);
  else
    finish_epoch(at);
  while (more_epochs(at)) {
    train_epoch(at);
    finish_epoch(at);
    if (more_epochs(at)) save_checkpoint(at);
  }
  if (keeps_last()) save_best({});
} catch (const StopRequested&) {
  if (at.epoch > 0) save_checkpoint(at);  // an evaluation that was stopped is made again
  throw;
}

bool Stage::more_epochs(const Progress& at) const {
  const bool begun = at.epoch_step > 0;  // an epoch whose steps are all done still wants its evaluation
  return at.epoch <= spec_.epochs && (begun || at.stage_step < planned_) && !selection_.exhausted();
}

void Stage::resume(const Progress& at) {
  load_checkpoint_optimizer(folder_.checkpoint("last"), optimizer_);
  selection_.restore(at.selection);
  if (spec_.select != Selection::kPerTask || dev_.empty()) return;
  const HeadValues current = head_values(spec_.tasks);
  load_best(stage_best(folder_, spec_), *setup_.params);
  best_heads_ = head_values(spec_.tasks);
  set_head_values(current);
}

void Stage::train_epoch(Progress& at) {
  const EpochPlan plan = plan_epoch(sampled_, sampler_options(config_, spec_), at.epoch);
  const auto* every = std::get_if<std::int64_t>(&spec_.checkpoint_every);
  while (at.epoch_step < std::ssize(plan.steps) && at.stage_step < planned_) {
    train_step(at, plan);
    if (should_stop_()) throw StopRequested();
    if (every != nullptr && at.stage_step % *every == 0) save_checkpoint(at);
  }
}

void Stage::train_step(Progress& at, const EpochPlan& plan) {
  const Stopwatch watch;
  const SampledStep& sampled = plan.steps[static_cast<std::size_t>(at.epoch_step)];
  const StepRows& rows = train_[static_cast<std::size_t>(sampled.task)];
  const TaskSpec& task = setup_.specs[rows.task];
  const double factor = lr_factor(spec_.schedule, at.stage_step, warmup_of(spec_, planned_), planned_);
  ++at.run_step;
  dropout_.step = static_cast<std::uint32_t>(at.run_step);

  const auto batch = static_cast<std::size_t>(task.batch.value_or(spec_.batch));
  const StepResult result = step_.run(rows, plan.rows_of(sampled), batch, dropout_, optimizer_);
  const double norm = optimizer_.gradient_norm(rows.task);
  if (!std::isfinite(result.loss) || !std::isfinite(norm))
    throw Error(ErrorTag::kDiverged, fmt::format("stage {}, step {}, task {}", spec_.name, at.run_step, task.name),
                fmt::format("expected finite numbers, got loss {} and gradient norm {}", result.loss, norm),
                "a smaller lr, clip = 1.0 or a warm-up may help; checkpoints are as they were");
  optimizer_.step(rows.task, norm, factor);

  ++at.epoch_step;
  ++at.stage_step;
  const double seconds = watch.seconds();
  at.wall_s += seconds;
  folder_.step({.stage = spec_.name,
                .task = task.name,
                .step = at.run_step,
                .epoch = at.epoch,
                .loss = result.loss,
                .lr = factor * (frozen() ? spec_.head_lr.value_or(spec_.lr) : spec_.lr),
                .grad_norm = norm,
                .tokens = result.tokens,
                .tokens_per_s = static_cast<double>(result.tokens) / std::max(seconds, 1e-9),
                .wall_s = at.wall_s,
                .stage_step = at.stage_step,
                .stage_steps = planned_,
                .log = at.stage_step % spec_.log_every == 0 || at.stage_step == planned_});
}

/// Scores the parameters as they are after `at.epoch` epochs, keeps them if they are the best, and moves on to the next epoch.
void Stage::finish_epoch(Progress& at) {
  if (!dev_.empty()) {
    EvalEvent event = evaluate("dev", dev_, at.epoch);
    const std::vector<std::string> improved = selection_.offer(at.epoch, event.scores, spec_.tasks);
    event.best = !improved.empty();
    if (!improved.empty() && !keeps_last()) save_best(improved);
    folder_.eval(event);
  }
  if (!train_sample_.empty()) folder_.eval(evaluate("train", train_sample_, at.epoch));
  ++at.epoch;
  at.epoch_step = 0;
  at.selection = selection_.state();
}

EvalEvent Stage::evaluate(std::string_view split, std::span<const EvalRows> rows, int epoch) {
  EvalEvent event{.stage = spec_.name, .split = std::string(split), .epoch = epoch};
  for (const EvalRows& eval : rows) {
    const TaskSpec& task = setup_.specs[eval.task];
    const auto progress = follow(fmt::format("{} {}", split, task.name), eval.rows->rows(), folder_, should_stop_);
    const auto predictions = eval.vectors.empty() ? predict_rows(*setup_.model, eval.task, task, *eval.rows, progress)
                                                  : predict_features(*setup_.model, eval.task, task, eval.vectors, eval.rows->rows());
    const Score score = score_predictions(task, predictions, eval.rows->labels);
    const double loss = mean_loss(task, predictions, eval.rows->labels);
    if (!std::isfinite(score.value) || !std::isfinite(loss))
      throw Error(ErrorTag::kDiverged, fmt::format("stage {}, epoch {}, task {}", spec_.name, epoch, task.name),
                  fmt::format("expected finite numbers on {}, got {} {} and loss {}", split, option_name(task.scored_by()), score.value, loss));
    if (!score.defined)
      folder_.message(MessageLevel::kWarning, fmt::format("stage {}, epoch {}: {} of {} is not defined for constant predictions and counts as 0",
                                                          spec_.name, epoch, option_name(task.scored_by()), task.name));
    event.scores[task.name] = score.value;
    event.loss[task.name] = loss;
  }
  event.mean = mean_score(event.scores);
  return event;
}

void Stage::save_checkpoint(const Progress& at) {
  folder_.flush();
  minbert::save_checkpoint(folder_.checkpoint("last"), *setup_.params, &optimizer_, at);
}

/// Of a per_task stage: the best heads so far, these ones among them.
void Stage::save_best(const std::vector<std::string>& improved) {
  const bool per_task = spec_.select == Selection::kPerTask && !keeps_last();
  HeadValues current;
  if (per_task) {
    current = head_values(spec_.tasks);
    for (const std::string& task : improved) best_heads_[task] = current[task];
    set_head_values(best_heads_);
  }
  save_model(stage_best(folder_, spec_), setup_, config_);
  if (per_task) set_head_values(current);
}

Stage::HeadValues Stage::head_values(const std::vector<std::string>& tasks) const {
  HeadValues values;
  const Params& params = *setup_.params;
  for (const std::string& task : tasks) values[task];
  for (std::size_t i = 0; i < params.table().size(); ++i) {
    const auto at = values.find(params.table()[i].task);
    if (params.table()[i].role != Role::kHead || at == values.end()) continue;
    at->second.emplace_back(static_cast<std::size_t>(params.table()[i].numel()));
    setup_.backend->copy_to_host(at->second.back().data(), params.value(i));
  }
  return values;
}

void Stage::set_head_values(const HeadValues& values) {
  std::map<std::string, std::size_t, std::less<>> next;
  Params& params = *setup_.params;
  for (std::size_t i = 0; i < params.table().size(); ++i) {
    const std::string& task = params.table()[i].task;
    const auto at = values.find(task);
    if (params.table()[i].role == Role::kHead && at != values.end()) setup_.backend->copy_to_device(params.value(i), at->second[next[task]++].data());
  }
  params.changed();
}

}  // namespace minbert
