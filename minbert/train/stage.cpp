// The epochs of a stage: steps, evaluation, selection, checkpoints.
#include "minbert/train/stage.h"

#include <algorithm>
#include <cmath>

#include "minbert/base/clock.h"
#include "minbert/train/model_card.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

std::int64_t warmup_of(const StageSpec& stage, std::int64_t planned) {
  return stage.warmup_steps.value_or(static_cast<std::int64_t>(std::floor(stage.warmup_ratio * static_cast<double>(planned))));
}

}  // namespace

bool stage_trains(const StageSpec& stage, const ParamInfo& info) {
  switch (info.role) {
    case Role::kEncoder:
      return stage.kind != StageKind::kHeads && (stage.freeze_layers == 0 || info.layer > stage.freeze_layers) &&
             (!stage.lora || lora_reads(*stage.lora, info));
    case Role::kPooler: return stage.kind == StageKind::kFinetune || stage.kind == StageKind::kDistill;
    case Role::kHead: return stage.trains(info.task);
    case Role::kMlm: return stage.kind == StageKind::kMlm;
  }
  return false;
}

SamplerOptions sampler_options(const RunConfig& config, const StageSpec& stage) {
  return {.sampler = stage.sampler, .epochs = stage.epochs, .seed = config.run.seed, .stage = stage.name, .shuffle = stage.shuffle};
}

std::int64_t planned_steps(const StageSpec& stage, std::span<const SampledTask> tasks) {
  const std::int64_t all = stage.epochs * steps_per_epoch(tasks);
  return stage.max_steps > 0 ? std::min(stage.max_steps, all) : all;
}

void load_best(const fs::path& folder, Params& params, Comm& ranks) {
  if (ranks.is_first()) {
    AtomicFolder::recover(folder);
    load_weights(folder / "model.safetensors", params, is_backbone);
    load_weights(folder / "heads.safetensors", params, is_head);
    if (const fs::path mlm = folder / "mlm.safetensors"; params.shape().mlm != MlmHeadKind::kNone && fs::exists(mlm))
      load_weights(mlm, params, is_mlm);
  }
  broadcast(ranks, params);
}

Stage::Stage(RunSetup& setup, const RunConfig& config, std::size_t index, RunFolder& folder, const ShouldStop& should_stop)
    : setup_(setup),
      config_(config),
      spec_(config.stages[index]),
      folder_(folder),
      should_stop_(should_stop),
      objective_(make_objective(setup, config, index, folder, should_stop)),
      planned_(planned_steps(spec_, objective_->sampled())),
      dropout_{.hidden = setup.params->config().hidden_dropout_prob,
               .attention = setup.params->config().attention_probs_dropout_prob,
               .heads = true,
               .seed = config.run.seed},
      optimizer_(
          *setup.params, spec_, [&](const ParamInfo& info) { return stage_trains(spec_, info); }, config.run.seed, setup.ranks),
      selection_(spec_.select, spec_.ties, spec_.early_stop_patience) {
  const PhaseScope encoding(folder.clock(), Phase::kEncode);
  objective_->prepare();
}

void Stage::run(Progress& at) try {
  if (at.epoch > 0)
    resume(at);
  else
    finish_epoch(at);
  while (more_epochs(at)) {
    train_epoch(at);
    finish_epoch(at);
    // With a time limit, a resumed stage may end before the epochs that it had reached: its best model must be no newer than a checkpoint.
    const bool checkpoints_epochs = std::holds_alternative<std::string>(spec_.checkpoint_every) || spec_.max_minutes > 0;
    if (more_epochs(at) && checkpoints_epochs) save_checkpoint(at);
  }
  if (is_spent(at) && at.stage_step < planned_)
    folder_.message(MessageLevel::kInfo, fmt::format("stage {}: its {} minutes are over, after {} of {} planned steps", spec_.name,
                                                     spec_.max_minutes, at.stage_step, planned_));
  if (keeps_last()) save_best({});
} catch (const StopRequested&) {
  if (at.epoch > 0) save_checkpoint(at);  // a resume repeats an evaluation that was stopped
  throw;
}

