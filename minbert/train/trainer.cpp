// Runs stages from where the last process stopped, and writes results.
#include "minbert/train/trainer.h"

#include <map>
#include <ranges>
#include <set>

#include "minbert/base/clock.h"
#include "minbert/base/system.h"
#include "minbert/data/answers.h"
#include "minbert/train/announce.h"
#include "minbert/train/data_report.h"
#include "minbert/train/evaluation.h"
#include "minbert/train/mlm_files.h"
#include "minbert/train/model_card.h"
#include "minbert/train/overfit.h"
#include "minbert/train/profile.h"
#include "minbert/train/shared_pass.h"
#include "minbert/train/stage.h"
#include "minbert/train/start.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// Sets each parameter to its mean over the best models of those of these stages that train it; if none does, of all (Wortsman et al. 2022,
/// arXiv:2203.05482). A stage that is named twice counts twice.
void set_mean_weights(std::span<const std::string> sources, RunSetup& setup, const RunConfig& config, const RunFolder& folder) {
  Params& params = *setup.params;
  std::map<std::size_t, double> stages;  // how often each is named
  for (const std::string& source : sources) ++stages[config.stage_index(source)];
  const auto counts = [&](std::size_t stage, const ParamInfo& info) {
    const auto trains = [&](std::size_t one) { return stage_trains(config.stages[one], info); };
    return trains(stage) || std::ranges::none_of(stages | std::views::keys, trains);
  };
  const Tensor all = params.flat({0, params.table().size()});
  std::vector<double> sums(static_cast<std::size_t>(all.numel())), weights(params.table().size());
  for (const auto& [stage, times] : stages) {
    load_best(stage_best(folder.path(), config.stages[stage]), params, *setup.ranks);
    const std::vector<float> values = params.backend().to_host(all);
    std::size_t i = 0;
    for (std::size_t p = 0; p < weights.size(); ++p) {
      const double own = counts(stage, params.table()[p]) ? times : 0;
      weights[p] += own;
      for (const std::size_t end = i + static_cast<std::size_t>(params.table()[p].numel()); i < end; ++i) sums[i] += own * values[i];
    }
  }
  std::vector<float> means(sums.size());
  std::size_t i = 0;
  for (std::size_t p = 0; p < weights.size(); ++p)
    for (const std::size_t end = i + static_cast<std::size_t>(params.table()[p].numel()); i < end; ++i)
      means[i] = static_cast<float>(sums[i] / weights[p]);
  params.backend().copy_to_device(all, means.data());
  params.changed();
}

/// Sets the parameters that a stage starts from. They are still those from the end of the stage before it, or the initial ones.
void set_stage_weights(std::size_t index, RunSetup& setup, const RunConfig& config, RunFolder& folder) {
  const std::span<const std::string> sources = config.stages[index].sources();
  const std::string& from = sources.front();
  if (index == 0 || from == "last") return;
  if (from == "init") {
    if (setup.ranks->is_first()) set_initial_weights(setup, config, folder);
    return broadcast(*setup.ranks, *setup.params);
  }
  if (sources.size() > 1) return set_mean_weights(sources, setup, config, folder);
  const std::size_t source = from == "previous" ? index - 1 : config.stage_index(from);
  load_best(stage_best(folder.path(), config.stages[source]), *setup.params, *setup.ranks);
}

/// Throws Error(kData) on a rank whose rows or tokenizer are not those of the first.
void expect_same_data(Comm& ranks, const std::string& data) {
  if (ranks.broadcast(data) != data)
    throw Error(ErrorTag::kData, fmt::format("rank {}", ranks.rank()), "its rows or its tokenizer are not those of rank 0",
                "all ranks must see the same files");
}

