// Run folders: when one may be opened, what it holds at any moment, and what a resume keeps.
#include "minbert/train/run_folder.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <string>
#include <vector>

#include "tests/base/error_matchers.h"
#include "tests/base/file_size_limit.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kConfig = "[run]\nname = \"r\"  # a.toml:2\n\n[[stage]]\nname = \"0\"\nlr = 1e-05\nlog_every = 50\n";

/// Records the events that the folder passes on.
struct Recorder final : TrainEvents {
  int steps = 0, evals = 0;
  std::vector<std::string> warnings;
  void step(const StepEvent&) override { ++steps; }
  void eval(const EvalEvent&) override { ++evals; }
  void message(MessageLevel level, std::string_view text) override {
    if (level == MessageLevel::kWarning) warnings.emplace_back(text);
  }
};

/// A run folder that has begun, anew or after `step`.
struct BegunFolder : RunFolder {
  BegunFolder(const fs::path& path, const OpenRun& how, std::string_view config, TrainEvents& next, std::optional<std::int64_t> step)
      : RunFolder(path, how, config, "# as given\n", next) {
    if (!finished()) begin(step);
  }
};

class RunFolderTest : public testing::Test {
 protected:
  BegunFolder open(const OpenRun& how = {}, std::string_view config = kConfig, std::optional<std::int64_t> step = {}) {
    return BegunFolder(path, how, config, recorder, step);
  }
  std::string text(std::string_view name) const { return read_file(path / name); }
  Json status() const { return read_json(path / "status.json", ErrorTag::kData); }

  TempFolder folder;
  fs::path path = folder / "runs/r";
  Recorder recorder;
};

constexpr OpenRun kResume{.resume = true}, kOverwrite{.overwrite = true};

StepEvent step(std::int64_t number) {
  return StepEvent{{.stage = "0",
                    .task = "sst",
                    .step = number,
                    .epoch = 1,
                    .loss = 1.5,
                    .lr = 1e-5,
                    .grad_norm = 2.25,
                    .tokens = 224,
                    .tokens_per_s = 1000,
                    .wall_s = 0.123456 * static_cast<double>(number)},
                   number,
                   10,
                   true};
}

EvalEvent eval(int epoch) {
  return {.stage = "0",
          .split = "dev",
          .epoch = epoch,
          .scores = {{"para", 0.75}, {"sst", 0.5}},
          .loss = {{"para", 0.5}, {"sst", 1.25}},
          .mean = 0.625};
}

TEST_F(RunFolderTest, FreshRunHoldsItsConfigAndIsRunning) {
  BegunFolder run = open();
  EXPECT_FALSE(run.finished());
  EXPECT_EQ(text("config.toml"), kConfig);
  EXPECT_EQ(text("config.input.toml"), "# as given\n");
  EXPECT_EQ(status()["state"], "running");
  EXPECT_EQ(status()["format"], 1);
  run.set_status("stopped", {{"step", 7}});
  EXPECT_EQ(status()["state"], "stopped");
  EXPECT_EQ(status()["step"], 7);
  EXPECT_EQ(status()["resumes"], 0);
}

TEST_F(RunFolderTest, NothingChangesBeforeItBegins) {
  const auto open_and_close = [&](const OpenRun& how, std::string_view config) { RunFolder(path, how, config, "", recorder).log("lost"); };
  open_and_close({}, kConfig);
  EXPECT_FALSE(fs::exists(path));
  open().write_json("data.json", {{"old", true}});
  const std::string before = text("status.json");
  open_and_close(kOverwrite, "[run]\n");
  open_and_close(kResume, kConfig);
  EXPECT_EQ(text("status.json"), before);
  EXPECT_EQ(text("config.toml"), kConfig);
  EXPECT_TRUE(fs::exists(path / "data.json"));
  RunFolder run(path, kResume, kConfig, "", recorder);
  run.log("kept");
  run.begin({});
  EXPECT_NE(text("log.txt").find("kept\n"), std::string::npos);
  EXPECT_EQ(text("log.txt").find("lost"), std::string::npos);
}

