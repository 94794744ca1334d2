// Searches: trials equal runs of train(), the journal alone holds a search's state, and a kill changes no result.
#include "minbert/study/search.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <regex>

#include "tests/base/error_matchers.h"
#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kOneTask = R"(
[model.config]
num_hidden_layers = 1
[[stage]]
tasks = ["near"]
epochs = 3
)";
// Learning rates that train well and learning rates that train badly, in the order good, bad, good, bad, bad.
constexpr std::string_view kSearch = R"(
[search]
recipe = ["base.toml", "one-task.toml"]
trials = 5
warmup_trials = 2
seed = 40
keep = "all"
[[space]]
key = "stage.0.lr"
kind = "choice"
values = [5e-2, 0.5]
[[space]]
key = "model.hidden_dropout"
low = 0
high = 0.4
)";

/// Records trials as they begin and end. Every event calls `at_point`.
struct RecordedSearch final : SearchEvents, TrainEvents {
  std::vector<std::int64_t> begun;
  std::vector<std::string> ended;
  std::int64_t steps = 0;
  std::function<void()> at_point = [] {};

  TrainEvents& begin(const Trial& trial) override {
    at_point();
    begun.push_back(trial.number);
    return *this;
  }
  void end(const Trial& trial) override {
    at_point();
    ended.push_back(fmt::format("{} {}", trial.number, option_name(trial.state)));
  }
  void step(const StepEvent&) override {
    at_point();
    ++steps;
  }
  void eval(const EvalEvent&) override { at_point(); }
  void pass(const PassEvent&) override { at_point(); }
};

class SearchTest : public TinyRunTest {
 protected:
  SearchTest() {
    write("base.toml", kBase);
    write("one-task.toml", kOneTask);
    write("mine.toml", kSearch);
  }
  void write(std::string_view name, std::string_view text) const { write_file(folder.path() / name, text); }
  /// Writes mine.toml with some keys of [search] added or replaced.
  void set(const std::vector<std::pair<std::string, std::string>>& keys) const {
    std::string text(kSearch);
    for (const auto& [key, value] : keys) {
      const std::size_t at = text.find("\n" + key + " = ");
      if (at != std::string::npos) text.erase(at, text.find('\n', at + 1) - at);
      text.insert(text.find("[[space]]"), fmt::format("{} = {}\n", key, value));
    }
    write("mine.toml", text);
  }
  fs::path path(std::string_view name) const { return folder.path() / "searches" / name; }
  std::string text(std::string_view name, std::string_view file) const { return read_file(path(name) / file); }

  SearchOutcome search(std::string_view name, SearchOptions options = {}) {
    options.folder = path(name);
    recorded.begun.clear();
    recorded.ended.clear();
    recorded.steps = 0;
    return run_search(*backend, load_search(folder.path() / "mine.toml", options), options, recorded);
  }
  /// Expects that the files of a search do not depend on how often it was interrupted, except for times.
  void expect_same(std::string_view a, std::string_view b) {
    const auto untimed = [&](std::string_view name, const std::string& file) {
      static const std::regex columns("(,[0-9.e-]*){6}\n"), seconds(" +[0-9]+ +(done|stopped|budget)\n");
      if (file == "results.csv") return std::regex_replace(text(name, file), columns, "\n");
      if (file == "results.txt") return std::regex_replace(text(name, file), seconds, " $1\n");
      if (file != "results.json") return text(name, file);
      Json json = read_json(path(name) / file, ErrorTag::kData);
      for (Json& trial : json["trials"])
        for (const char* key : {"wall_seconds", "phase_seconds"}) EXPECT_EQ(trial.erase(std::string(key)), 1u) << key;
      return dump_json(json);
    };
    for (const char* file : {"journal.jsonl", "results.txt", "results.csv", "results.json", "best.toml"})
      EXPECT_EQ(untimed(a, file), untimed(b, file)) << file << " of " << a;
    const auto best =
        fmt::format("trials/{:03}/best/model.safetensors", read_json(path(a) / "results.json", ErrorTag::kData)["best"].get<int>());
    EXPECT_TRUE(text(a, best) == text(b, best)) << best;
  }

  RecordedSearch recorded;
};