bool Stage::more_epochs(const Progress& at) const {
  const bool begun = at.epoch_step > 0;  // an epoch whose steps are all done still needs its evaluation
  return at.epoch <= spec_.epochs && (begun || !is_spent(at)) && !selection_.exhausted();
}

/// Whether the stage makes no further step.
bool Stage::is_spent(const Progress& at) const {
  return at.stage_step >= planned_ || (spec_.max_minutes > 0 && at.stage_s >= 60 * spec_.max_minutes);
}

void Stage::resume(const Progress& at) {
  const fs::path last = folder_.checkpoint("last");
  expect_at_most(last, "epoch", at.epoch, spec_.epochs + std::int64_t{1});
  expect_at_most(last, "stage_step", at.stage_step, planned_);
  expect_at_most(last, "epoch_step", at.epoch_step, steps_per_epoch(objective_->sampled()));
  load_checkpoint_optimizer(last, optimizer_);
  selection_.restore(at.selection.value());
  if (spec_.select != Selection::kPerTask || keeps_last()) return;
  const HeadSnapshots current = snapshot_heads();
  load_best(stage_best(folder_.path(), spec_), *setup_.params, *setup_.ranks);
  best_heads_ = snapshot_heads();
  restore_heads(current);
}

void Stage::train_epoch(Progress& at) {
  const PhaseScope stepping(folder_.clock(), Phase::kSteps);
  const EpochPlan plan = plan_epoch(objective_->sampled(), sampler_options(config_, spec_), at.epoch);
  const auto* every = std::get_if<std::int64_t>(&spec_.checkpoint_every);
  while (at.epoch_step < std::ssize(plan.steps) && !is_spent(at)) {
    if (train_step(at, plan)) throw StopRequested();
    if (every != nullptr && at.stage_step % *every == 0) save_checkpoint(at);
  }
  const Stopwatch watch;
  optimizer_.settle();
  add_seconds(at, watch.seconds());
}

/// Counts the time of steps. Returns what was added.
double Stage::add_seconds(Progress& at, double seconds) const {
  if (spec_.max_minutes > 0) seconds = setup_.ranks->broadcast(seconds);  // all ranks must stop after the same step
  at.wall_s += seconds;
  at.stage_s += seconds;
  return seconds;
}

/// Returns whether to stop after this step.
bool Stage::train_step(Progress& at, const EpochPlan& plan) {
  const Stopwatch watch;
  Comm& ranks = *setup_.ranks;
  const SampledStep& sampled = plan.steps[static_cast<std::size_t>(at.epoch_step)];
  const auto task = static_cast<std::size_t>(sampled.task);
  const std::string& name = objective_->sampled()[task].name;
  const double factor = lr_factor(spec_.schedule, at.stage_step, warmup_of(spec_, planned_), planned_);
  ++at.run_step;
  dropout_.step = static_cast<std::uint32_t>(at.run_step);

  const StepShare share = objective_->begin_step(task, plan.rows_of(sampled), at.epoch, factor, optimizer_, ranks);
  StepResult result = objective_->step(task, share, at.epoch, dropout_, optimizer_);
  result.stop = !ranks.is_alone() && should_stop_();
  const StepOutcome outcome = finish_step(result, objective_->head(task), factor, optimizer_,
                                          fmt::format("stage {}, step {}, task {}", spec_.name, at.run_step, name));
  ++at.epoch_step;
  ++at.stage_step;
  const double seconds = add_seconds(at, watch.seconds());
  const StepRecord record{.stage = spec_.name,
                          .task = name,
                          .step = at.run_step,
                          .epoch = at.epoch,
                          .loss = outcome.loss,
                          .lr = factor * spec_.shown_lr(),
                          .grad_norm = outcome.grad_norm,
                          .tokens = outcome.tokens,
                          .tokens_per_s = static_cast<double>(outcome.tokens) / std::max(seconds, 1e-9),
                          .wall_s = std::round(at.wall_s * 1e6) / 1e6};
  folder_.step({record, at.stage_step, planned_, at.stage_step % spec_.log_every == 0 || at.stage_step == planned_, scores_left_s(at)});
  return ranks.is_alone() ? should_stop_() : outcome.stop;
}