TEST_F(RunFolderTest, TimeAddsUpOverProcesses) {
  double before = 0;
  for (int process = 0; process < 3; ++process) {
    BegunFolder run = open(kResume);
    {
      const PhaseScope stepping(run.clock(), Phase::kSteps);
      const PhaseScope writing(run.clock(), Phase::kWrite);
      ::usleep(2000);
    }
    run.flush();  // as before a checkpoint; a kill may follow
    const PhaseSeconds seconds = read_run_status(path / "status.json").phases.value();
    EXPECT_GE(seconds[Phase::kWrite], before + 0.002);
    before = seconds[Phase::kWrite];
    EXPECT_EQ(status()["state"], "running");
  }
  Json spoilt = status();
  spoilt["phase_seconds"].erase("steps");
  write_file(path / "status.json", dump_json(spoilt));
  expect_error(ErrorTag::kData, {"status.json", "steps"}, [&] { open(kResume); });
}

TEST_F(RunFolderTest, LinesHaveTheirKeysInOrder) {
  BegunFolder run = open();
  run.eval(eval(0));
  run.step(step(1));
  StepEvent diverged = step(2);
  diverged.loss = std::nan("");
  run.step(diverged);
  EXPECT_EQ(
      text("metrics.jsonl"),
      R"({"event":"eval","stage":"0","epoch":0,"split":"dev","scores":{"para":0.75,"sst":0.5},"mean":0.625,"loss":{"para":0.5,"sst":1.25}})"
      "\n"
      R"({"event":"step","stage":"0","step":1,"epoch":1,"task":"sst","loss":1.5,"lr":1e-05,"grad_norm":2.25,"tokens":224,"tokens_per_s":1000.0,"wall_s":0.123456})"
      "\n"
      R"({"event":"step","stage":"0","step":2,"epoch":1,"task":"sst","loss":null,"lr":1e-05,"grad_norm":2.25,"tokens":224,"tokens_per_s":1000.0,"wall_s":0.246912})"
      "\n");
  EXPECT_EQ(text("metrics.csv"),
            "event,stage,step,epoch,split,task,loss,score,lr,grad_norm,tokens,tokens_per_s,wall_s\n"
            "eval,0,0,0,dev,para,0.5,0.75,,,,,\n"
            "eval,0,0,0,dev,sst,1.25,0.5,,,,,\n"
            "eval,0,0,0,dev,,,0.625,,,,,\n"
            "step,0,1,1,,sst,1.5,,1e-05,2.25,224,1000.0,0.123456\n"
            "step,0,2,1,,sst,,,1e-05,2.25,224,1000.0,0.246912\n");
  EXPECT_EQ(recorder.steps, 2);
  EXPECT_EQ(recorder.evals, 1);
}

TEST_F(RunFolderTest, ResumeCutsWhatFollowsTheCheckpoint) {
  std::string lines, table;
  {
    BegunFolder run = open();
    run.eval(eval(0));
    for (int number = 1; number <= 3; ++number) run.step(step(number));
    run.eval(eval(1));
    run.flush();
    lines = text("metrics.jsonl");
    table = text("metrics.csv");
    run.step(step(4));
    AppendFile(path / "metrics.jsonl").write(R"({"event":"st)");
    AppendFile(path / "log.txt").write("torn");
  }
  BegunFolder run = open(kResume, kConfig, 3);
  EXPECT_EQ(text("metrics.jsonl"), lines);
  EXPECT_EQ(text("metrics.csv"), table);
  EXPECT_EQ(status()["resumes"], 1);
  run.eval(eval(1));  // a process may die after the evaluation and before the next checkpoint
  EXPECT_EQ(text("metrics.jsonl"), lines);
  run.step(step(4));
  run.eval(eval(2));
  EXPECT_EQ(std::ranges::count(text("metrics.jsonl"), '\n'), std::ranges::count(lines, '\n') + 2);
  EXPECT_NE(text("log.txt").find("torn\n"), std::string::npos);
  EXPECT_TRUE(recorder.warnings.empty());
  EXPECT_EQ(std::distance(fs::directory_iterator(path / "tb"), {}), 2);
}

TEST_F(RunFolderTest, ResumeFromNothingCutsEverything) {
  {
    BegunFolder run = open();
    run.eval(eval(0));
    run.step(step(1));
  }
  BegunFolder run = open(kResume);
  EXPECT_EQ(text("metrics.jsonl"), "");
  run.eval(eval(0));
  EXPECT_EQ(std::ranges::count(text("metrics.jsonl"), '\n'), 1);
}

TEST_F(RunFolderTest, ResumeAfterAStageWithoutStepsKeepsItsScores) {
  open().eval(eval(0));
  const std::string before = text("metrics.jsonl");
  BegunFolder run = open(kResume, kConfig, 0);
  EXPECT_EQ(text("metrics.jsonl"), before);
  EXPECT_EQ(std::ssize(run.evals()), 1);
}