TEST_F(SearchTest, TrialsAreRunsAndTheBestConfigTrainsToItsScore) {
  const SearchOutcome outcome = search("a");
  EXPECT_FALSE(outcome.stopped);
  const SearchResults& results = outcome.results;
  EXPECT_EQ(results.state, "done");
  ASSERT_EQ(results.trials.size(), 5u);
  const auto stopped = std::ranges::count(results.trials, TrialState::kStopped, &Trial::state);
  EXPECT_GE(stopped, 1);
  EXPECT_EQ(stopped + std::ranges::count(results.trials, TrialState::kDone, &Trial::state), 5);
  EXPECT_EQ(results.planned_steps, 5 * 3 * 5) << "trials, epochs, batches of 4 among 17 rows";
  EXPECT_EQ(results.steps + results.saved_steps, results.planned_steps);
  EXPECT_GT(results.saved_steps, 0);
  EXPECT_TRUE(std::ranges::is_sorted(results.trials, std::greater<>(), [](const Trial& trial) { return *trial.score; }));

  for (const Trial& trial : results.trials) {
    const fs::path run = path("a") / trial_folder(trial.number);
    EXPECT_EQ(read_json(run / "status.json", ErrorTag::kData)["state"], trial.state == TrialState::kDone ? "done" : "stopped");
    EXPECT_EQ(read_json(run / "trial.json", ErrorTag::kData)["reason"], trial.reason);
    EXPECT_EQ(trial.reason.empty(), trial.state == TrialState::kDone);
  }
  const Trial& best = *results.best();
  ConfigTree tree;
  tree.load(path("a") / "best.toml");
  const TrainResult alone = train(load_run_config(tree), "alone");
  EXPECT_EQ(alone.dev_scores.at("near"), *best.score);
  EXPECT_EQ(bytes("alone", "best/model.safetensors"), text("a", (trial_folder(best.number) / "best/model.safetensors").string()));
}

TEST_F(SearchTest, WithoutEarlyStoppingAllRunWhole) {
  set({{"stop", "\"none\""}, {"trials", "2"}});
  const SearchResults results = search("whole").results;
  EXPECT_EQ(results.steps, results.planned_steps);
  EXPECT_EQ(results.saved_steps, 0);
  EXPECT_EQ(recorded.steps, results.steps);
  EXPECT_EQ(recorded.ended, (std::vector<std::string>{"0 done", "1 done"}));
}

TEST_F(SearchTest, AtItsEndNoTrialIsStopped) {
  set({{"trials", "4"}, {"min_evals", "3"}});
  EXPECT_EQ(search("late").results.saved_steps, 0);
  EXPECT_EQ(recorded.ended, (std::vector<std::string>{"0 done", "1 done", "2 done", "3 done"}));
}

TEST_F(SearchTest, HalvingStopsAtRungs) {
  set({{"stop", "\"halving\""}, {"eta", "2"}});
  const SearchResults results = search("halving").results;
  EXPECT_GT(results.saved_steps, 0);
  for (const Trial& trial : results.trials) {
    const std::size_t evaluations = trial.evals.size() - 1;
    EXPECT_TRUE(trial.state != TrialState::kStopped || evaluations == 1 || evaluations == 2) << trial.reason;
  }
}

TEST_F(SearchTest, StoppedAnywhereItGoesOnToTheSameEnd) {
  search("straight");
  SearchOptions options;
  options.resume = true;
  int calls = 0;
  for (bool stopped = true; stopped; ++calls) {
    ASSERT_LT(calls, 100);
    int asked = 0;
    options.should_stop = [&] { return ++asked == 4 + 3 * calls; };
    stopped = search("cut", options).stopped;
    EXPECT_EQ(read_json(path("cut") / "results.json", ErrorTag::kData)["state"], stopped ? "stopped" : "done");
  }
  EXPECT_GT(calls, 4);
  expect_same("cut", "straight");
  search("cut", options);
  EXPECT_EQ(recorded.begun, std::vector<std::int64_t>());
}

