// Searches: draws, trains and judges one trial after the other.
#include "minbert/study/search.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "minbert/base/clock.h"
#include "minbert/base/files.h"
#include "minbert/data/run_status.h"
#include "minbert/study/fingerprint.h"
#include "minbert/train/progress.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr int kJournalFormat = 1;
constexpr std::string_view kLock = ".lock";

/// The journal's first line: the settings that decide what happens to a trial. The number of trials may change on resume.
Json header_of(const SearchFile& file) {
  Json header = {{"event", "search"}, {"format", kJournalFormat}};
  const Json section = parse_json(toml_to_json(write_options(file.search)), "search", ErrorTag::kInternal);
  for (const char* key : {"seed", "metric", "stop", "warmup_trials", "min_evals", "eta"}) header[key] = section.at(key);
  return header;
}

Json values_json(const DrawnValues& values) {
  Json json = Json::object();
  for (const auto& [key, value] : values) {
    TomlTable holder;  // toml_to_json takes tables only
    holder.set("value", value);
    json[key] = parse_json(toml_to_json(TomlValue(std::move(holder))), key, ErrorTag::kInternal).at("value");
  }
  return json;
}

/// A trial's config: the merged files, the options read from them, and the text of config.toml.
struct TrialRun {
  TrialRun(const Search& search, std::int64_t trial)
      : tree(trial_config(search.file, search.overrides, trial)),
        config(load_run_config(tree)),
        text(tree.print_resolved(write_options(config))) {}

  ConfigTree tree;
  RunConfig config;
  std::string text;
};

std::int64_t planned_steps_of_run(Backend& backend, const RunConfig& config) {
  const auto steps = planned_stage_steps(backend, config);
  return std::accumulate(steps.begin(), steps.end(), std::int64_t{0});
}

/// The tasks whose mean dev score ranks trials: the task that search.metric names, or all tasks of the last stage.
std::vector<std::string> ranked_tasks(const SearchSection& spec, const RunConfig& config) {
  std::vector<std::string> tasks;
  for (const TaskSpec& task : config.tasks) {
    const bool is_scored = std::ranges::count(config.stages.back().tasks, task.name) > 0 && task.data.dev.given();
    if (is_scored && (spec.metric == "mean" || spec.metric == task.name)) tasks.push_back(task.name);
  }
  return tasks;
}

/// Nothing when a task has no score, as in the evaluations of other stages.
std::optional<double> mean_of(const std::vector<std::string>& tasks, const std::map<std::string, double>& scores) {
  double sum = 0;
  for (const std::string& task : tasks) {
    const auto at = scores.find(task);
    if (at == scores.end()) return std::nullopt;
    sum += at->second;
  }
  return sum / static_cast<double>(tasks.size());
}

/// Passes a run's events on, counts its steps and reports its dev evaluations.
class TrialWatch final : public TrainEvents {
 public:
  /// `step`: steps that the run made before it was resumed.
  TrialWatch(TrainEvents& next, std::int64_t step, std::function<void(const EvalEvent&)> on_dev)
      : next_(next), step_(step), on_dev_(std::move(on_dev)) {}

  std::int64_t step() const { return step_; }

  void step(const StepEvent& event) override {
    step_ = event.step;
    next_.step(event);
  }
  void eval(const EvalEvent& event) override {
    next_.eval(event);
    if (event.split == "dev") on_dev_(event);
  }
  void pass(const PassEvent& event) override { next_.pass(event); }
  void message(MessageLevel level, std::string_view text) override { next_.message(level, text); }

 private:
  TrainEvents& next_;
  std::int64_t step_;
  std::function<void(const EvalEvent&)> on_dev_;
};

class SearchRunner {
 public:
  SearchRunner(Backend& backend, const Search& search, const SearchOptions& options, SearchEvents& events)
      : backend_(backend), search_(search), spec_(search.file.search), options_(options), events_(events) {}
  ~SearchRunner();
  SearchRunner(const SearchRunner&) = delete;
  SearchRunner& operator=(const SearchRunner&) = delete;