TEST_F(RunFolderTest, LostLinesAreSaid) {
  {
    BegunFolder run = open();
    for (int number = 1; number <= 3; ++number) run.step(step(number));
  }
  const std::string lines = text("metrics.jsonl");
  const auto second = lines.find('\n') + 1;
  write_file(path / "metrics.jsonl", lines.substr(0, second) + "spoilt\n" + lines.substr(second));
  BegunFolder run = open(kResume, kConfig, 3);
  EXPECT_EQ(text("metrics.jsonl"), lines.substr(0, second));
  ASSERT_EQ(recorder.warnings.size(), 1u);
  EXPECT_NE(recorder.warnings[0].find("ends at step 1, before the checkpoint's step 3"), std::string::npos) << recorder.warnings[0];
}

TEST_F(RunFolderTest, OtherPeoplesFilesAreNeverTouched) {
  make_directories(path);
  write_file(path / "thesis.txt", "years of work");
  for (const OpenRun& how : {OpenRun{}, kResume, kOverwrite}) {
    expect_error(ErrorTag::kUsage, {"runs/r", "no run folder", "-o"}, [&] { open(how); });
    EXPECT_EQ(std::distance(fs::directory_iterator(path), {}), 1);
  }
  write_file(folder / "file", "");
  path = folder / "file";
  expect_error(ErrorTag::kUsage, {"expected a folder"}, [&] { open(); });
}

TEST_F(RunFolderTest, ARunIsOverwrittenOnlyWhenAsked) {
  open().write_json("data.json", {{"old", true}});
  make_directories(path / "checkpoints/last");
  expect_error(ErrorTag::kUsage, {"holds a run already", "--resume", "--overwrite"}, [&] { open(); });
  expect_error(ErrorTag::kUsage, {"--overwrite"}, [&] { open({.resume = true, .overwrite = true}); });
  EXPECT_TRUE(fs::exists(path / "data.json"));
  BegunFolder run = open(kOverwrite, "[run]\nname = \"other\"\n");
  EXPECT_FALSE(fs::exists(path / "data.json"));
  EXPECT_FALSE(fs::exists(path / "checkpoints"));
  EXPECT_EQ(text("config.toml"), "[run]\nname = \"other\"\n");
}

TEST_F(RunFolderTest, ResumeWantsTheSameConfigButForLogging) {
  open();
  open(kResume, std::string(kConfig) + "eval_train = 7\n");
  const auto with = [](std::string_view from, std::string_view to) {
    std::string config(kConfig);
    return config.replace(config.find(from), from.size(), to);
  };
  open(kResume, with("log_every = 50", "log_every = 7"));
  EXPECT_EQ(text("config.toml"), with("log_every = 50", "log_every = 7"));
  open(kResume, with("# a.toml:2", "# b.toml:9"));
  expect_error(ErrorTag::kUsage, {"config.toml", "stage.0.lr was 1e-05, is now 0.001"}, [&] { open(kResume, with("1e-05", "1e-3")); });
  expect_error(ErrorTag::kUsage, {"stage.0.lr was 1e-05, is now absent"}, [&] { open(kResume, with("lr = 1e-05\n", "")); });
  expect_error(ErrorTag::kUsage, {"stage.0.clip was absent, is now 1.0"},
               [&] { open(kResume, with("log_every", "clip = 1.0\nlog_every")); });
  expect_error(ErrorTag::kUsage, {"stage was"}, [&] { open(kResume, std::string(kConfig) + "\n[[stage]]\nname = \"1\"\n"); });
  EXPECT_EQ(status()["resumes"], 3);
}

TEST_F(RunFolderTest, AKeyOfTheUsersOwnNameIsNoneOfTheRuns) {
  constexpr std::string_view kLabels = "[[task]]\nname = \"log_every\"\n[task.class_weights]\nkeep = 1\nlog_every = 1\n";
  open({}, kLabels);
  for (const std::string_view label : {"keep", "log_every"}) {
    std::string other(kLabels);
    other.replace(other.find(fmt::format("{} = 1", label)), label.size() + 4, fmt::format("{} = 9", label));
    expect_error(ErrorTag::kUsage, {fmt::format("task.log_every.class_weights.{} was 1, is now 9", label)}, [&] { open(kResume, other); });
  }
}

TEST_F(RunFolderTest, AFinishedRunStaysAsItIs) {
  open().set_status("done");
  const std::string before = text("status.json");
  EXPECT_TRUE(open(kResume).finished());
  EXPECT_EQ(text("status.json"), before);
  EXPECT_FALSE(open(kOverwrite).finished());
}