/// Each epoch that is not over yet ends with scores.
double Stage::scores_left_s(const Progress& at) const {
  const std::int64_t steps = std::max<std::int64_t>(1, steps_per_epoch(objective_->sampled()));
  return last_scores_s_ * static_cast<double>((planned_ + steps - 1) / steps - at.epoch + 1);
}

/// Scores the parameters after `at.epoch` epochs, saves them if they are the best so far, and sets `at` to the next epoch.
void Stage::finish_epoch(Progress& at) {
  const PhaseScope scoring(folder_.clock(), Phase::kScores);
  const Stopwatch watch;
  double saving_s = 0;
  auto event = objective_->score(at.epoch);
  const bool selects = event && objective_->can_select();
  const std::vector<std::string> improved = selection_.offer(at.epoch, selects ? objective_->ranking(*event) : Scores{}, part_names());
  if (selects && !improved.empty()) {
    event->best = true;
    const Stopwatch saving;
    if (!keeps_last()) save_best(improved);
    saving_s = saving.seconds();
  }
  if (event) {
    folder_.eval(*event);
    last_scores_s_ = watch.seconds() - saving_s;
  }
  Progress next = at;
  ++next.epoch;
  next.epoch_step = 0;
  next.selection = selection_.state();
  if (scores_train(spec_, !more_epochs(next)))
    if (const auto of_train = objective_->score_train(at.epoch)) folder_.eval(*of_train);
  folder_.message(MessageLevel::kDetail, fmt::format("stage {}, epoch {}: scores: {:.2f} s, best model to disk: {:.2f} s", spec_.name,
                                                     at.epoch, watch.seconds() - saving_s, saving_s));
  at = std::move(next);
}

std::vector<std::string> Stage::part_names() const {
  std::vector<std::string> names;
  for (const SampledTask& part : objective_->sampled()) names.push_back(part.name);
  return names;
}

void Stage::save_checkpoint(const Progress& at) {
  const PhaseScope writing(folder_.clock(), Phase::kWrite);
  folder_.flush();
  optimizer_.settle();
  minbert::save_checkpoint(folder_.checkpoint("last"), *setup_.params, &optimizer_, at, *setup_.ranks);
}

/// For per_task selection, saves every task's best head so far; the tasks in `improved` are at their best now.
void Stage::save_best(const std::vector<std::string>& improved) {
  const PhaseScope writing(folder_.clock(), Phase::kWrite);
  const auto save = [&] {
    if (folder_.writes()) save_model(stage_best(folder_.path(), spec_), setup_, config_, spec_);
  };
  const bool per_task = spec_.select == Selection::kPerTask && !keeps_last();
  if (!per_task) return save();
  const HeadSnapshots current = snapshot_heads();
  for (const std::string& task : improved) best_heads_[task] = current.at(task);
  restore_heads(best_heads_);
  save();
  restore_heads(current);
}

Stage::HeadSnapshots Stage::snapshot_heads() const {
  HeadSnapshots heads;
  for (const std::string& task : spec_.tasks) heads[task] = ParamSnapshot(*setup_.params, setup_.params->head_span(task));
  return heads;
}

void Stage::restore_heads(const HeadSnapshots& heads) {
  for (const auto& [task, head] : heads) head.restore(*setup_.params);
  setup_.params->changed();
}

}  // namespace minbert