/// Finds where the run goes on, its checkpoint or its start, and sets the parameters to their values there. The first rank reads them.
Progress set_run_weights(RunSetup& setup, const RunConfig& config, const OpenRun& open, RunFolder& folder) {
  const fs::path last = folder.checkpoint("last");
  Comm& ranks = *setup.ranks;
  const std::optional<Progress> found = open.resume && ranks.is_first() ? find_checkpoint(last) : std::nullopt;
  const std::string data = data_digest(setup);
  expect_same_data(ranks, data);
  if (found) expect_at_most(last, "stage", static_cast<std::int64_t>(found->stage), std::ssize(config.stages) - (found->epoch > 0 ? 1 : 0));
  if (found && found->data != data)
    throw Error(ErrorTag::kData, (last / "state.json").string(), "cannot resume: the rows or the tokenizer are not those of the checkpoint",
                "bring the files back as they were, or start anew with --overwrite");
  if (found)
    load_checkpoint_weights(last, *setup.params);
  else if (ranks.is_first())
    set_initial_weights(setup, config, folder);
  broadcast(ranks, *setup.params);
  return broadcast(ranks, found.value_or(Progress{.selection = {}, .data = data}));
}

void load_trained(const fs::path& best, const StageSpec& stage, Params& params) {
  const auto trains = [&](const ParamInfo& info) { return stage_trains(stage, info); };
  const ImportReport report = import_weights(best, params, {.wanted = trains});
  // The donor may lack a pooler that only a task of a later stage uses; this stage never changed it.
  for (const auto& missing : report.parameters)
    if (missing.missing() && missing.role != Role::kPooler)
      throw Error(ErrorTag::kModel, best.string(), fmt::format("lacks {}, which stage {} trains", missing.name, stage.name));
}

/// Makes this run's folder what it would be after training the donor's stages, except for times. Returns where the run goes on.
Progress adopt_stages(const AdoptStages& adopt, RunSetup& setup, const RunConfig& config, RunFolder& folder) {
  MINBERT_CHECK(setup.ranks->is_alone(), "a study trains its runs in one process each");
  const PhaseScope writing(folder.clock(), Phase::kWrite);
  const std::string from =
      fs::absolute(adopt.donor).lexically_normal().lexically_relative(fs::absolute(folder.path()).lexically_normal()).string();
  Progress at{.stage = adopt.stages, .selection = {}, .data = data_digest(setup)};
  std::set<std::string> names;
  for (std::size_t i = 0; i < adopt.stages; ++i) {
    const StageSpec& stage = config.stages[i];
    const fs::path theirs = stage_best(adopt.donor, stage).parent_path();
    std::optional<StageRecord> record = find_stage_record(theirs);
    if (!record) throw Error(ErrorTag::kModel, theirs.string(), "expected a finished stage");
    set_stage_weights(i, setup, config, folder);
    load_trained(theirs / "best", stage, *setup.params);
    save_model(stage_best(folder.path(), stage), setup, config, stage);
    at.run_step = record->run_step;
    at.wall_s = record->wall_s;
    record->from = from;
    save_stage_record(stage_best(folder.path(), stage).parent_path(), *record);
    folder.message(MessageLevel::kInfo, fmt::format("stage {}: trained already by {}", stage.name, adopt.donor.string()));
    names.insert(stage.name);
  }
  folder.replay(adopt.donor / "metrics.jsonl", names);
  folder.flush();
  save_checkpoint(folder.checkpoint("last"), *setup.params, nullptr, at, *setup.ranks);
  return at;
}

void run_stages(Progress& at, RunSetup& setup, const RunConfig& config, const ShouldStop& should_stop, RunFolder& folder) {
  while (at.stage < config.stages.size()) {
    if (at.epoch == 0) set_stage_weights(at.stage, setup, config, folder);
    Stage(setup, config, at.stage, folder, should_stop).run(at);
    const PhaseScope writing(folder.clock(), Phase::kWrite);
    if (folder.writes())
      save_stage_record(stage_best(folder.path(), config.stages[at.stage]).parent_path(),
                        {.run_step = at.run_step, .wall_s = at.wall_s, .best_epoch = at.selection ? at.selection->best_epoch : 0});
    at = {.stage = at.stage + 1, .run_step = at.run_step, .wall_s = at.wall_s, .selection = {}, .data = at.data};
    folder.flush();
    save_checkpoint(folder.checkpoint("last"), *setup.params, nullptr, at, *setup.ranks);
  }
}