  SearchOutcome run();

 private:
  void open();
  void check_trials();
  bool next();
  void train_trial(const TrialRun& run);
  void add_eval(const TrialEval& eval);
  std::optional<std::string> judgement() const;
  bool must_pause();
  bool spends_budget(std::int64_t steps) const;
  std::int64_t steps_before() const;
  std::int64_t steps_made(const Trial& trial) const;
  std::vector<Trial> timed_trials() const;
  void remove_weights() const;
  void write(std::string_view state);
  fs::path folder_of(std::int64_t trial) const { return search_.folder / trial_folder(trial); }

  Backend& backend_;
  const Search& search_;
  const SearchSection& spec_;
  const SearchOptions& options_;
  SearchEvents& events_;
  const Stopwatch watch_;
  FileHashes hashes_;
  std::optional<FileLock> lock_;
  std::optional<TrialJournal> journal_;
  std::optional<std::string> verdict_;  // why the running trial must stop, if it must
  SearchOutcome outcome_;
};

SearchOutcome SearchRunner::run() {
  open();
  while (!outcome_.stopped && !outcome_.out_of_time && next()) write("running");
  const bool done = journal_->running() == nullptr && !outcome_.stopped && !outcome_.out_of_time;
  write(done ? "done" : "stopped");
  return std::move(outcome_);
}

void SearchRunner::open() {
  const fs::path& folder = search_.folder;
  const fs::path journal = folder / "journal.jsonl";
  const auto refuse = [&](std::string_view message, std::string hint) {
    throw Error(ErrorTag::kUsage, folder.string(), message, std::move(hint));
  };
  if (fs::exists(journal) && !options_.resume) refuse("holds a search already", "--resume goes on with it, -o names another folder");
  const auto is_empty = [&] {  // a process that was killed before it wrote the journal leaves its lock
    return fs::is_directory(folder) &&
           std::ranges::all_of(fs::directory_iterator(folder), [](const auto& entry) { return entry.path().filename() == kLock; });
  };
  if (fs::exists(folder) && !fs::exists(journal) && !is_empty())
    refuse("is not empty and is no search folder: it has no journal.jsonl", "name another folder with -o");
  make_directories(folder);
  lock_.emplace(folder / kLock);
  journal_.emplace(journal, header_of(search_.file));
  check_trials();
}

/// Removes the folder again if no trial could begin, as when data or model cannot be read.
SearchRunner::~SearchRunner() {
  if (!lock_ || (journal_ && journal_->begun())) return;
  std::error_code ignored;
  fs::remove(search_.folder / kLock, ignored);
  fs::remove(search_.folder, ignored);
}

/// Checks that the trials in the folder have the values and configs that this file and recipe give them.
void SearchRunner::check_trials() {
  for (const Trial& trial : journal_->trials()) {
    const auto refuse = [&](const std::string& what) {
      throw Error(ErrorTag::kUsage, folder_of(trial.number).string(), "cannot go on with another search: " + what,
                  "give the same files, or name another folder with -o");
    };
    const Json values = values_json(draw_values(search_.file, trial.number));
    if (values != trial.values) refuse(fmt::format("its values were {}, are now {}", dump_json(trial.values), dump_json(values)));
    const TrialRun run(search_, trial.number);
    if (const auto key = config_difference(folder_of(trial.number), run.text)) refuse(*key);
    if (const auto before = find_fingerprint(folder_of(trial.number)))
      if (const std::string what = difference(*before, fingerprint_of(run.config, backend_.name(), hashes_)); !what.empty()) refuse(what);
  }
}

/// Trains the next trial, or resumes the one that was interrupted. False when nothing is left to do, or the search pauses.
bool SearchRunner::next() {
  const Trial* running = journal_->running();
  const std::int64_t number = running == nullptr ? std::ssize(journal_->trials()) : running->number;
  if (running == nullptr && (number >= spec_.trials || spends_budget(0))) return false;
  if (must_pause()) return false;
  const TrialRun run(search_, number);
  if (running == nullptr) journal_->start(values_json(draw_values(search_.file, number)), planned_steps_of_run(backend_, run.config));
  verdict_ = judgement();
  train_trial(run);
  if (journal_->running() != nullptr) return false;
  remove_weights();
  events_.end(journal_->trials().back());
  return true;
}

