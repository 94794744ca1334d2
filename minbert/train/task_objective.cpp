// Runs the training steps of a stage's tasks, and scores the tasks after an epoch.
#include "minbert/train/task_objective.h"

#include <cmath>

#include "minbert/train/shared_pass.h"

namespace minbert {
namespace {

/// How many numbers a teacher's answer to a row has.
std::size_t answers_of_row(const TaskSpec& task) { return task.is_regression() ? 1 : static_cast<std::size_t>(task.labels.count); }

}  // namespace

TaskObjective::TaskObjective(RunSetup& setup, const RunConfig& config, std::size_t index, TrainEvents& events,
                             const ShouldStop& should_stop)
    : setup_(setup),
      config_(config),
      stage_(config.stages[index]),
      unlabelled_(setup.unlabelled[index]),
      events_(events),
      should_stop_(should_stop),
      step_(setup) {
  for (const std::size_t task : setup.tasks_of(stage_)) {
    const TaskData& data = setup.tasks[task];
    const auto more = unlabelled_.find(data.spec.name);
    const TokenizedRows& rows = more == unlabelled_.end() ? data.train : more->second.with_train;
    sampled_.push_back({data.spec.name, rows.rows(), data.spec.batch.value_or(stage_.batch) * stage_.accumulate});
    train_.push_back({task, &rows, {}});
    if (!stage_.distill) continue;
    // Until teachers are asked, which a dry run does not do, they answer 0.
    train_.back().soft = {std::vector<double>(static_cast<std::size_t>(rows.rows()) * answers_of_row(data.spec)), stage_.distill->share};
  }
}

void TaskObjective::prepare() {
  train_vectors_.resize(train_.size());
  for (std::size_t i = 0; i < train_.size(); ++i) {
    StepRows& train = train_[i];
    const TaskData& data = setup_.tasks[train.task];
    train_vectors_[i] = cache(train.task, data.train);
    train.vectors = train_vectors_[i];
    if (data.has_dev()) {
      dev_.push_back({train.task, &data.dev, cache(train.task, data.dev), {}});
      if (data.dev.windows) dev_.back().window_vectors = cache(train.task, data.dev.windows->rows);
    }
    if (scores_train(stage_, true)) add_train_sample(train.task, train.vectors);
  }
  if (!stage_.distill || stage_.epochs == 0) return;
  std::optional<Ensemble> teachers;
  if (setup_.ranks->is_first()) teachers = load_teachers();
  for (StepRows& train : train_) {
    const TaskData& task = setup_.tasks[train.task];
    std::span<double> answers(train.soft.values);
    answers = ask_teachers(teachers, "teachers " + task.spec.name, task, task.rows.train.rows, answers);
    if (const auto more = unlabelled_.find(task.spec.name); more != unlabelled_.end())
      ask_teachers(teachers, fmt::format("teachers {}, unlabelled", task.spec.name), task, more->second.rows, answers);
  }
}

bool TaskObjective::can_select() const {
  return std::ranges::any_of(train_, [&](const StepRows& train) { return setup_.tasks[train.task].has_dev(); });
}

Ensemble TaskObjective::load_teachers() const {
  std::vector<TextModel> models;
  for (ModelFolder& folder : read_teachers(config_, stage_, setup_.run)) {
    const Compute compute = resolve_compute(*setup_.backend, folder.dtype, [](const std::string&) {});  // the run's own dtype has warned
    models.emplace_back(*setup_.backend, std::move(folder), compute);
  }
  return Ensemble(std::move(models));
}

/// Overwrites the beginning of `answers` with what the teachers, which the first rank has, answer to these rows (SoftLabels). Returns the
/// rest.
std::span<double> TaskObjective::ask_teachers(std::optional<Ensemble>& teachers, const std::string& what, const TaskData& task,
                                              std::span<const Row> rows, std::span<double> answers) {
  Comm& ranks = *setup_.ranks;
  // The other ranks wait for the first one, and not for long at a time.
  const std::size_t chunk = ranks.is_alone() ? rows.size() : 1000;
  const RowProgress progress = ranks.is_alone() ? follow(what, std::ssize(rows), events_, should_stop_, ranks) : RowProgress{};
  for (; !rows.empty(); rows = rows.subspan(std::min(chunk, rows.size()))) {
    const auto some = rows.first(std::min(chunk, rows.size()));
    const auto part = answers.first(some.size() * answers_of_row(task.spec));
    if (teachers) {
      auto out = part.begin();
      for (const Prediction& answer : teachers->predict(teachers->find_task(task.spec.name), some, progress))
        out = task.spec.is_regression() ? std::fill_n(out, 1, answer.value) : std::ranges::copy(answer.probs, out).out;
    }
    ranks.broadcast(std::as_writable_bytes(part));
    if (!ranks.is_alone() && ranks.any(should_stop_())) throw StopRequested();
    answers = answers.subspan(part.size());
  }
  return answers;
}

/// `vectors` are those of the task's train rows, if they are cached.
void TaskObjective::add_train_sample(std::size_t task, std::span<const float> vectors) {
  const TaskData& data = setup_.tasks[task];
  const auto rows = train_sample(stage_, 0, data.train.rows(), config_.run.seed, data.spec.name);
  samples_.push_back(copy_rows(data.train, rows));
  const std::size_t width = vectors.size() / static_cast<std::size_t>(data.train.rows());  // of all texts of a row
  std::vector<float> cached;
  for (const std::uint32_t row : rows) {
    const auto of_row = vectors.subspan(row * width, width);
    cached.insert(cached.end(), of_row.begin(), of_row.end());
  }
  train_sample_.push_back({task, &samples_.back(), std::move(cached), {}});
}

/// Encodes the rows once and returns their sentence vectors. Returns none where they would change from step to step: where the encoder
/// trains, or where cache_features is off, so that each step encodes anew with dropout.
std::vector<float> TaskObjective::cache(std::size_t task, const TokenizedRows& rows) {
  if (stage_.kind != StageKind::kHeads || !stage_.cache_features) return {};
  const TaskSpec& spec = setup_.tasks[task].spec;
  return encode_together(setup_, "vectors " + spec.name, spec.pool, rows, events_, should_stop_);
}

void TaskObjective::touch(std::size_t i, std::span<const std::uint32_t> rows, int, Optimizer& optimizer) const {
  touch_rows(optimizer, *train_[i].rows, rows);
}

StepResult TaskObjective::step(std::size_t i, const StepShare& share, int, DropoutState dropout, Optimizer& optimizer) {
  return step_.run(train_[i], share, static_cast<std::size_t>(sampled_[i].batch / stage_.accumulate), dropout, optimizer);
}

std::vector<Prediction> TaskObjective::predict(const EvalRows& eval, std::string what) {
  const TaskSpec& task = setup_.tasks[eval.task].spec;
  if (eval.vectors.empty()) return predict_together(setup_, std::move(what), eval.task, *eval.rows, events_, should_stop_);
  auto predictions = predict_features(*setup_.model, eval.task, task, eval.vectors, eval.rows->rows());
  if (const auto& windows = eval.rows->windows)
    join_windows(task, predictions, *windows, predict_features(*setup_.model, eval.task, task, eval.window_vectors, windows->rows.rows()));
  return predictions;
}

std::optional<EvalEvent> TaskObjective::evaluate(std::string_view split, std::span<const EvalRows> rows, int epoch) {
  if (rows.empty()) return std::nullopt;
  EvalEvent event{.stage = stage_.name, .split = std::string(split), .epoch = epoch};
  for (const EvalRows& eval : rows) {
    TaskSpec task = setup_.tasks[eval.task].spec;
    auto predictions = predict(eval, fmt::format("{} {}", split, task.name));
    task.calibrate = false;  // no choice of labels depends on it
    if (split == "dev") {
      fit_decoding(task, predictions, eval.rows->labels);
      if (task.is_multi_label()) thresholds_[eval.task] = task.thresholds;
    } else if (const auto fitted = thresholds_.find(eval.task); fitted != thresholds_.end()) {
      task.thresholds = fitted->second;
      for (Prediction& prediction : predictions) choose(task, prediction);
    }
    const Score score = score_predictions(task, predictions, eval.rows->labels);
    const double loss = mean_loss(task, predictions, eval.rows->labels);
    if (!std::isfinite(score.value) || !std::isfinite(loss))
      throw Error(
          ErrorTag::kDiverged, fmt::format("stage {}, epoch {}, task {}", stage_.name, epoch, task.name),
          fmt::format("expected finite numbers on {}, got {} {} and loss {}", split, option_name(task.scored_by()), score.value, loss));
    if (const std::string text = undefined_score_text(task, score); !text.empty())
      events_.message(MessageLevel::kWarning, fmt::format("stage {}, epoch {}, {}: {}", stage_.name, epoch, split, text));
    event.scores[task.name] = score.value;
    event.loss[task.name] = loss;
  }
  event.mean = mean_score(event.scores);
  return event;
}

}  // namespace minbert