/// "wall clock: 12.3 s: read 1.2, encode 0.0, steps 8.0, scores 2.1, write 1.0"
std::string wall_text(const PhaseSeconds& phases) {
  std::string text = fmt::format("wall clock: {:.1f} s:", phases.total());
  for (std::size_t i = 0; i < kPhaseNames.size(); ++i)
    text += fmt::format("{} {} {:.1f}", i == 0 ? "" : ",", kPhaseNames[i], phases.by_phase[i]);
  return text;
}

/// Fits temperature and thresholds on dev's predictions and says what the temperature changed.
void fit_on_dev(TaskData& task, std::vector<Prediction>& predictions, RunFolder& folder) {
  std::vector<double> labels;
  for (const Row& row : task.rows.dev.rows) labels.push_back(row.label);
  if (!fit_decoding(task.spec, predictions, labels) || !task.spec.calibrate) return;
  std::string errors;
  if (!task.spec.is_multi_label()) {
    const TaskEvaluation evaluation{&task.spec, &task.rows.dev, predictions};
    const Json figures = evaluation_json("dev", std::span(&evaluation, 1), 0, 0)["tasks"][task.spec.name]["calibration"];
    errors = fmt::format("; expected calibration error on dev {:.4f} before, {:.4f} after",
                         figures.value("uncalibrated_error", figures["expected_calibration_error"].get<double>()),
                         figures["expected_calibration_error"].get<double>());
  }
  if (task.spec.temperature == 1) errors = fmt::format("; the {} rows of dev do not decide it", labels.size());
  folder.message(MessageLevel::kInfo, fmt::format("{}: temperature {:.3f}{}", task.spec.name, task.spec.temperature, errors));
}

/// The dev score of the model that a finished stage has kept, for a task that it trains; nothing without dev rows.
std::optional<double> kept_score(const RunFolder& folder, const StageSpec& stage, const std::string& task) {
  const std::optional<StageRecord> record = find_stage_record(stage_best(folder.path(), stage).parent_path());
  std::optional<double> score;
  for (const EvalRecord& eval : folder.evals()) {
    const auto at = eval.scores.find(task);
    if (eval.stage != stage.name || eval.split != "dev" || at == eval.scores.end()) continue;
    const bool is_kept = stage.select == Selection::kPerTask ? !score || at->second > *score : record && eval.epoch == record->best_epoch;
    if (is_kept) score = at->second;
  }
  return score;
}

/// The index of the stage whose model answers each task: the last one, or with best = "per_task" that with the highest dev score of
/// those that train the task, the later of equals. The first rank chooses, as it has the run's files.
std::vector<std::size_t> answering_stages(const RunSetup& setup, const RunConfig& config, const RunFolder& folder) {
  std::vector<std::size_t> stages(setup.tasks.size(), config.stages.size() - 1);
  if (config.run.best == BestModel::kShared) return stages;
  for (std::size_t i = 0; i < stages.size() && folder.writes(); ++i) {
    const std::string& task = setup.tasks[i].spec.name;
    std::optional<double> best;
    for (std::size_t s = 0; s < config.stages.size(); ++s) {
      const StageSpec& stage = config.stages[s];
      if (!stage.trains(task)) continue;
      const std::optional<double> score = kept_score(folder, stage, task);
      if (best && (!score || *score < *best)) continue;
      best = score;
      stages[i] = s;
    }
  }
  for (std::size_t& stage : stages) stage = static_cast<std::size_t>(setup.ranks->broadcast(static_cast<double>(stage)));
  return stages;
}

/// Loads the models that answer tasks, each when it is first needed.
class AnsweringModels {
 public:
  AnsweringModels(RunSetup& setup, const RunConfig& config, const RunFolder& folder)
      : setup_(setup), config_(config), folder_(folder), stages_(answering_stages(setup, config, folder)) {}

  const StageSpec& stage_of(std::size_t task) const { return config_.stages[stages_[task]]; }
  /// Sets the parameters to those that answer this task.
  void load_for(std::size_t task) { load(stages_[task]); }
  void load_last() { load(config_.stages.size() - 1); }

 private:
  void load(std::size_t stage) {
    if (loaded_ == stage) return;
    load_best(stage_best(folder_.path(), config_.stages[stage]), *setup_.params, *setup_.ranks);
    loaded_ = stage;
  }

