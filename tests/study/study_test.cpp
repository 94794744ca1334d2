// Studies: each row equals a run of train() with its config, whatever stages it shared and however often the study was interrupted.
#include "minbert/study/study.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "minbert/study/clean.h"
#include "tests/base/error_matchers.h"
#include "tests/study/tiny_study.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kThreeRows = R"(
[study]
name = "three"
base = "base.toml"
seeds = [3, 5]
[[row]]
name = "one"
set = ["stage.0.name=first"]
published = { mood = 0.4, same = 0.5 }
[[row]]
name = "two"
overlay = "heads.toml"
set = ["stage.0.name=first"]
[[row]]
name = "other"
set = ["stage.0.name=first", "stage.0.lr=2e-3"]
)";
constexpr std::string_view kHeads = R"(
[[stage]]
[[stage]]
name = "second"
kind = "heads"
epochs = 2
lr = 1e-2
select = "per_task"
)";

class StudyTest : public TinyStudyTest {
 protected:
  StudyTest() {
    write("three.toml", kThreeRows);
    write("heads.toml", kHeads);
  }

  /// Compares rows of a study with seed 3 with train() of their configs: all files without times in them.
  void expect_as_alone(std::string_view study, const StudyOptions& options, const std::vector<std::string>& rows) {
    for (const StudyRun& run : load(study, options).runs)
      if (run.seed == 3 && std::ranges::find(rows, run.folder.parent_path().filename().string()) != rows.end()) expect_as_alone(run);
  }
  void expect_as_alone(const StudyRun& run) {
    const std::string name = "alone-" + run.folder.parent_path().filename().string() + std::to_string(run.seed);
    if (!fs::exists(run_path(name))) train(run.config, name);
    expect_same_folders(run.folder, run_path(name));
  }

  /// Of two rows that differ in the stage `last` alone, the second one trains that stage only, and equals a run of its own.
  void expect_shared_but_for(const std::string& last, std::string_view stages) {
    write("stages.toml", stages);
    write("shared.toml", fmt::format(R"(
[study]
base = ["base.toml", "stages.toml"]
seeds = [3]
[[row]]
name = "first"
[[row]]
name = "second"
set = ["stage.{}.lr=5e-3"]
)",
                                     last));
    study("shared");
    const auto steps = recorded.steps("second/3");
    EXPECT_EQ(steps.size(), 1u) << "the other stages are those of the first row";
    EXPECT_TRUE(steps.contains(last));
    expect_as_alone("shared", {}, {"second"});
  }

  static void expect_same_folders(const fs::path& a, const fs::path& b) {
    const auto files = files_of(a);
    EXPECT_EQ(files, files_of(b));
    EXPECT_TRUE(files.contains("best/model.safetensors"));
    for (const std::string& file : files) EXPECT_TRUE(read_file(a / file) == read_file(b / file)) << file << " of " << a;
    EXPECT_EQ(without_times(read_file(a / "metrics.jsonl")), without_times(read_file(b / "metrics.jsonl"))) << a;
  }
  /// The files whose bytes depend on the config alone.
  static std::set<std::string> files_of(const fs::path& run) {
    static const std::set<std::string> kTimes = {"config.input.toml", "config.toml",   "env.json",   "fingerprint.json", "log.txt",
                                                 "metrics.csv",       "metrics.jsonl", "stage.json", "state.json",       "status.json"};
    std::set<std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(run)) {
      const fs::path path = entry.path().lexically_relative(run);
      if (entry.is_regular_file() && !kTimes.contains(path.filename().string()) && *path.begin() != "tb" && path != ".lock")
        files.insert(path.string());
    }
    return files;
  }
  std::vector<std::string> states(std::string_view name) const {
    std::vector<std::string> states;
    const Json json = read_json(study_path(name) / "study.json", ErrorTag::kData);
    for (const Json& row : json["rows"])
      for (const Json& seed : row["seeds"])
        states.push_back(
            fmt::format("{}/{} {}", row["name"].get<std::string>(), seed["seed"].get<int>(), seed["state"].get<std::string>()));
    return states;
  }
};

TEST_F(StudyTest, SharedStagesRunOnceToTheSameBytes) {
  const StudyOutcome outcome = study("three");
  EXPECT_FALSE(outcome.stopped);
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(recorded.begun, (std::vector<std::string>{"one/3", "two/3", "other/3", "one/5", "two/5", "other/5"}));
  EXPECT_EQ(recorded.steps("one/3"), (std::map<std::string, int>{{"first", 30}}));
  EXPECT_EQ(recorded.steps("two/3"), (std::map<std::string, int>{{"second", 16}}));
  EXPECT_EQ(recorded.steps("other/3"), (std::map<std::string, int>{{"first", 30}}));
  expect_as_alone("three", {}, {"two", "other"});

  const Json json = read_json(study_path("three") / "study.json", ErrorTag::kData);
  EXPECT_EQ(json["state"], "done");
  EXPECT_EQ(json["rows"][1]["seeds"][1]["shared"][0], (Json{{"stage", "first"}, {"from", "rows/one/seed-5"}}));
  EXPECT_EQ(json["rows"][0]["seeds"][0]["shared"], Json::array());
  EXPECT_DOUBLE_EQ(json["rows"][0]["published"]["mean"], 0.45);
  const Json metrics = read_json(study_path("three") / "rows/two/seed-3/eval/dev/metrics.json", ErrorTag::kData);
  EXPECT_EQ(SortedJson(json["rows"][1]["seeds"][0]["scores"]), SortedJson(metrics["scores"]));
  EXPECT_EQ(json["rows"][1]["seeds"][0]["mean"], metrics["mean"]);

  study("three");
  EXPECT_EQ(recorded.begun, std::vector<std::string>());
  EXPECT_EQ(recorded.kept.size(), 6u);
}

