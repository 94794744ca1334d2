// Studies: decides which run is next and from which run it can adopt finished stages, and trains it.
#include "minbert/study/study.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <set>
#include <thread>
#include <utility>

#include "minbert/base/files.h"
#include "minbert/base/nearest.h"
#include "minbert/data/run_status.h"
#include "minbert/train/progress.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// How the run in the folder differs from the run that the config describes; empty when it does not, or when there is none.
std::string difference(const StudyRun& run) {
  if (!fs::exists(run.folder / "status.json")) return "";
  if (const auto key = config_difference(run.folder, run.config_text)) return *key;
  const auto found = find_fingerprint(run.folder);
  if (!found) return fs::exists(run.folder / "checkpoints") ? "it has no fingerprint.json" : "";
  return difference(*found, run.fingerprint);
}

std::optional<RunStatus> find_status(const StudyRun& run) { return find_run_status(run.folder / "status.json"); }

bool is_locked(const StudyRun& run) { return FileLock::is_held(run.folder / ".lock"); }

/// How many stages, counted from the first, are finished in a run's folder and have their models there; at most `limit`.
std::size_t finished_stages(const fs::path& folder, const RunConfig& config, std::size_t limit) {
  const auto is_there = [&](const fs::path& stage) { return find_stage_record(stage) && fs::exists(stage / "best"); };
  std::size_t finished = 0;
  while (finished < limit && is_there(stage_best(folder, config.stages[finished]).parent_path())) ++finished;
  return finished;
}

std::vector<fs::path> subfolders(const fs::path& folder) {
  std::vector<fs::path> found;
  if (!fs::is_directory(folder)) return found;
  for (const auto& entry : fs::directory_iterator(folder))
    if (entry.is_directory()) found.push_back(entry.path());
  std::ranges::sort(found);
  return found;
}

/// The run in the study's folder, of any row, that has finished most of the stages that it shares with this run.
AdoptStages find_donor(const Study& study, const StudyRun& run) {
  AdoptStages best;
  for (const fs::path& row : subfolders(study.folder / "rows")) {
    for (const fs::path& folder : subfolders(row)) {
      const auto fingerprint = folder == run.folder ? std::nullopt : find_fingerprint(folder);
      if (!fingerprint) continue;
      const std::size_t shared = std::min(shared_stages(run.fingerprint, *fingerprint), adoptable_stages(run.config));
      const std::size_t finished = shared <= best.stages ? 0 : finished_stages(folder, run.config, shared);
      if (finished > best.stages) best = {.donor = folder, .stages = finished};
    }
  }
  return best;
}

/// Whether the folder is missing, or holds only the hidden files that a process makes before study.json.
bool is_vacant(const fs::path& folder) {
  if (!fs::exists(folder)) return true;
  return fs::is_directory(folder) &&
         std::all_of(fs::directory_iterator(folder), fs::directory_iterator(),
                     [](const fs::directory_entry& entry) { return entry.path().filename().string().starts_with('.'); });
}

/// Throws for published scores of tasks that the row does not have: the table has no column for them.
void check_published(const StudyFile& file, const StudyRow& row, std::vector<std::string> known) {
  known.emplace_back("mean");
  for (const auto& [name, score] : row.published)
    if (std::ranges::find(known, name) == known.end())
      throw Error(ErrorTag::kUsage, file.source.place, fmt::format("key \"row.{}.published\": unknown task \"{}\"", row.name, name),
                  suggest(name, known));
}

StudyRun load_run(const Study& study, std::size_t row, const ConfigOverrides& overrides, const std::uint64_t* seed,
                  std::string_view backend, FileHashes& hashes) {
  const StudyRow& spec = study.file.rows[row];
  const ConfigTree tree = row_config(study.file, spec, overrides, seed);
  StudyRun run{.row = row, .config = load_run_config(tree), .config_text = {}, .input_text = tree.given(), .fingerprint = {}};
  check_published(study.file, spec, run.config.heads());
  run.seed = run.config.run.seed;
  run.folder = study.folder / "rows" / spec.name / fmt::format("seed-{}", run.seed);
  run.config_text = tree.print_resolved(write_options(run.config));
  run.fingerprint = fingerprint_of(run.config, backend, hashes);
  return run;
}

class StudyRunner {
 public:
  StudyRunner(Backend& backend, const Study& study, const StudyOptions& options, StudyEvents& events)
      : backend_(backend), study_(study), options_(options), events_(events) {}

  StudyOutcome run() {
    check_folder();
    make_directories(study_.folder);
    write(true);  // study.json comes first, because it marks the folder as a study's
    write_file(study_.folder / "study.input.toml", study_.file.source.text);
    while (!outcome_.stopped && next()) {
    }
    outcome_.elsewhere = pending_.size();
    write(false);
    return std::move(outcome_);
  }