  RunSetup& setup_;
  const RunConfig& config_;
  const RunFolder& folder_;
  std::vector<std::size_t> stages_;
  std::optional<std::size_t> loaded_;
};

/// Predicts one split of all tasks that have it and writes eval/SPLIT/. Returns its metrics.json; an empty object without such a task.
Json evaluate_split(std::string_view split, const Rows TaskRows::*rows, const TokenizedRows TaskData::*tokens, RunSetup& setup,
                    AnsweringModels& models, const RunConfig& config, const ShouldStop& should_stop, RunFolder& folder) {
  const PhaseScope scoring(folder.clock(), Phase::kScores);
  std::vector<TaskEvaluation> evaluations;
  for (std::size_t i = 0; i < setup.tasks.size(); ++i) {
    TaskData& task = setup.tasks[i];
    if ((task.rows.*rows).rows.empty()) continue;
    models.load_for(i);
    auto predictions = predict_together(setup, fmt::format("{} {}", split, task.spec.name), i, task.*tokens, folder, should_stop);
    expect_finite(predictions, [&](std::size_t row) { return (task.rows.*rows).place((task.rows.*rows).rows[row]); });
    if (split == "dev") fit_on_dev(task, predictions, folder);
    evaluations.push_back({&task.spec, &(task.rows.*rows), std::move(predictions)});
  }
  if (evaluations.empty() || !folder.writes()) return Json::object();
  for (const EvaluationNote& note : evaluation_notes(split, evaluations)) folder.message(note.level, note.text);
  return write_evaluation(folder.path() / "eval" / split, split, evaluations, BootstrapOptions{}.resamples, config.run.seed);
}

/// `dev` and `test` are metrics.json of eval/dev and eval/test, or empty without such data.
TrainResult result_of(const JsonNode& dev, const JsonNode& test) {
  TrainResult result;
  const auto is_empty = [](const JsonNode& node) { return node.json().is_object() && node.json().empty(); };
  if (!is_empty(test)) result.test_scores = test.at("scores").as_numbers();
  if (is_empty(dev)) return result;
  result.dev_scores = dev.at("scores").as_numbers();
  if (const auto mean = dev.find_set("mean")) result.dev_mean = mean->as_number();
  return result;
}

/// Reads the result of a finished run from its files. Throws Error(kData) if one of them is broken.
TrainResult finished_result(const fs::path& run) {
  const fs::path corpora = run / "eval" / "mlm" / "corpora.csv";
  const auto read = [&](const char* split) {
    const fs::path file = run / "eval" / split / "metrics.json";
    return fs::exists(file) ? JsonNode::read(file, ErrorTag::kData) : JsonNode(Json::object(), file.string(), ErrorTag::kData);
  };
  TrainResult result = result_of(read("dev"), read("test"));
  const RunStatus status = read_run_status(run / "status.json");
  result.step_seconds = status.seconds;
  result.phases = status.phases.value_or(PhaseSeconds{});
  if (fs::exists(corpora)) result.corpora = read_corpora(corpora);
  result.already_finished = true;
  return result;
}

/// A finished run is not resumed. If its checkpoint cannot be removed, it is finished all the same.
void remove_last_checkpoint(RunFolder& folder) {
  std::error_code error;
  fs::remove_all(folder.checkpoint("last"), error);
  if (error)
    folder.message(MessageLevel::kWarning, fmt::format("{}: cannot remove: {}", folder.checkpoint("last").string(), error.message()));
}

/// Writes best-TASK/ for each task.
void save_per_task(AnsweringModels& models, RunSetup& setup, const RunConfig& config, RunFolder& folder) {
  const PhaseScope writing(folder.clock(), Phase::kWrite);
  for (std::size_t i = 0; i < setup.tasks.size(); ++i) {
    models.load_for(i);
    const std::string& task = setup.tasks[i].spec.name;
    if (folder.writes()) save_model(folder.path() / ("best-" + task), setup, config, models.stage_of(i), i);
    folder.message(MessageLevel::kInfo, fmt::format("{}: stage {} answers it, in best-{}", task, models.stage_of(i).name, task));
  }
}