TEST_F(StudyTest, APretrainedEncoderServesOtherHeads) {
  write("pretrain.toml", R"(
[[stage]]
name = "pretrain"
kind = "mlm"
epochs = 2
lr = 1e-2
mlm = { texts = ["mood.train", "same.train"], probes = ["near.dev"], head = "tied", held_out = 0.2 }
)");
  write("named.toml", std::string(kBase) + "name = \"finetune\"\ntasks = [\"mood\", \"near\"]\n");
  write("pretrained.toml", R"(
[study]
base = ["pretrain.toml", "named.toml"]
seeds = [3]
[[row]]
name = "narrow"
[[row]]
name = "wide"
set = ['task.mood.head.dense=["4H"]', "task.near.pool=cls", "stage.finetune.epochs=1"]
[[row]]
name = "other"
set = ["stage.pretrain.mlm.mask=0.3", "stage.finetune.epochs=1"]
)");
  study("pretrained");
  const auto pretrained = [&](const std::string& run) { return recorded.steps(run)["pretrain"]; };
  EXPECT_GT(pretrained("narrow/3"), 0);
  EXPECT_EQ(pretrained("wide/3"), 0);
  EXPECT_EQ(pretrained("other/3"), pretrained("narrow/3"));
  expect_as_alone("pretrained", {}, {"wide"});
  EXPECT_TRUE(fs::exists(study_path("pretrained") / "rows/wide/seed-3/checkpoints/stage-pretrain/best/mlm.safetensors"));
}

TEST_F(StudyTest, EachSharedStageHasItsOwnStart) {
  expect_shared_but_for("late", R"(
[[stage]]
name = "0"
tasks = ["mood"]
epochs = 1
select = "last"
[[stage]]
name = "new"
from = "init"
tasks = ["near"]
epochs = 1
[[stage]]
name = "late"
from = "0"
tasks = ["same"]
epochs = 1
)");
}

TEST_F(StudyTest, SharedStagesTeachAndAreAveraged) {
  expect_shared_but_for("student", R"(
[run]
best = "per_task"
[[stage]]
name = "0"
tasks = ["mood", "same"]
epochs = 1
[[stage]]
name = "near"
from = "0"
tasks = ["near"]
epochs = 1
[[stage]]
name = "mean"
from = ["0", "near"]
epochs = 0
[[stage]]
name = "student"
kind = "distill"
epochs = 1
distill = { teachers = ["0", "near"] }
)");
}

TEST_F(StudyTest, APoolerThatTheSharedStageDidNotUseIsStillNew) {
  write("stages.toml",
        "[[stage]]\ntasks = [\"mood\"]\nepochs = 1\nweight_decay = 0.1\n[[stage]]\nname = \"second\"\ntasks = [\"near\"]\nepochs = 1\n");
  write("pooler.toml", R"(
[study]
base = ["base.toml", "stages.toml"]
seeds = [3]
[[row]]
name = "without"
set = ["task.near.pool=cls"]
[[row]]
name = "with"
[[row]]
name = "without-again"
set = ["task.near.pool=mean"]
)");
  study("pooler");
  EXPECT_EQ(recorded.steps("with/3")["0"], 0);
  EXPECT_EQ(recorded.steps("without-again/3")["0"], 0);
  expect_as_alone("pooler", {}, {"with", "without-again"});
}

TEST_F(StudyTest, WhatStartsFromLastWeightsIsTrainedAnew) {
  write("last.toml", R"(
[study]
base = ["base.toml", "heads.toml"]
seeds = [3]
[[row]]
name = "previous"
[[row]]
name = "last"
set = ["stage.second.from=last"]
[[row]]
name = "kept"
set = ["stage.second.from=last", "stage.0.select=last"]
[[row]]
name = "again"
set = ["stage.second.from=last", "stage.0.select=last", "stage.second.lr=1e-3"]
)");
  study("last");
  EXPECT_EQ(recorded.steps("last/3")["0"], 30) << "its best epoch is not what the second stage starts from";
  EXPECT_EQ(recorded.steps("kept/3")["0"], 30);
  EXPECT_EQ(recorded.steps("again/3")["0"], 0) << "the last epoch is the one that was kept";
  expect_as_alone("last", {}, {"last", "again"});
}