 private:
  void check_folder();
  bool next();
  bool is_settled(const StudyRun& run) const;
  bool is_awaited(const StudyRun& run, std::size_t stages) const;
  bool train_run(const StudyRun& run, const AdoptStages& adopt);
  void settle(const StudyRun& run, bool kept);
  void write(bool active);

  Backend& backend_;
  const Study& study_;
  const StudyOptions& options_;
  StudyEvents& events_;
  std::vector<const StudyRun*> pending_;
  std::set<const StudyRun*> again_;  // runs to overwrite
  RunFailures failures_;
  std::size_t settled_ = 0, total_ = 0;  // selected runs that have ended, and all
  bool waits_ = false;                   // the message about waiting has been given
  StudyOutcome outcome_;
};

void StudyRunner::check_folder() {
  const fs::path& folder = study_.folder;
  if (!is_vacant(folder) && !fs::exists(folder / "study.json"))
    throw Error(ErrorTag::kUsage, folder.string(), "is not empty and is no study folder: it has no study.json",
                "name another folder with -o");
  for (const StudyRun& run : study_.runs) {
    if (!run.selected) continue;
    pending_.push_back(&run);
    const std::string what = difference(run);
    if (!what.empty() && !options_.overwrite)
      throw Error(ErrorTag::kUsage, run.folder.string(),
                  fmt::format("row {}, seed {} differs: {}", study_.file.rows[run.row].name, run.seed, what),
                  "--overwrite trains such rows again, -o names another folder");
    const auto status = find_status(run);
    const bool failed = options_.overwrite && status && status->state == "failed";
    if (!what.empty() || failed) again_.insert(&run);
  }
  total_ = pending_.size();
}

/// Whether the run is done, or failed in a way that would repeat itself.
bool StudyRunner::is_settled(const StudyRun& run) const {
  if (again_.contains(&run)) return false;
  const auto status = find_status(run);
  return status && (status->state == "done" || (status->state == "failed" && status->exit_code == static_cast<int>(ErrorTag::kDiverged)));
}

/// Whether another process is training more of this run's stages than `stages`.
bool StudyRunner::is_awaited(const StudyRun& run, std::size_t stages) const {
  if (fs::exists(run.folder / "checkpoints")) return false;
  return std::ranges::any_of(study_.runs, [&](const StudyRun& other) {
    return &other != &run && std::min(shared_stages(run.fingerprint, other.fingerprint), adoptable_stages(run.config)) > stages &&
           is_locked(other);
  });
}

/// Trains one run, or waits a moment for another process. False when nothing is left for this process.
bool StudyRunner::next() {
  bool waits = false, lost = false;
  for (auto at = pending_.begin(); at != pending_.end(); ++at) {
    const StudyRun& run = **at;
    if (is_locked(run)) continue;
    const bool kept = is_settled(run);
    const AdoptStages adopt = kept ? AdoptStages{} : find_donor(study_, run);
    if (!kept && is_awaited(run, adopt.stages)) {
      waits = true;
      continue;
    }
    if (!kept && !train_run(run, adopt)) {
      lost = true;  // another process held the lock, perhaps only to look: try again
      continue;
    }
    pending_.erase(at);
    again_.erase(&run);
    settle(run, kept);
    waits_ = false;
    return true;
  }
  if (!waits && !lost) return false;
  if (waits && !std::exchange(waits_, true))
    events_.message("waiting for another process, which trains the stages that the remaining rows share");
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  outcome_.stopped = options_.should_stop();
  return true;
}

/// False when another process holds the run's lock.
bool StudyRunner::train_run(const StudyRun& run, const AdoptStages& adopt) {
  TrainOptions options;
  options.folder = run.folder;
  const bool again = again_.contains(&run);
  options.open = {.resume = !again, .overwrite = again};
  options.config_text = run.config_text;
  options.input_text = run.input_text;
  options.adopt = adopt;
  options.fingerprint = run.fingerprint.json();
  options.should_stop = options_.should_stop;
  TrainEvents& events = events_.begin(run, settled_ + 1, total_);
  try {
    outcome_.stopped = train(backend_, run.config, options, events).stopped;
  } catch (const LockHeld&) {
    return false;
  } catch (const std::exception&) {
    const Error error = current_error();
    failures_[run.folder] = {error.what(), error.exit_code()};
  }
  return true;
}

void StudyRunner::settle(const StudyRun& run, bool kept) {
  ++settled_;
  write(!outcome_.stopped);
  const RowResult& row = *std::ranges::find(outcome_.results.rows, study_.file.rows[run.row].name, &RowResult::name);
  const SeedResult& result = *std::ranges::find(row.seeds, run.seed, &SeedResult::seed);
  if (outcome_.exit_code == 0) outcome_.exit_code = result.exit_code;
  events_.end(run, result, kept);
}

void StudyRunner::write(bool active) {
  const FileLock lock(study_.folder / ".lock", true);  // other processes write the same files
  outcome_.results = collect_results(study_, failures_, active);
  write_results(study_.folder, outcome_.results);
}