/// Writes the files of the best model.
TrainResult finish_run(RunSetup& setup, const RunConfig& config, const ShouldStop& should_stop, RunFolder& folder) {
  const Stopwatch watch;
  const fs::path best = stage_best(folder.path(), config.stages.back());
  AnsweringModels models(setup, config, folder);
  const Json dev = evaluate_split("dev", &TaskRows::dev, &TaskData::dev, setup, models, config, should_stop, folder);
  const Json test = evaluate_split("test", &TaskRows::test, &TaskData::test, setup, models, config, should_stop, folder);
  if (config.run.best == BestModel::kPerTask) save_per_task(models, setup, config, folder);
  models.load_last();
  if (!folder.writes()) return {};
  const PhaseScope writing(folder.clock(), Phase::kWrite);
  for (const TaskData& task : setup.tasks) write_word_counts(folder.path() / "eval" / "words" / (task.spec.name + ".tsv"), task.rows.train);
  // Where each task has a model of its own, what dev fitted is that model's.
  if (config.run.best == BestModel::kShared &&
      std::ranges::any_of(setup.tasks, [](const TaskData& task) { return task.spec.decoding_is_fitted(); }))
    save_model(best, setup, config, config.stages.back());  // with what dev fitted
  link_folder(best, folder.path() / "best");
  TrainResult result = result_of({dev, "dev", ErrorTag::kInternal}, {test, "test", ErrorTag::kInternal});
  result.corpora = write_mlm_files(folder.path() / "eval" / "mlm", setup, config, folder.evals());
  folder.message(MessageLevel::kDetail, fmt::format("predictions and files of the best model: {:.2f} s", watch.seconds()));
  const fs::path stage = best.parent_path();
  const std::optional<StageRecord> last = find_stage_record(stage);
  if (!last) throw Error(ErrorTag::kModel, (stage / "stage.json").string(), "expected the record of a finished stage, got none");
  result.step_seconds = last->wall_s;
  result.phases = folder.phase_seconds();
  folder.message(MessageLevel::kDetail, wall_text(result.phases));
  Json status = {{"scores", dev.value("scores", Json::object())},
                 {"mean", dev.value("mean", Json())},
                 {"seconds", last->wall_s},
                 {"best_epoch", last->best_epoch},
                 {"peak_memory_bytes", peak_memory_bytes()}};
  status.update(wall_json(result.phases));  // the same times as the result's
  folder.set_status("done", status);
  if (config.run.keep == KeptModels::kBest) remove_last_checkpoint(folder);
  return result;
}

bool is_inside(const fs::path& path, const fs::path& folder) {
  std::error_code ignored;
  const fs::path rest = fs::weakly_canonical(path, ignored).lexically_relative(fs::weakly_canonical(folder, ignored));
  return !rest.empty() && *rest.begin() != "..";
}

/// A run that begins removes what is in its folder, so that no stage can read a model there: a teacher, or model.init.
void expect_models_elsewhere(const RunConfig& config, const fs::path& folder) {
  const auto refuse = [&](const StageSpec& stage, std::string_view key, const std::string& path) {
    throw Error(ErrorTag::kUsage, folder.string(),
                fmt::format("stage {} reads {} \"{}\", which lies in this run's own folder", stage.name, key, path),
                "-o names another folder");
  };
  for (const StageSpec& stage : config.stages) {
    for (const PathOption& teacher : stage.distill ? stage.distill->teachers : std::vector<PathOption>())
      if (!config.find_stage(teacher.text) && is_inside(teacher.text, folder)) refuse(stage, "distill.teachers", teacher.text);
    const bool reads_init = &stage == &config.stages.front() || stage.starts_from_init();
    if (reads_init && !config.model.from_scratch() && is_inside(config.model.init.text, folder))
      refuse(stage, "model.init", config.model.init.text);
  }
}

