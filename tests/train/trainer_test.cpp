// Whole runs: what they write, that they can be stopped anywhere, and which epochs they keep.
#include "minbert/train/trainer.h"

#include <signal.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "minbert/base/clock.h"
#include "minbert/base/parallel.h"
#include "minbert/base/safetensors.h"
#include "minbert/train/objective.h"
#include "minbert/train/progress.h"
#include "tests/base/error_matchers.h"
#include "tests/ops/tested_backend.h"
#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

constexpr std::string_view kWeights[] = {"best/model.safetensors", "best/heads.safetensors"};

class TrainerTest : public TinyRunTest {
 protected:
  void expect_same_weights(std::string_view a, std::string_view b) const {
    for (const std::string_view file : kWeights) EXPECT_TRUE(bytes(a, file) == bytes(b, file)) << file << " of " << a << " and " << b;
  }
};

TEST_F(TrainerTest, LeavesACompleteRun) {
  const TrainResult result = train(config(), "a");
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(result.dev_scores.size(), 3u);
  EXPECT_EQ(std::ssize(events.steps), 2 * (6 + 4 + 5));
  EXPECT_EQ(std::ssize(events.evals), 3);
  for (const char* file : {"best/config.json", "best/minbert.json", "best/vocab.txt", "best/README.md",
                           "checkpoints/stage-0/best/heads.safetensors", "data.json", "env.json", "eval/dev/metrics.json"})
    EXPECT_TRUE(std::filesystem::exists(run_path("a") / file)) << file;
  EXPECT_EQ(read_json(run_path("a") / "status.json", ErrorTag::kData)["state"], "done");
  const TrainResult again = train(config(), "a", kResume);
  EXPECT_TRUE(again.already_finished);
  EXPECT_EQ(again.dev_scores, result.dev_scores);
  EXPECT_TRUE(events.steps.empty());
}

TEST_F(TrainerTest, AFinishedRunKeepsItsBestModels) {
  constexpr std::string_view kStages = "[[stage]]\nepochs = 1\n[[stage]]\nname = \"second\"\nkind = \"heads\"\nepochs = 1\n";
  train(config(kStages), "a");
  const auto path = [&](std::string_view file) { return run_path("a") / file; };
  EXPECT_FALSE(std::filesystem::exists(path("checkpoints/last")));
  EXPECT_TRUE(std::filesystem::exists(path("checkpoints/stage-0/best/model.safetensors")));
  EXPECT_TRUE(std::filesystem::equivalent(path("checkpoints/stage-second/best/model.safetensors"), path("best/model.safetensors")));
  const RunConfig all = config(std::string(kStages) + "[run]\nkeep = \"all\"\n");
  EXPECT_TRUE(train(all, "a", kResume).already_finished);
  train(all, "all");
  EXPECT_TRUE(std::filesystem::exists(run_path("all") / "checkpoints/last/DONE"));
  expect_same_weights("a", "all");
  expect_error(ErrorTag::kUsage, {"stage.0.epochs was 1, is now 3", "finished", "model.init="},
               [&] { train(config("[[stage]]\nepochs = 3\n[[stage]]\nname = \"second\"\nkind = \"heads\"\nepochs = 1\n"), "a", kResume); });
}

TEST_F(TrainerTest, EachDropoutRateIsItsOwn) {
  const auto first_loss = [&](std::string_view name, std::string_view hidden, std::string_view attention) {
    const std::string_view heads = kNoDropout.substr(kNoDropout.find("[[task]]"));
    train(
        config(fmt::format("[model]\nhidden_dropout = {}\nattention_dropout = {}\n{}[[stage]]\nmax_steps = 1\n", hidden, attention, heads)),
        name);
    return events.steps.front().loss;
  };
  const double none = first_loss("none", "0", "0");
  EXPECT_NE(first_loss("hidden", "0.5", "0"), none);
  EXPECT_NE(first_loss("attention", "0", "0.5"), none);
  const Json json = read_json(run_path("attention") / "best/config.json", ErrorTag::kModel);
  EXPECT_EQ(json["hidden_dropout_prob"], 0);
  EXPECT_EQ(json["attention_probs_dropout_prob"], 0.5);
}