void SearchRunner::train_trial(const TrialRun& run) {
  const Trial& trial = *journal_->running();
  const fs::path folder = folder_of(trial.number);
  const auto tasks = ranked_tasks(spec_, run.config);
  TrialWatch watch(events_.begin(trial), steps_made(trial), [&](const EvalEvent& event) {
    if (const auto score = mean_of(tasks, event.scores)) add_eval({event.stage, event.epoch, watch.step(), *score});
  });
  const auto is_spent = [&] { return watch.step() < trial.planned_steps && spends_budget(watch.step()); };
  const auto end_early = [&] {
    if (verdict_)
      journal_->end(TrialState::kStopped, *verdict_);
    else if (is_spent())
      journal_->end(TrialState::kBudget, fmt::format("the budget of {} steps is spent", spec_.budget), watch.step());
  };
  if (end_early(); trial.ended()) return;  // the process was killed after the trial was judged and before the journal said so

  TrainOptions options;
  options.folder = folder;
  options.open = {.resume = true};
  options.config_text = run.text;
  options.input_text = run.tree.given();
  options.fingerprint = fingerprint_of(run.config, backend_.name(), hashes_).json();
  options.should_stop = [&] { return verdict_ || is_spent() || must_pause(); };
  try {
    const TrainResult result = train(backend_, run.config, options, watch);
    if (result.stopped) return end_early();
    journal_->end(TrialState::kDone, "", {}, mean_of(tasks, result.dev_scores), result.dev_scores);
  } catch (const Error& error) {
    if (error.tag() != ErrorTag::kDiverged) throw;
    journal_->end(TrialState::kFailed, error.what(), watch.step());
  }
}

/// A resumed run may repeat an evaluation that the journal already has; it is skipped.
void SearchRunner::add_eval(const TrialEval& eval) {
  const auto is_same = [&](const TrialEval& known) { return known.stage == eval.stage && known.epoch == eval.epoch; };
  if (std::ranges::any_of(journal_->running()->evals, is_same)) return;
  journal_->eval(eval);
  verdict_ = judgement();
}

/// Why the running trial should stop early; nothing when it should go on or has made all its steps.
std::optional<std::string> SearchRunner::judgement() const {
  const Trial& trial = *journal_->running();
  if (trial.steps >= trial.planned_steps) return std::nullopt;
  std::vector<TrialCurve> others;
  for (const Trial& other : journal_->trials())
    if (other.ended()) others.push_back(other.curve());
  return reason_to_stop(spec_, others, trial.curve());
}

bool SearchRunner::must_pause() {
  outcome_.stopped = outcome_.stopped || options_.should_stop();
  outcome_.out_of_time = watch_.seconds() >= 3600 * options_.max_hours;
  return outcome_.stopped || outcome_.out_of_time;
}

/// Whether the budget is spent once the running trial has made `steps`.
bool SearchRunner::spends_budget(std::int64_t steps) const { return spec_.budget > 0 && steps_before() + steps >= spec_.budget; }

/// Optimizer steps of all ended trials.
std::int64_t SearchRunner::steps_before() const {
  std::int64_t steps = 0;
  for (const Trial& trial : journal_->trials())
    if (trial.ended()) steps += trial.steps;
  return steps;
}

/// Optimizer steps that a trial's run has made so far. A finished run has no checkpoint, and counts as whole.
std::int64_t SearchRunner::steps_made(const Trial& trial) const {
  const fs::path folder = folder_of(trial.number);
  if (const auto status = find_run_status(folder / "status.json"); status && status->state == "done") return trial.planned_steps;
  const auto checkpoint = find_checkpoint(folder / "checkpoints" / "last");
  return checkpoint ? checkpoint->run_step : 0;
}