TEST_F(SearchTest, KilledAnywhereItGoesOnToTheSameEnd) {
  set({{"trials", "4"}, {"budget", "32"}, {"warmup_trials", "1"}});
  int points = 0;
  recorded.at_point = [&] { ++points; };
  const SearchResults results = search("straight").results;
  EXPECT_GT(points, 50);
  for (const TrialState state : {TrialState::kDone, TrialState::kStopped, TrialState::kBudget})
    EXPECT_GE(std::ranges::count(results.trials, state, &Trial::state), 1) << option_name(state);
  SearchOptions resume;
  resume.resume = true;
  for (int kill_at = 1; kill_at < points; kill_at += 7) {
    SCOPED_TRACE(kill_at);
    const std::string name = fmt::format("killed-{}", kill_at);
    const pid_t child = ::fork();
    if (child == 0) {
      int seen = 0;
      recorded.at_point = [&] {
        if (++seen == kill_at) ::_exit(9);
      };
      search(name);
      ::_exit(0);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_EQ(WEXITSTATUS(status), 9);
    AppendFile(path(name) / "journal.jsonl").write(R"({"event":"eval","tri)");  // the line that a killed writer leaves
    recorded.at_point = [] {};
    search(name, resume);
    expect_same(name, "straight");
    if (HasFailure()) return;
  }
}

TEST_F(SearchTest, AnEndThatWasNotWrittenDownIsFoundAgain) {
  set({{"trials", "4"}, {"budget", "32"}, {"warmup_trials", "1"}});
  const SearchResults results = search("straight").results;
  const std::string journal = text("straight", "journal.jsonl");
  SearchOptions resume;
  resume.resume = true;
  int ends = 0;
  for (std::size_t at = 0; (at = journal.find("{\"event\":\"end\"", at)) != std::string::npos; ++at, ++ends) {
    const std::string name = fmt::format("cut-{}", ends);
    fs::copy(path("straight"), path(name), fs::copy_options::recursive);
    for (int gone = ends + 1; gone < 4; ++gone) fs::remove_all(path(name) / trial_folder(gone));
    write_file(path(name) / "journal.jsonl", journal.substr(0, at));
    search(name, resume);
    expect_same(name, "straight");
    EXPECT_EQ(recorded.begun.front(), ends);
    std::int64_t later = 0;  // a trial makes one more step before it stops
    for (const Trial& trial : results.trials)
      if (trial.number > ends) later += trial.steps + (trial.state == TrialState::kStopped ? 1 : 0);
    EXPECT_EQ(recorded.steps, later);
  }
  EXPECT_EQ(ends, std::ssize(results.trials));
}

TEST_F(SearchTest, TheBudgetIsAllThatIsSpent) {
  set({{"budget", "22"}, {"stop", "\"none\""}});
  const SearchResults results = search("budget").results;
  EXPECT_EQ(results.steps, 22);
  EXPECT_EQ(recorded.steps, 22);
  EXPECT_EQ(recorded.ended, (std::vector<std::string>{"0 done", "1 budget"}));
  EXPECT_EQ(results.state, "done");
  set({{"budget", "30"}, {"stop", "\"none\""}});
  EXPECT_EQ(search("exact").results.steps, 30);
  EXPECT_EQ(recorded.ended, (std::vector<std::string>{"0 done", "1 done"}));
}

TEST_F(SearchTest, MoreTrialsGoOnWhereFewerEnded) {
  set({{"trials", "3"}});
  search("three");
  set({{"trials", "1"}});
  search("one");
  set({{"trials", "3"}});
  SearchOptions options;
  options.resume = true;
  search("one", options);
  EXPECT_EQ(recorded.begun, (std::vector<std::int64_t>{1, 2}));
  expect_same("one", "three");
}

TEST_F(SearchTest, ADivergedTrialFailsAndTheSearchGoesOn) {
  std::string text(kSearch);
  text.replace(text.find("0.5]"), 4, "1e30]");
  write("mine.toml", text);
  const SearchResults results = search("diverged").results;
  const Trial& last = results.trials.back();
  EXPECT_EQ(last.state, TrialState::kFailed);
  EXPECT_FALSE(last.score.has_value());
  EXPECT_GE(last.steps, 1);
  EXPECT_LT(last.steps, last.planned_steps);
  EXPECT_NE(last.reason.find("expected finite numbers"), std::string::npos) << last.reason;
  EXPECT_EQ(read_json(path("diverged") / trial_folder(last.number) / "status.json", ErrorTag::kData)["state"], "failed");
  EXPECT_EQ(results.trials.size(), 5u);
  EXPECT_EQ(read_json(path("diverged") / "results.json", ErrorTag::kData)["trials"][4]["score"], Json());
}

TEST_F(SearchTest, OnlyTheBestKeepsItsWeights) {
  set({{"keep", "\"best\""}});
  const SearchResults results = search("lean").results;
  for (const Trial& trial : results.trials) {
    const fs::path run = path("lean") / trial_folder(trial.number);
    EXPECT_EQ(fs::exists(run / "best" / "model.safetensors"), &trial == results.best());
    EXPECT_TRUE(fs::exists(run / "metrics.jsonl"));
  }
}

TEST_F(SearchTest, OneTaskMayBeTheMetric) {
  write("one-task.toml", "[[stage]]\ntasks = [\"same\", \"near\"]\nepochs = 1\n");
  set({{"metric", "\"near\""}, {"trials", "1"}});
  const SearchResults results = search("near").results;
  EXPECT_EQ(*results.trials[0].score, results.trials[0].scores.at("near"));
  EXPECT_NE(results.trials[0].scores.at("near"), results.trials[0].scores.at("same"));
  set({{"metric", "\"mood\""}});
  expect_error(ErrorTag::kUsage, {"search.metric", "\"mood\""}, [&] { search("mood"); });
}

TEST_F(SearchTest, EvaluationsOfOtherTasksDoNotCount) {
  write("one-task.toml", R"(
[[stage]]
tasks = ["near"]
epochs = 1
[[stage]]
name = "second"
tasks = ["near", "mood"]
epochs = 2
)");
  set({{"trials", "1"}});
  const SearchResults results = search("stages").results;
  const Trial& trial = results.trials[0];
  ASSERT_EQ(trial.evals.size(), 3u);
  for (const TrialEval& eval : trial.evals) EXPECT_EQ(eval.stage, "second");
  EXPECT_EQ(trial.evals[0].step, 5);
  EXPECT_EQ(trial.planned_steps, 5 + 2 * (3 + 3));
  EXPECT_DOUBLE_EQ(*trial.score, (trial.scores.at("near") + trial.scores.at("mood")) / 2);
  EXPECT_EQ(*trial.score, trial.curve().back());
  EXPECT_EQ(trial.curve().size(), 3u) << "the second stage begins after training";
}

TEST_F(SearchTest, AnotherSearchIsRefused) {
  set({{"trials", "2"}});
  search("a");
  SearchOptions options;
  expect_error(ErrorTag::kUsage, {"holds a search already", "--resume"}, [&] { search("a"); });
  options.resume = true;
  set({{"trials", "2"}, {"metric", "\"near\""}});
  expect_error(ErrorTag::kUsage, {"journal.jsonl", "metric was \"mean\", is now \"near\""}, [&] { search("a", options); });
  set({{"trials", "2"}, {"seed", "5"}});
  expect_error(ErrorTag::kUsage, {"seed was 40"}, [&] { search("a", options); });
  set({{"trials", "2"}, {"set", "[\"stage.0.batch=2\"]"}});
  expect_error(ErrorTag::kUsage, {"trials/000", "stage.0.batch was 4, is now 2"}, [&] { search("a", options); });
  std::string text(kSearch);
  text.replace(text.find("high = 0.4"), 10, "high = 0.2");
  write("mine.toml", text);
  expect_error(ErrorTag::kUsage, {"trials/000", "its values were"}, [&] { search("a", options); });
  set({{"trials", "3"}});
  write_rows("mood-dev.csv", 9, 2);
  expect_error(ErrorTag::kUsage, {"trials/000", "mood-dev.csv has changed"}, [&] { search("a", options); });
  write_rows("mood-dev.csv", 10, 2);
  fs::remove_all(path("a") / "trials/000");
  search("a", options);  // a folder that somebody removed is not missed
  EXPECT_EQ(recorded.begun, std::vector<std::int64_t>{2});
  make_directories(path("foreign"));
  write_file(path("foreign") / "letter.txt", "dear");
  expect_error(ErrorTag::kUsage, {"no search folder"}, [&] { search("foreign", options); });
  set({{"trials", "2"}});
  const FileLock other(path("a") / ".lock");
  EXPECT_THROW(search("a", options), LockHeld);
}

TEST_F(SearchTest, ABrokenJournalIsNamedByLine) {
  set({{"trials", "1"}});
  search("a");
  std::string journal = text("a", "journal.jsonl");
  journal.insert(journal.find('\n') + 1, "{\"event\":\"eval\",\"trial\":0}\n");
  write_file(path("a") / "journal.jsonl", journal);
  SearchOptions options;
  options.resume = true;
  expect_error(ErrorTag::kData, {"journal.jsonl:2"}, [&] { search("a", options); });
}

TEST_F(SearchTest, TimeIsUp) {
  SearchOptions options;
  options.max_hours = 1e-9;
  const SearchOutcome outcome = search("late", options);
  EXPECT_TRUE(outcome.out_of_time);
  EXPECT_FALSE(outcome.stopped);
  EXPECT_EQ(outcome.results.state, "stopped");
  EXPECT_TRUE(outcome.results.trials.empty());
}

}  // namespace
}  // namespace minbert