TEST_F(StudyTest, StoppedAnywhereItGoesOnToTheSameBytes) {
  StudyOptions options;
  options.seeds = {3};
  options.rows = {"one", "two"};
  int calls = 0;
  std::map<std::string, int> steps;
  for (bool stopped = true; stopped; ++calls) {
    ASSERT_LT(calls, 100);
    int asked = 0;
    options.should_stop = [&] { return ++asked == 11 + calls; };
    stopped = study("three", options).stopped;
    for (const auto& run : recorded.begun)
      for (const auto& [stage, count] : recorded.steps(run)) steps[run + " " + stage] += count;
    EXPECT_EQ(read_json(study_path("three") / "study.json", ErrorTag::kData)["state"], stopped ? "stopped" : "done");
  }
  EXPECT_GT(calls, 4);
  EXPECT_EQ(steps, (std::map<std::string, int>{{"one/3 first", 30}, {"two/3 second", 16}}));
  expect_as_alone("three", options, {"two"});
}

TEST_F(StudyTest, WhatDiffersIsRefusedUntilOverwritten) {
  StudyOptions options;
  options.seeds = {3};
  study("three", options);
  const auto refused = [&](std::initializer_list<std::string_view> parts) {
    expect_error(ErrorTag::kUsage, parts, [&] { study("three", options); });
    EXPECT_EQ(recorded.begun, std::vector<std::string>());
  };
  std::string changed(kThreeRows);
  changed.replace(changed.find("lr=2e-3"), 7, "lr=3e-3");
  write("three.toml", changed);
  refused({"row other, seed 3", "stage.first.lr was 0.002, is now 0.003"});
  options.overwrite = true;
  study("three", options);
  EXPECT_EQ(recorded.begun, (std::vector<std::string>{"other/3"}));
  EXPECT_EQ(recorded.kept, (std::vector<std::string>{"one/3", "two/3"}));
  expect_as_alone("three", options, {"other"});

  options.overwrite = false;
  write_file(folder.path() / "mood-dev.csv", read_file(folder.path() / "mood-dev.csv") + "warm river,cold stone,0,0,0\n");
  refused({"row one, seed 3", "mood-dev.csv has changed"});
}

TEST_F(StudyTest, RowsThatScoreATaskInAnotherWayAreRefused) {
  write("three.toml", std::string(kThreeRows) + "[[row]]\nname = \"f1\"\nset = [\"stage.0.name=first\", \"task.mood.metric=macro_f1\"]\n");
  expect_error(ErrorTag::kUsage, {"row f1", "task mood by macro_f1, row one by accuracy"}, [&] { load("three"); });
}

TEST_F(StudyTest, AFailedRowKeepsNoOther) {
  write("diverging.toml", R"(
[study]
base = "base.toml"
seeds = [3]
[[row]]
name = "hot"
set = ["stage.0.lr=1e30"]
[[row]]
name = "warm"
)");
  for (const bool again : {false, true}) {
    const StudyOutcome outcome = study("diverging");
    EXPECT_EQ(outcome.exit_code, static_cast<int>(ErrorTag::kDiverged));
    EXPECT_EQ(states("diverging"), (std::vector<std::string>{"hot/3 failed", "warm/3 done"}));
    EXPECT_EQ(recorded.begun.size(), again ? 0u : 2u) << "it would diverge again";
    EXPECT_NE(recorded.ended["hot/3"].error.find("[diverged] stage 0"), std::string::npos);
  }
  EXPECT_NE(read_file(study_path("diverging") / "results.txt").find("failed"), std::string::npos);
}

TEST_F(StudyTest, AStageWhoseModelWasCleanedAwayIsTrainedAnew) {
  StudyOptions options;
  options.seeds = {3};
  options.rows = {"two"};
  study("three", options);
  for (const RunSurplus& run : find_surplus(study_path("three"))) free_surplus(run);
  options.rows = {};
  study("three", options);
  EXPECT_EQ(recorded.begun, (std::vector<std::string>{"one/3", "other/3"}));
  EXPECT_EQ(recorded.steps("one/3")["first"], 30);
  EXPECT_TRUE(fs::exists(study_path("three") / "differences.csv"));
}

TEST_F(StudyTest, AChangeReachesTheRowsThatHaveItsPlace) {
  StudyOptions options;
  options.overrides.sets = {"stage.second.lr=5e-3"};
  const Study study = load("three", options);
  for (const StudyRun& run : study.runs) {
    const StageSpec& last = run.config.stages.back();
    EXPECT_EQ(last.lr, last.name == "second" ? 5e-3 : run.folder.parent_path().filename() == "other" ? 2e-3 : 1e-3) << run.folder;
  }
  options.overrides.sets = {"stage.third.lr=5e-3"};
  expect_error(ErrorTag::kUsage, {"key \"stage.third.lr\": there is no \"third\""}, [&] { load("three", options); });
}

}  // namespace
}  // namespace minbert