/// The trials with the times that their runs' status.json give.
std::vector<Trial> SearchRunner::timed_trials() const {
  std::vector<Trial> trials = journal_->trials();
  for (Trial& trial : trials)
    if (const auto status = find_run_status(folder_of(trial.number) / "status.json")) trial.phases = status->phases;
  return trials;
}

/// Deletes the weights of all ended trials except the best, since they may take gigabytes.
void SearchRunner::remove_weights() const {
  if (spec_.keep == KeptModels::kAll) return;
  const SearchResults results = search_results(search_.file, journal_->trials(), "");
  for (const Trial& trial : results.trials) {
    if (!trial.ended() || &trial == results.best() || !fs::exists(folder_of(trial.number))) continue;
    std::vector<fs::path> weights;
    for (const auto& entry : fs::directory_iterator(folder_of(trial.number)))
      if (const std::string name = entry.path().filename().string(); name == "checkpoints" || name == "best" || name.starts_with("best-"))
        weights.push_back(entry.path());
    for (const fs::path& folder : weights) {
      std::error_code error;
      fs::remove_all(folder, error);
      if (error) throw Error(ErrorTag::kResources, folder.string(), fmt::format("cannot remove: {}", error.message()));
    }
  }
}

void SearchRunner::write(std::string_view state) {
  const std::vector<Trial> trials = timed_trials();
  outcome_.results = search_results(search_.file, trials, std::string(state));
  if (!journal_->begun()) return;
  for (const Trial& trial : trials)
    if (const fs::path folder = folder_of(trial.number), mark = folder / "trial.json";
        trial.ended() && fs::exists(folder) && !fs::exists(mark))
      write_file(mark, dump_json(trial_json(trial), 2) + "\n");
  const auto file = [&](std::string_view name, std::string_view text) { write_file(search_.folder / name, text); };
  file("search.input.toml", search_.file.source.text);
  file("results.txt", results_text(search_.file, outcome_.results));
  file("results.csv", results_csv(search_.file, outcome_.results));
  file("results.json", dump_json(results_json(search_.file, outcome_.results), 2) + "\n");
  const Trial* best = outcome_.results.best();
  if (best == nullptr) return;
  const std::string about = fmt::format("# The best of {} trials of the search {}: number {}, {} {:.4f} on dev.\n",
                                        outcome_.results.trials.size(), spec_.name, best->number, spec_.metric, *best->score);
  file("best.toml", about + TrialRun(search_, best->number).text);
}

}  // namespace

Search load_search(const fs::path& path, const SearchOptions& options) {
  Search search{.file = load_search_file(path), .overrides = options.overrides, .folder = options.folder};
  const SearchSection& spec = search.file.search;
  if (search.folder.empty()) search.folder = fs::path("searches") / spec.name;
  for (std::int64_t trial = 0; trial < spec.trials; ++trial) {
    if (ranked_tasks(spec, TrialRun(search, trial).config).empty())
      throw Error(ErrorTag::kUsage, search.file.source.place,
                  fmt::format("key \"search.metric\": the last stage of trial {} gives no dev score for \"{}\"", trial, spec.metric),
                  "expected mean, or a task of that stage with dev data");
  }
  return search;
}

Json plan_search(Backend& backend, const Search& search) {
  Json json = {{"search", search.file.search.name}, {"folder", search.folder.string()}, {"trials", Json::array()}};
  for (std::int64_t trial = 0; trial < search.file.search.trials; ++trial) {
    json["trials"].push_back({{"trial", trial},
                              {"values", values_json(draw_values(search.file, trial))},
                              {"planned_steps", planned_steps_of_run(backend, TrialRun(search, trial).config)}});
  }
  return json;
}

SearchOutcome run_search(Backend& backend, const Search& search, const SearchOptions& options, SearchEvents& events) {
  return SearchRunner(backend, search, options, events).run();
}

}  // namespace minbert