TEST_F(RunFolderTest, ASecondProcessIsRefused) {
  const BegunFolder run = open();
  for (const OpenRun& how : {OpenRun{}, kResume, kOverwrite}) expect_error(ErrorTag::kResources, {"another process"}, [&] { open(how); });
  EXPECT_EQ(text("config.toml"), kConfig);
}

TEST_F(RunFolderTest, CheckpointsWithoutTheirConfigAreRefused) {
  open();
  fs::remove(path / "config.toml");
  open(kResume);  // as if killed before config.toml was written
  EXPECT_EQ(text("config.toml"), kConfig);
  make_directories(path / "checkpoints/last");
  fs::remove(path / "config.toml");
  expect_error(ErrorTag::kUsage, {"config.toml", "missing"}, [&] { open(kResume); });
}

TEST_F(RunFolderTest, ASpoiltStatusIsAnError) {
  open();
  for (const auto* spoilt : {"", "[]", R"({"format":1})", R"({"format":1,"state":3})", R"({"format":2,"state":"done"})"}) {
    write_file(path / "status.json", spoilt);
    expect_error(ErrorTag::kData, {"status.json"}, [&] { open(kResume); });
  }
}

TEST_F(RunFolderTest, WhatAKilledWriterLeftIsRemoved) {
  make_directories(path / ".checkpoints.removed.tmp/last");
  write_file(path / ".config.toml.12-0.tmp", "half");
  open();
  make_directories(path / "checkpoints/last");
  write_file(path / "checkpoints/last/.optimizer.safetensors.12-3.tmp", "half");
  open(kResume);
  EXPECT_FALSE(fs::exists(path / ".checkpoints.removed.tmp"));
  EXPECT_FALSE(fs::exists(path / ".config.toml.12-0.tmp"));
  EXPECT_TRUE(fs::is_empty(path / "checkpoints/last"));
}

TEST_F(RunFolderTest, AFullDiskIsAnErrorAndTheRunResumes) {
  {
    BegunFolder run = open();
    run.step(step(1));
    run.flush();
    const FileSizeLimit limit(1000);
    expect_error(ErrorTag::kResources, {"cannot write"}, [&] {
      for (int number = 2; number < 20; ++number) run.step(step(number));
    });
  }
  BegunFolder run = open(kResume, kConfig, 1);
  EXPECT_EQ(std::ranges::count(text("metrics.jsonl"), '\n'), 1);
}

TEST_F(RunFolderTest, KilledAtAnyTimeItResumes) {
  for (int attempt = 0; attempt < 12; ++attempt) {
    const pid_t child = ::fork();
    if (child == 0) {
      try {
        BegunFolder run = open(attempt % 4 == 3 ? kOverwrite : kResume);
        for (int number = 1;; ++number) run.step(step(number));
      } catch (...) {
        ::_exit(1);
      }
    }
    // The first half may be killed before they have written anything, the others while they write lines.
    std::error_code absent;
    for (int tries = 0; attempt >= 6 && tries < 60000; ++tries, ::usleep(1000))
      if (const auto size = std::filesystem::file_size(path / "metrics.jsonl", absent); !absent && size > 1000) break;
    ::usleep(static_cast<useconds_t>(1000 * attempt));
    ::kill(child, SIGKILL);
    int end = 0;
    ::waitpid(child, &end, 0);
    EXPECT_TRUE(WIFSIGNALED(end)) << "the child met an error";
    BegunFolder run = open(kResume, kConfig, 1);
    const std::string lines = text("metrics.jsonl");
    EXPECT_LE(std::ranges::count(lines, '\n'), 1);
    EXPECT_TRUE(lines.empty() || lines.ends_with("}\n"));
    EXPECT_EQ(text("config.toml"), kConfig);
  }
}

TEST(Environment, SaysWhatRan) {
  const Json json = environment_json("ref", "plain loops");
  EXPECT_EQ(json["backend"], "ref");
  EXPECT_EQ(json["backend_description"], "plain loops");
  EXPECT_EQ(json["minbert"].get<std::string>().find_first_not_of("0123456789."), std::string::npos);
  EXPECT_GE(json["threads"], 1);
  EXPECT_GE(json["cores"], 1);
  for (const auto* key : {"compiler", "system", "cpu"}) EXPECT_NE(json[key], "") << key;
  EXPECT_FALSE(json["libraries"].empty());
}

}  // namespace
}  // namespace minbert