/// A table has one column for a task: all rows must score it alike.
void expect_same_metrics(const Study& study) {
  std::map<std::string, std::pair<Metric, std::string>> first;  // by task: how the first row scores it, and that row
  for (const StudyRun& run : study.runs)
    for (const TaskSpec& task : run.config.tasks) {
      const std::string& row = study.file.rows[run.row].name;
      const auto& [metric, other] = first.try_emplace(task.name, task.scored_by(), row).first->second;
      if (metric != task.scored_by())
        throw Error(ErrorTag::kUsage, fmt::format("row {}", row),
                    fmt::format("scores task {} by {}, row {} by {}", task.name, option_name(task.scored_by()), other, option_name(metric)),
                    "give all rows the same metric, or the task of this row another name");
    }
}

}  // namespace

void expect_different_seeds(std::span<const std::uint64_t> seeds, const std::string& place) {
  if (std::set(seeds.begin(), seeds.end()).size() != seeds.size())
    throw Error(ErrorTag::kUsage, place, fmt::format("expected seeds that differ, got {}", fmt::join(seeds, ", ")));
}

Study load_study(const fs::path& path, std::string_view backend, const StudyOptions& options) {
  Study study{.file = load_study_file(path), .folder = options.folder, .runs = {}};
  if (study.folder.empty()) study.folder = fs::path("studies") / study.file.study.name;
  study.folder = (study.folder / "").parent_path();  // without a slash at its end
  std::vector<std::string> names;
  for (const StudyRow& row : study.file.rows) names.push_back(row.name);
  for (const std::string& name : options.rows)
    if (std::ranges::find(names, name) == names.end())
      throw Error(ErrorTag::kUsage, "--rows", fmt::format("unknown row \"{}\"", name), suggest(name, names));

  FileHashes hashes;
  std::vector<std::vector<StudyRun>> rounds;  // rounds[s]: the runs with their row's s-th seed
  for (std::size_t i = 0; i < study.file.rows.size(); ++i) {
    const StudyRow& row = study.file.rows[i];
    const bool selected = options.rows.empty() || std::ranges::find(options.rows, row.name) != options.rows.end();
    if (!selected && !fs::exists(study.folder / "rows" / row.name)) continue;
    const std::vector<std::uint64_t>& seeds = options.seeds.empty() ? row.seeds : options.seeds;
    expect_different_seeds(seeds, fmt::format("row {}", row.name));
    const std::size_t count = std::max<std::size_t>(seeds.size(), 1);
    rounds.resize(std::max(rounds.size(), count));
    for (std::size_t s = 0; s < count; ++s) {
      try {
        StudyRun run = load_run(study, i, options.overrides, seeds.empty() ? nullptr : &seeds[s], backend, hashes);
        run.selected = selected;
        if (selected || (fs::exists(run.folder / "status.json") && difference(run).empty())) rounds[s].push_back(std::move(run));
      } catch (const Error&) {
        if (selected) throw;
      }
    }
  }
  for (auto& runs : rounds) std::ranges::move(runs, std::back_inserter(study.runs));
  expect_same_metrics(study);
  return study;
}

Json plan_study(Backend& backend, const Study& study, const StudyOptions& options) {
  Json json = {{"study", study.file.study.name}, {"folder", study.folder.string()}, {"runs", Json::array()}};
  std::map<std::size_t, std::vector<std::int64_t>> steps;  // by row
  std::vector<const StudyRun*> earlier;
  for (const StudyRun& run : study.runs) {
    if (!run.selected) continue;
    const std::string what = difference(run);
    const auto status = find_status(run);
    const std::string state = !what.empty() ? (options.overwrite ? "again" : "refused") : status ? status->state : "new";
    Json row = {{"row", study.file.rows[run.row].name}, {"seed", run.seed}, {"state", state}};
    if (!what.empty()) row["differs"] = what;
    if (!steps.contains(run.row)) steps[run.row] = planned_stage_steps(backend, run.config);
    AdoptStages adopt = find_donor(study, run);
    for (const StudyRun* other : earlier) {
      const std::size_t shared = std::min(shared_stages(run.fingerprint, other->fingerprint), adoptable_stages(run.config));
      if (shared > adopt.stages) adopt = {.donor = other->folder, .stages = shared};
    }
    row["stages"] = Json::array();
    for (std::size_t i = 0; i < run.config.stages.size(); ++i) {
      Json stage = {{"stage", run.config.stages[i].name}, {"steps", steps[run.row][i]}};
      if (i < adopt.stages) stage["shared_with"] = adopt.donor.lexically_relative(study.folder).string();
      row["stages"].push_back(std::move(stage));
    }
    json["runs"].push_back(std::move(row));
    earlier.push_back(&run);
  }
  return json;
}

StudyOutcome run_study(Backend& backend, const Study& study, const StudyOptions& options, StudyEvents& events) {
  return StudyRunner(backend, study, options, events).run();
}

}  // namespace minbert