TEST_F(TrainerTest, TrainIsScoredWithoutTouchingTheWeights) {
  const auto train_evals = [&](std::string_view eval_train) {
    train(config(fmt::format("[[stage]]\neval_train = {}\nepochs = 3\n", eval_train)), fmt::format("run-{}", eval_train));
    expect_same_weights("run-0", fmt::format("run-{}", eval_train));
    std::vector<int> epochs;
    for (const EvalEvent& eval : events.evals)
      if (eval.split == "train") epochs.push_back(eval.epoch);
    return epochs;
  };
  EXPECT_EQ(train_evals("0"), std::vector<int>());
  EXPECT_EQ(train_evals("\"last\""), std::vector<int>{3});
  const Scores last = events.evals.back().scores;
  EXPECT_EQ(train_evals("\"all\""), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(events.evals.back().scores, last) << "a thousand rows are all of them";
  EXPECT_EQ(train_evals("5"), (std::vector<int>{0, 1, 2, 3}));
  EXPECT_EQ(events.evals.back().scores.size(), 3u);
  EXPECT_EQ(StageSpec().eval_train, (std::variant<std::int64_t, std::string>("last")));

  train(config("[[stage]]\nlr = 0.0\nepochs = 9\nearly_stop_patience = 2\neval_train = \"last\"\n"), "early");
  EXPECT_EQ(events.evals.back().split, "train");
  EXPECT_EQ(events.evals.back().epoch, 2) << "the last epoch is the one that ends the stage";
}

TEST_F(TrainerTest, CachedVectorsOfTheTrainSampleAreThoseOfItsRows) {
  const auto scores = [&](bool cached) {
    train(config(fmt::format("{}[[stage]]\nkind = \"heads\"\nepochs = 1\nlr = 1e-2\neval_train = 7\ncache_features = {}\n", kNoDropout,
                             cached)),
          fmt::format("cached-{}", cached));
    return events.evals.back();
  };
  const EvalEvent cached = scores(true), encoded = scores(false);
  ASSERT_EQ(cached.split, "train");
  for (const auto& [task, loss] : encoded.loss) EXPECT_NEAR(cached.loss.at(task), loss, 1e-4 * loss) << task;
}

TEST(TrainSample, IsDrawnBySeedAndName) {
  StageSpec stage;
  const auto draw = [&](std::uint64_t seed, std::string_view name) { return train_sample(stage, 100, 5100, seed, name); };
  const auto rows = draw(1, "sst");
  ASSERT_EQ(rows.size(), 1000u);
  EXPECT_GE(rows.front(), 100u);
  EXPECT_LT(rows.back(), 5100u);
  EXPECT_EQ(std::ranges::adjacent_find(rows, std::ranges::greater_equal()), rows.end()) << "ascending, each once";
  EXPECT_EQ(draw(1, "sst"), rows);
  EXPECT_NE(draw(2, "sst"), rows);
  EXPECT_NE(draw(1, "sts"), rows);
  EXPECT_EQ(train_sample(stage, 3, 10, 1, "sst"), (std::vector<std::uint32_t>{3, 4, 5, 6, 7, 8, 9}));
}

TEST_F(TrainerTest, TheClockEndsAStage) {
  const RunConfig run =
      config("[[stage]]\nmax_minutes = 1e-9\nepochs = 5\n[[stage]]\nname = \"second\"\nmax_minutes = 1000\nepochs = 1\nbatch = 8\n");
  EXPECT_TRUE(train(run, "a", {}, [&] { return std::ssize(events.steps) == 3; }).stopped);
  EXPECT_EQ(std::ranges::count(events.steps, "0", &StepEvent::stage), 1) << "the first step takes longer than that";
  EXPECT_EQ(std::ranges::count(events.evals, "0", &EvalEvent::stage), 2) << "before and after it";
  const Progress at = find_checkpoint(run_path("a") / "checkpoints/last").value();
  EXPECT_GT(at.stage_s, 0);
  EXPECT_NEAR(at.wall_s - at.stage_s, find_stage_record(run_path("a") / "checkpoints/stage-0").value().wall_s, 1e-12);
  EXPECT_FALSE(train(run, "a", kResume).stopped);
  EXPECT_EQ(events.steps.back().step, 1 + 3 + 2 + 3);
}

TEST_F(TrainerTest, AMinuteHasSixtySeconds) {
  const RunConfig run = config("[[stage]]\nmax_minutes = 1\n");
  for (const auto& [seconds, goes_on] : {std::pair(59, true), {61, false}}) {
    const std::string name = fmt::format("at-{}", seconds);
    EXPECT_TRUE(train(run, name, {}, [&] { return std::ssize(events.steps) == 3; }).stopped);
    const std::filesystem::path file = run_path(name) / "checkpoints/last/state.json";
    Json state = read_json(file, ErrorTag::kModel);
    state["stage_s"] = seconds;
    write_file(file, dump_json(state));
    EXPECT_FALSE(train(run, name, kResume).stopped);
    EXPECT_EQ(!events.steps.empty(), goes_on) << seconds;
  }
}

TEST_F(TrainerTest, WallClockTimeIsSplitIntoPhases) {
  const RunConfig run = config("[[stage]]\nepochs = 1\n[[stage]]\nname = \"second\"\nkind = \"heads\"\nepochs = 1\n");
  const auto status = [&] { return read_json(run_path("a") / "status.json", ErrorTag::kData); };
  EXPECT_TRUE(train(run, "a", {}, [&] { return std::ssize(events.steps) == 4; }).stopped);
  const PhaseSeconds first = read_run_status(run_path("a") / "status.json").phases.value();
  const Stopwatch watch;
  const TrainResult result = train(run, "a", kResume);
  const PhaseSeconds whole = read_run_status(run_path("a") / "status.json").phases.value();
  for (std::size_t i = 0; i < kPhaseNames.size(); ++i) {
    EXPECT_GT(whole.by_phase[i], 0) << kPhaseNames[i];
    EXPECT_GE(whole.by_phase[i], first.by_phase[i]) << kPhaseNames[i];
  }
  EXPECT_NEAR(status()["wall_seconds"].get<double>(), whole.total(), 1e-5);
  EXPECT_LE(whole.total() - first.total(), watch.seconds());
  EXPECT_GE(whole[Phase::kSteps], result.step_seconds) << "the loop around the steps takes time too";
  EXPECT_NEAR(train(run, "a", kResume).phases.total(), whole.total(), 1e-5);
}

TEST_F(TrainerTest, AnOptionThatIsNewHadItsDefault) {
  train(config(), "a");
  const std::filesystem::path file = run_path("a") / "config.toml";
  std::string older = read_file(file);
  for (const std::string_view key : {"clip = 0.0\n", "exclude_pairs = \"either\"\n"}) {
    ASSERT_NE(older.find(key), std::string::npos) << key;
    older.erase(older.find(key), key.size());
  }
  write_file(file, older);
  EXPECT_TRUE(train(config(), "a", kResume).already_finished);
  expect_error(ErrorTag::kUsage, {"config.toml", "stage.0.clip was 0.0, is now 1.0"},
               [&] { train(config("[[stage]]\nclip = 1\n"), "a", kResume); });
}

TEST_F(TrainerTest, ResumesToTheSameBytes) {
  const RunConfig run = config(R"(
[[stage]]
checkpoint_every = 4
[[stage]]
name = "heads"
kind = "heads"
epochs = 2
lr = 1e-2
batch = 3
select = "per_task"
)");
  train(run, "whole");
  const std::string metrics = without_times(bytes("whole", "metrics.jsonl"));
  for (const int every : {3, 7}) {
    const std::string name = fmt::format("cut-{}", every);
    int runs = 0;
    for (bool stopped = true; stopped; ++runs) {
      stopped = train(run, name, {.resume = runs > 0}, [&] { return std::ssize(events.steps) == every; }).stopped;
      ASSERT_LT(runs, 100);
    }
    EXPECT_GT(runs, 5);
    expect_same_weights("whole", name);
    EXPECT_TRUE(metrics == without_times(bytes(name, "metrics.jsonl"))) << name;
  }
}

TEST_F(TrainerTest, KilledAnywhereItGoesOnToTheSameBytes) {
  const RunConfig run = config("[[stage]]\nepochs = 1\ncheckpoint_every = 1\n");
  train(run, "whole");
  bool done = false;
  int delay_ms = 20;
  for (int kills = 0; !done; ++kills, delay_ms += 20 + delay_ms / 20) {  // at last a slow machine has the time for one whole run
    ASSERT_LT(kills, 100);
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      // Nothing handles SIGALRM: it kills the process at any point, later in each attempt.
      const itimerval timer = {.it_interval = {}, .it_value = {.tv_sec = delay_ms / 1000, .tv_usec = delay_ms % 1000 * 1000}};
      ::setitimer(ITIMER_REAL, &timer, nullptr);
      int code = 1;
      try {
        train(run, "killed", kResume);
        code = 0;
      } catch (const std::exception& failure) {
        std::fputs(failure.what(), stderr);
      }
      ::_exit(code);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    done = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    ASSERT_TRUE(done || WIFSIGNALED(status)) << "the run failed after " << kills << " kills";
  }
  expect_same_weights("whole", "killed");
  EXPECT_EQ(without_times(bytes("whole", "metrics.jsonl")), without_times(bytes("killed", "metrics.jsonl")));
}

TEST_F(TrainerTest, StoppedInAnyPassItResumesToTheSameBytes) {
  const RunConfig run = config(R"(
[[stage]]
eval_train = 5
[[stage]]
name = "heads"
kind = "heads"
epochs = 1
lr = 1e-2
select = "per_task"
)");
  train(run, "whole");
  const std::vector<std::string> passes = events.passes;
  const std::ptrdiff_t steps = std::ssize(events.steps);
  for (const char* pass : {"dev mood 10 of 10", "train near 5 of 5", "vectors same 13 of 13"})
    EXPECT_GT(std::ranges::count(passes, pass), 0) << pass;
  const std::string metrics = without_times(bytes("whole", "metrics.jsonl"));
  const auto stop_in_pass = [&](const OpenRun& open, std::ptrdiff_t number) {
    return train(run, "cut", open, [&, number] { return std::ssize(events.passes) == number; }).stopped;
  };
  // A resume repeats the evaluation that was stopped, so each attempt must allow one pass more to make progress.
  std::ptrdiff_t runs = 0, steps_of_all = 0;
  while (stop_in_pass({.resume = runs > 0}, runs + 1)) {
    steps_of_all += std::ssize(events.steps);
    EXPECT_EQ(read_json(run_path("cut") / "status.json", ErrorTag::kData)["state"], "stopped");
    ASSERT_LT(++runs, std::ssize(passes));
  }
  EXPECT_GT(runs, 5);
  EXPECT_EQ(steps_of_all + std::ssize(events.steps), steps) << "no step is made twice";
  expect_same_weights("whole", "cut");
  EXPECT_TRUE(metrics == without_times(bytes("cut", "metrics.jsonl")));
}

TEST_F(TrainerTest, RatesAreThoseOfTheStepAboutToBeMade) {
  // 15 steps, floor(3.75) of them warming up.
  train(config("[[stage]]\nepochs = 1\nlr = 0.012\nschedule = \"linear\"\nwarmup_ratio = 0.25\n"), "linear");
  ASSERT_EQ(events.steps.size(), 15u);
  const double expected[] = {0, 0.004, 0.008, 0.012, 0.011, 0.010, 0.009, 0.008, 0.007, 0.006, 0.005, 0.004, 0.003, 0.002, 0.001};
  for (std::size_t i = 0; i < events.steps.size(); ++i) EXPECT_NEAR(events.steps[i].lr, expected[i], 1e-15) << i;

  train(config("[[stage]]\nmax_steps = 1\nwarmup_steps = 4\nselect = \"last\"\n"), "first");
  train(config("[[stage]]\nmax_steps = 1\nlr = 0.0\nselect = \"last\"\n"), "still");
  expect_same_weights("first", "still");
}

TEST_F(TrainerTest, StepsHaveMasksOfTheirOwn) {
  const std::string_view still = "[[stage]]\nlr = 0.0\nshuffle = false\nsampler = \"sequential\"\n";
  for (const bool dropped : {true, false}) {
    train(config(std::string(dropped ? "" : kNoDropout) + std::string(still)), dropped ? "dropped" : "whole");
    ASSERT_EQ(events.steps.size(), 30u);
    for (std::size_t i = 0; i < 15; ++i) {
      ASSERT_EQ(events.steps[i].task, events.steps[i + 15].task);
      EXPECT_EQ(events.steps[i].loss != events.steps[i + 15].loss, dropped) << i;
    }
  }
}

TEST_F(TrainerTest, ACheckpointFollowsEachEpoch) {
  const auto crash = [&] {
    if (events.steps.size() == 18) throw std::runtime_error("crash");
    return false;
  };
  EXPECT_THROW(train(config(), "a", {}, crash), std::runtime_error);
  const auto checkpoint = find_checkpoint(run_path("a") / "checkpoints/last");
  ASSERT_TRUE(checkpoint);
  EXPECT_EQ(checkpoint->epoch, 2);
  EXPECT_EQ(checkpoint->epoch_step, 0);
  EXPECT_EQ(checkpoint->run_step, 15);
}

TEST_F(TrainerTest, CheckpointsComeEverySoManySteps) {
  std::vector<std::int64_t> seen;  // step of the last checkpoint, read after each step before that step's own checkpoint is written
  train(config("[[stage]]\nepochs = 1\ncheckpoint_every = 4\n"), "a", {}, [&] {
    if (events.steps.size() <= seen.size()) return false;
    const auto checkpoint = find_checkpoint(run_path("a") / "checkpoints/last");
    seen.push_back(checkpoint ? checkpoint->run_step : 0);
    return false;
  });
  EXPECT_EQ(seen, (std::vector<std::int64_t>{0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12}));
}

TEST_F(TrainerTest, BrokenResultsOfAFinishedRunAreNamed) {
  train(config("[[stage]]\nmax_steps = 1\n"), "a");
  for (const char* broken : {"[]", R"({"mean": 1})", R"({"scores": [], "mean": 1})", R"({"scores": {"mood": "high"}, "mean": 1})",
                             R"({"scores": {}, "mean": {}})"}) {
    write_file(run_path("a") / "eval/dev/metrics.json", broken);
    expect_error(ErrorTag::kData, {"eval/dev/metrics.json"}, [&] { train(config("[[stage]]\nmax_steps = 1\n"), "a", kResume); });
  }
}

TEST_F(TrainerTest, WhatCannotBeReadCostsNothing) {
  train(config(), "a");
  const std::string before = bytes("a", "status.json");
  const auto refused = [&](ErrorTag tag, std::string_view overlay) {
    expect_error(tag, {"absent"}, [&] { train(config(overlay), "a", {.overwrite = true}); });
    EXPECT_EQ(bytes("a", "status.json"), before);
    EXPECT_TRUE(std::filesystem::exists(run_path("a") / "best/model.safetensors"));
    expect_error(tag, {"absent"}, [&] { train(config(overlay), "b"); });
    EXPECT_FALSE(std::filesystem::exists(run_path("b")));
  };
  refused(ErrorTag::kData, "[[task]]\n[[task]]\n[[task]]\ndata = { dev = \"absent.csv\" }\n");
  refused(ErrorTag::kModel, "[model]\ninit = \"absent\"\n");
}

TEST_F(TrainerTest, ThreadsChangeNothing) {
  const RunConfig run = config("[[stage]]\nmax_steps = 6\n");
  train(run, "one");
  set_num_threads(2);
  train(run, "two");
  expect_same_weights("one", "two");
}

TEST_F(TrainerTest, AccumulationIsALargerBatch) {
  // Dropout masks depend on the micro-step, so only runs without dropout agree.
  const std::string no_dropout = std::string(kNoDropout) + "[[stage]]\nepochs = 1\n";
  train(config(no_dropout), "whole");
  const auto whole = events.steps;
  train(config(no_dropout + "batch = 2\naccumulate = 2\n"), "halves");
  ASSERT_EQ(events.steps.size(), whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(events.steps[i].loss, whole[i].loss, 2e-4 * whole[i].loss) << i;
}

TEST_F(TrainerTest, RDropAsksTwoPassesToAgree) {
  const auto with = [&](double factor, bool dropout = true) {
    const std::string task = fmt::format("[[task]]\nr_drop = {}\n{}", factor, dropout ? "" : "head = { dropout = 0.0 }\n");
    const std::string rates = dropout ? "" : "[model]\nhidden_dropout = 0\nattention_dropout = 0\n";
    return config(rates + task + task + task + "[[stage]]\nepochs = 1\n");
  };
  // Without dropout both passes answer the same, so that there is nothing to agree on.
  train(with(0, false), "plain");
  const auto plain = events.steps;
  train(with(3, false), "twice");
  ASSERT_EQ(events.steps.size(), plain.size());
  for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_NEAR(events.steps[i].loss, plain[i].loss, 2e-4 * plain[i].loss) << i;
  // With dropout the term grows with its factor, and is not negative.
  std::vector<double> first;
  for (const double factor : {1e-9, 1.0, 2.0}) {
    train(with(factor), fmt::format("factor-{}", factor));
    first.push_back(events.steps.front().loss);
  }
  EXPECT_GT(first[1], first[0]);
  EXPECT_NEAR(first[2] - first[1], first[1] - first[0], 1e-5 * first[0]);
  // Weights that are equal for all classes change nothing: they are no part of the term.
  const auto weighted = [&](double weight) {
    return config(fmt::format("[[task]]\nr_drop = 4\nclass_weights = {{ 0 = {0}, 1 = {0}, 2 = {0} }}\n[[stage]]\nepochs = 1\n", weight));
  };
  train(weighted(1), "light");
  const auto light = events.steps;
  train(weighted(10), "heavy");
  for (std::size_t i = 0; i < light.size(); ++i) EXPECT_NEAR(events.steps[i].loss, light[i].loss, 1e-4 * light[i].loss) << i;
  // The term of a set is the mean of its labels', as its loss is: eight labels disagree about as much as three.
  const auto term_of_set = [&](std::string_view labels) {
    std::vector<double> losses;
    for (const int factor : {1, 2}) {
      train(config(fmt::format("[[task]]\ntype = \"multi_label\"\nlabels = [{}]\nr_drop = {}\n[[stage]]\ntasks = [\"mood\"]\n"
                               "max_steps = 1\n",
                               labels, factor)),
            fmt::format("set-{}-{}", labels.size(), factor));
      losses.push_back(events.steps.front().loss);
    }
    return losses[1] - losses[0];
  };
  const double ratio = term_of_set(R"("0", "1", "2", "3", "4", "5", "6", "7")") / term_of_set(R"("0", "1", "2")");
  EXPECT_GT(ratio, 0.5);
  EXPECT_LT(ratio, 2);
}

TEST_F(TrainerTest, FrozenEncoderStaysAsItIs) {
  train(config("[[stage]]\nepochs = 1\n"), "base");
  for (const char* cached : {"true", "false"}) {
    const std::string name = std::string("frozen-") + cached;
    train(config(fmt::format(
              "[model]\ninit = \"{}\"\n[[stage]]\nkind = \"heads\"\nepochs = 3\nlr = 1e-2\nselect = \"last\"\ncache_features = {}\n",
              run_path("base").string(), cached)),
          name);
    EXPECT_TRUE(bytes("base", "best/model.safetensors") == bytes(name, "best/model.safetensors"));
    EXPECT_FALSE(bytes("base", "best/heads.safetensors") == bytes(name, "best/heads.safetensors"));
  }
}

TEST_F(TrainerTest, KeepsTheSelectedEpoch) {
  train(config("[[stage]]\nepochs = 1\n"), "base");
  const auto result_of = [&](std::string_view select) {
    return train(config(fmt::format("[model]\ninit = \"{}\"\n[[stage]]\nkind = \"heads\"\nepochs = 5\nlr = 3e-2\nselect = \"{}\"\n",
                                    run_path("base").string(), select)),
                 select);
  };
  const auto mean = result_of("mean");
  const std::vector<EvalEvent> evals = events.evals;  // selection must not change training
  const std::vector<StepEvent> steps = events.steps;
  const auto expect_same_training = [&] {
    ASSERT_EQ(events.steps.size(), steps.size());
    for (std::size_t i = 0; i < steps.size(); ++i) EXPECT_EQ(events.steps[i].loss, steps[i].loss) << i;
    for (std::size_t i = 0; i < evals.size(); ++i) EXPECT_EQ(events.evals[i].scores, evals[i].scores) << i;
  };
  ASSERT_EQ(evals.size(), 6u);
  const auto best = std::ranges::max_element(evals, {}, &EvalEvent::mean);  // the first of equals
  Scores highest;
  for (const EvalEvent& eval : evals)
    for (const auto& [task, score] : eval.scores) highest[task] = std::max(score, highest.try_emplace(task, score).first->second);
  ASSERT_NE(best->scores, highest) << "the rules cannot be told apart";
  ASSERT_NE(best->scores, evals.back().scores) << "the rules cannot be told apart";
  const auto expect_scores = [](const Scores& actual, const Scores& expected) {
    for (const auto& [task, score] : expected) EXPECT_NEAR(actual.at(task), score, 1e-6) << task;
  };
  expect_scores(mean.dev_scores, best->scores);
  expect_scores(result_of("last").dev_scores, evals.back().scores);
  expect_same_training();
  expect_scores(result_of("per_task").dev_scores, highest);
  expect_same_training();
}

TEST_F(TrainerTest, StagesStartWhereTheySay) {
  const auto first_loss = [&](std::string_view from) {
    train(config(fmt::format("[[stage]]\nlr = 1e-2\nselect = \"last\"\n[[stage]]\nname = \"still\"\nlr = 0.0\nepochs = 1\n"
                             "[[stage]]\nname = \"end\"\nepochs = 1\nfrom = \"{}\"\n",
                             from)),
          from);
    return std::ranges::find(events.evals, "end", &EvalEvent::stage)->loss;
  };
  const auto previous = first_loss("previous");
  EXPECT_EQ(previous, std::ranges::find(events.evals, "still", &EvalEvent::stage)->loss);
  EXPECT_EQ(first_loss("0"), previous);
  EXPECT_EQ(first_loss("last"), previous);
  const auto init = first_loss("init");
  EXPECT_NE(init, previous);
  EXPECT_EQ(init, events.evals.front().loss);
}

TEST_F(TrainerTest, AStageCanStartFromTheMeanOfOthers) {
  const std::string branches =
      "[[stage]]\nname = \"all\"\n"
      "[[stage]]\nname = \"mood\"\ntasks = [\"mood\"]\nfrom = \"init\"\nselect = \"last\"\n"
      "[[stage]]\nname = \"near\"\ntasks = [\"near\"]\nfrom = \"all\"\nselect = \"last\"\n"
      "[[stage]]\nname = \"mean\"\nfrom = [\"all\", \"near\", \"mood\", \"near\"]\nepochs = ";
  const TrainResult result = train(config(branches + "0\n"), "mean");
  for (const char* file : {"model.safetensors", "heads.safetensors"}) {
    const auto open = [&](std::string_view stage) {
      return SafetensorsFile(run_path("mean") / fmt::format("checkpoints/stage-{}/best", stage) / file);
    };
    const SafetensorsFile all = open("all"), mood = open("mood"), near = open("near"), mean = open("mean");
    for (const SafetensorsEntry& entry : mean.entries()) {
      const auto values = [&](const SafetensorsFile& from) {
        const SafetensorsEntry& found = *from.find(entry.name);
        std::vector<float> floats(found.bytes.size() / sizeof(float));
        convert_to_f32(found.dtype, found.bytes, floats);
        return floats;
      };
      const std::vector<float> a = values(all), m = values(mood), n = values(near), actual = values(mean);
      for (std::size_t i = 0; i < actual.size(); ++i) {
        // The stage "mood" has not trained the others' heads, nor "near" those of mood and same.
        const double expected = entry.name.starts_with("heads.mood")   ? (a[i] + m[i]) / 2.0
                                : entry.name.starts_with("heads.same") ? a[i]
                                : entry.name.starts_with("heads.near") ? (a[i] + 2.0 * n[i]) / 3
                                                                       : (a[i] + m[i] + 2.0 * n[i]) / 4;
        ASSERT_NEAR(actual[i], expected, 1e-6) << entry.name;
      }
    }
  }
  const EvalEvent scored = *std::ranges::find(events.evals, "mean", &EvalEvent::stage);
  for (const auto& [task, score] : scored.scores) EXPECT_NEAR(result.dev_scores.at(task), score, 1e-6) << task;
  EXPECT_EQ(parse_json(bytes("mean", "status.json"), "status", ErrorTag::kInternal)["best_epoch"], 0);

  train(config(branches + "1\n"), "goes-on");  // it can be trained further
  EXPECT_EQ(std::ranges::find(events.evals, "mean", &EvalEvent::stage)->loss, scored.loss);
  const auto trained = std::ranges::find_if(events.evals, [](const EvalEvent& event) { return event.stage == "mean" && event.epoch == 1; });
  ASSERT_NE(trained, events.evals.end());
  EXPECT_NE(trained->loss, scored.loss);
}

TEST_F(TrainerTest, EachTaskCanHaveTheStageThatItDoesBestIn) {
  const std::string stages =
      "[[stage]]\nname = \"all\"\nepochs = 3\n"
      "[[stage]]\nname = \"mood\"\ntasks = [\"mood\"]\nepochs = 2\nlr = 2e-3\n"
      "[[stage]]\nname = \"near\"\ntasks = [\"near\"]\nfrom = \"all\"\nepochs = 2\nlr = 5e-3\n";
  const TrainResult result = train(config("[run]\nbest = \"per_task\"\n" + stages), "routed");
  std::map<std::string, double> best;
  for (const EvalEvent& event : events.evals)
    if (event.split == "dev" && event.best)
      for (const auto& [task, score] : event.scores)
        if (event.stage != "all") best[task] = std::max(best[task], score);
  EvalEvent shared;  // what the first stage kept
  for (const EvalEvent& event : events.evals)
    if (event.stage == "all" && event.split == "dev" && event.best) shared = event;
  for (const auto& [task, score] : shared.scores) {
    EXPECT_NEAR(result.dev_scores.at(task), std::max(best[task], score), 1e-6) << task;
    const ModelFolder own = read_model_folder(run_path("routed") / ("best-" + task));
    ASSERT_EQ(own.tasks.size(), 1u);
    EXPECT_EQ(own.tasks.front().name, task);
  }
  EXPECT_TRUE(bytes("routed", "best-same/model.safetensors") == bytes("routed", "checkpoints/stage-all/best/model.safetensors"));
  EXPECT_EQ(answering_folders(run_path("routed")).size(), 3u);
  EXPECT_EQ(answering_folders(run_path("routed") / "best-same").size(), 1u);
}

TEST_F(TrainerTest, OfStagesThatDoEquallyWellTheLaterAnswers) {
  const std::string stages =
      "[[stage]]\nepochs = 1\n"
      "[[stage]]\nname = \"second\"\ntasks = [\"mood\"]\nepochs = 1\nlr = 0.0\n";
  train(config("[run]\nbest = \"per_task\"\n" + stages), "tied");
  const std::string log = bytes("tied", "log.txt");
  EXPECT_NE(log.find("mood: stage second answers it, in best-mood\n"), std::string::npos) << log;
  EXPECT_NE(log.find("same: stage 0 answers it, in best-same\n"), std::string::npos) << log;
}

TEST_F(TrainerTest, AStageThatKeepsTasksApartIsJudgedByWhatItKept) {
  // The second stage has what the first one ended with.
  const std::string stages =
      "[[stage]]\nkind = \"heads\"\nepochs = 4\nlr = 0.1\nselect = \"per_task\"\n"
      "[[stage]]\nname = \"end\"\nkind = \"heads\"\nepochs = 0\nfrom = \"last\"\n";
  const TrainResult result = train(config("[run]\nbest = \"per_task\"\n" + stages), "kept");
  Scores highest, last, at_best_epoch;
  for (const EvalEvent& eval : events.evals) {
    if (eval.split != "dev") continue;
    for (const auto& [task, score] : eval.scores) highest[task] = std::max(score, highest.try_emplace(task, score).first->second);
    if (eval.stage == "0" && eval.best) at_best_epoch = eval.scores;
    if (eval.stage == "end") last = eval.scores;
  }
  EXPECT_TRUE(std::ranges::any_of(highest, [&](const auto& best) {
    return at_best_epoch.at(best.first) <= last.at(best.first) && last.at(best.first) < best.second;
  })) << "the rules cannot be told apart";
  for (const auto& [task, score] : highest) EXPECT_NEAR(result.dev_scores.at(task), score, 1e-6) << task;
}

TEST_F(TrainerTest, StopsEarly) {
  train(config("[[stage]]\nlr = 0.0\nepochs = 9\nearly_stop_patience = 2\n"), "still");
  EXPECT_EQ(events.evals.size(), 3u);
}

TEST_F(TrainerTest, EpochZeroIsEligible) {
  const std::string overlay = "[[stage]]\nlr = 0.0\nepochs = 2\n";
  train(config(overlay), "still");
  ASSERT_EQ(events.evals.size(), 3u);
  EXPECT_TRUE(events.evals[0].best);
  EXPECT_FALSE(events.evals[1].best);  // the earlier of equal epochs is kept
  EXPECT_FALSE(events.evals[2].best);
  EXPECT_EQ(events.evals[0].scores, events.evals[2].scores);
}

TEST_F(TrainerTest, DivergenceIsAnErrorAndLeavesTheCheckpoint) {
  const RunConfig run = config("[[stage]]\ncheckpoint_every = 2\nlr = 1e30\n");
  expect_error(ErrorTag::kDiverged, {"stage 0", "finite"}, [&] { train(run, "wild"); });
  EXPECT_EQ(read_json(run_path("wild") / "status.json", ErrorTag::kData)["state"], "failed");
  EXPECT_FALSE(std::filesystem::exists(run_path("wild") / "best"));
}

TEST_F(TrainerTest, AnotherConfigDoesNotResume) {
  train(config(), "a", {}, [&] { return events.steps.size() == 3; });
  expect_error(ErrorTag::kUsage, {"lr"}, [&] { train(config("[[stage]]\nlr = 1e-4\n"), "a", kResume); });
}

TEST_F(TrainerTest, OtherRowsDoNotResume) {
  train(config(), "a", {}, [&] { return events.steps.size() == 3; });
  const std::string rows = read_file(folder / "mood-train.csv");
  write_file(folder / "mood-train.csv", rows.substr(0, rows.rfind("\n", rows.size() - 2) + 1));
  const auto expect_refused = [&] { expect_error(ErrorTag::kData, {"state.json", "rows"}, [&] { train(config(), "a", kResume); }); };
  expect_refused();
  std::string other_label = rows;
  char& label = other_label[rows.find(',', rows.find(',', rows.find('\n')) + 1) + 1];  // of the first row
  label = label == '0' ? '1' : '0';
  write_file(folder / "mood-train.csv", other_label);
  expect_refused();
  write_file(folder / "mood-train.csv", rows);
  const std::string dev = read_file(folder / "mood-dev.csv");
  write_file(folder / "mood-dev.csv", std::string(dev).insert(dev.find('\n') + 1, "warm "));
  expect_refused();
  write_file(folder / "mood-dev.csv", dev);
  EXPECT_FALSE(train(config(), "a", kResume).stopped);

  const RunConfig tested = config("[[task]]\ndata = { test = \"mood-test.csv\" }\n");
  write_file(folder / "mood-test.csv", dev);
  train(tested, "b", {}, [&] { return events.steps.size() == 3; });
  write_file(folder / "mood-test.csv", std::string(dev).insert(dev.find('\n') + 1, "warm "));
  expect_error(ErrorTag::kData, {"state.json", "rows"}, [&] { train(tested, "b", kResume); });
}

TEST_F(TrainerTest, OverfitsABatch) {
  TrainOptions options;
  options.folder = run_path("overfit");
  options.overfit_batch = true;
  minbert::train(*backend, config("[[stage]]\nlr = 1e-2\n"), options, events);
  std::map<std::string, double> last;
  for (const StepEvent& step : events.steps) last[step.task] = step.loss;
  for (const auto& [task, loss] : last) EXPECT_LT(loss, 0.05) << task;
  EXPECT_FALSE(std::filesystem::exists(options.folder));
}

TEST_F(TrainerTest, PlannedSecondsAreThoseOfThePlannedSteps) {
  const auto seconds = [&](std::string_view keys) {
    return plan_training(*backend, config(fmt::format("[[stage]]\n{}\n", keys)))["stages"][0]["seconds"]["steps"].get<double>();
  };
  // The steps are measured anew each time, so that only far more of them must take longer.
  const double all = seconds("epochs = 1000");
  EXPECT_GT(all, 10 * seconds("epochs = 1"));
  EXPECT_GT(all, 10 * seconds("epochs = 1000\nmax_steps = 13"));
  EXPECT_DOUBLE_EQ(seconds("epochs = 1000\nmax_minutes = 1e-6"), 6e-5);
}

TEST_F(TrainerTest, PlanCountsWhatARunDoes) {
  const RunConfig run = config("[[stage]]\nsampler = \"proportional\"\nepochs = 3\n");
  const Json plan = plan_training(*backend, run);
  train(run, "real");
  EXPECT_EQ(plan["stages"][0]["planned_steps"], events.steps.size());
  for (const char* task : {"mood", "same", "near"})
    EXPECT_EQ(plan["stages"][0]["sampled"][task]["steps"], std::ranges::count(events.steps, task, &StepEvent::task)) << task;
  EXPECT_EQ(plan["tasks"]["mood"]["train"]["used"], 22);
  EXPECT_GT(plan["stages"][0]["activation_bytes"].get<std::int64_t>(), 0);
  const Json& seconds = plan["stages"][0]["seconds"];
  EXPECT_GT(seconds["steps"].get<double>(), 0);
  EXPECT_GT(seconds["scores"].get<double>(), 0);
  EXPECT_GT(plan["seconds"].get<double>(), seconds["steps"].get<double>() + seconds["scores"].get<double>());
  EXPECT_GT(events.steps.front().scores_s, 0);
}

}  // namespace
}  // namespace minbert