TrainResult train_in(RunFolder& folder, Backend& backend, const RunConfig& config, const TrainOptions& options, Comm& ranks) {
  Stopwatch watch;
  RunSetup setup = prepare_run(backend, config, folder, ranks);
  setup.run = folder.path();
  expect_models_elsewhere(config, folder.path());
  const double rows_s = watch.lap();
  Progress at = set_run_weights(setup, config, options.open, folder);
  const bool is_new = at.stage == 0 && at.epoch == 0;
  // Room for a checkpoint (weights and two moments), and for a best model of each stage, of the run, and of each task that has its own.
  const std::int64_t models = 4 + std::ssize(config.stages) + (config.run.best == BestModel::kPerTask ? std::ssize(setup.tasks) : 0);
  if (is_new && !options.open.overwrite && folder.writes())
    expect_free_bytes(folder.path(), setup.params->numel() * static_cast<std::int64_t>(sizeof(float)) * models, "checkpoints");
  folder.begin(is_new ? std::nullopt : std::optional(at.run_step));
  folder.message(MessageLevel::kDetail, fmt::format("rows and tokens: {:.2f} s, weights: {:.2f} s", rows_s, watch.lap()));
  if (!options.fingerprint.is_null()) folder.write_json("fingerprint.json", options.fingerprint);
  folder.write_json("data.json", data_json(setup, config));
  Json environment = environment_json(backend.name(), backend.description());
  environment["ranks"] = ranks.size();
  folder.write_json("env.json", environment);
  if (options.announce) announce(setup, config, folder);
  if (options.profile) backend.set_profiling(true);  // MINBERT_DEBUG may have switched it on already
  TrainResult result;
  try {
    if (is_new && options.adopt.stages > 0) at = adopt_stages(options.adopt, setup, config, folder);
    run_stages(at, setup, config, options.should_stop, folder);
    result = finish_run(setup, config, options.should_stop, folder);
  } catch (const StopRequested&) {
    folder.set_status("stopped", {{"step", at.run_step}, {"seconds", at.wall_s}});
    result.stopped = true;
    result.phases = folder.phase_seconds();
  }
  if (options.profile) folder.write_json("profile.json", profile_json(backend));
  return result;
}

/// Records a failure. An error while doing so must not hide the failure itself.
void set_failed(RunFolder& folder, const std::exception& failure) {
  if (!folder.begun()) return;
  try {
    folder.log(fmt::format("failed: {}", failure.what()));
    const auto* error = dynamic_cast<const Error*>(&failure);
    folder.set_status("failed", {{"error", failure.what()}, {"exit_code", error == nullptr ? 1 : error->exit_code()}});
  } catch (const Error&) {
  }
}

}  // namespace

std::size_t adoptable_stages(const RunConfig& config) {
  for (std::size_t i = 1; i < config.stages.size(); ++i)
    if (config.stages[i].sources().front() == "last" && config.stages[i - 1].select != Selection::kLast) return i - 1;
  return config.stages.size();
}

std::filesystem::path run_folder_of(const std::filesystem::path& output, const RunConfig& config) {
  return output.empty() ? std::filesystem::path("runs") / config.run.name : output;
}

TrainOptions train_options(const ConfigTree& tree, const RunConfig& config, const std::filesystem::path& folder, const OpenRun& open) {
  TrainOptions options;
  options.folder = folder;
  options.open = open;
  options.config_text = tree.print_resolved(write_options(config));
  options.input_text = tree.given();
  return options;
}

TrainResult train(Backend& backend, const RunConfig& config, const TrainOptions& options, TrainEvents& events) {
  Comm alone;
  Comm& ranks = options.ranks != nullptr ? *options.ranks : alone;
  if (options.overfit_batch && !ranks.is_alone())
    throw Error(ErrorTag::kUsage, "--overfit-batch", fmt::format("expected one process, got {}", ranks.size()));
  if (options.overfit_batch) return overfit(backend, config, options, events);
  OpenRun open = options.open;
  open.writes = ranks.is_first();
  RunFolder folder(options.folder, open, options.config_text, options.input_text, events);
  if (ranks.broadcast(folder.finished() ? 1.0 : 0.0) > 0)
    return folder.writes() ? finished_result(folder.path()) : TrainResult{.already_finished = true};
  try {
    return train_in(folder, backend, config, options, ranks);
  } catch (const std::exception& failure) {
    set_failed(folder, failure);
    throw;
  }
}

}  // namespace minbert
