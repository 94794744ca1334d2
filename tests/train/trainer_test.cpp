// Whole runs: what they write, that they can be cut anywhere, and which epochs they keep.
#include "minbert/train/trainer.h"

#include <cmath>

#include "minbert/base/parallel.h"
#include "tests/base/error_matchers.h"
#include "tests/ops/tested_backend.h"
#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

constexpr OpenRun kResume{.resume = true};
constexpr std::string_view kWeights[] = {"best/model.safetensors", "best/heads.safetensors"};

class TrainerTest : public TinyRunTest {
 protected:
  void expect_same_weights(std::string_view a, std::string_view b) const {
    for (const std::string_view file : kWeights) EXPECT_TRUE(bytes(a, file) == bytes(b, file)) << file << " of " << a << " and " << b;
  }
  /// Lines without what depends on the clock.
  static std::string without_times(const std::string& metrics) {
    std::string text;
    for (std::size_t begin = 0, end = 0; begin < metrics.size(); begin = end + 1) {
      end = metrics.find('\n', begin);
      Json line = parse_json(metrics.substr(begin, end - begin), "metrics", ErrorTag::kInternal);
      line.erase("tokens_per_s");
      line.erase("wall_s");
      text += dump_json(line) + "\n";
    }
    return text;
  }
};

TEST_F(TrainerTest, LeavesACompleteRun) {
  const TrainResult result = train(config(), "a");
  EXPECT_FALSE(result.stopped);
  EXPECT_EQ(result.dev_scores.size(), 3u);
  EXPECT_EQ(std::ssize(events.steps), 2 * (6 + 4 + 5));
  EXPECT_EQ(std::ssize(events.evals), 3);
  for (const char* file : {"best/config.json", "best/minbert.json", "best/vocab.txt", "best/README.md", "checkpoints/last/DONE", "checkpoints/stage-0/best/heads.safetensors",
                           "data.json", "env.json", "eval/dev/metrics.json"})
    EXPECT_TRUE(std::filesystem::exists(run_path("a") / file)) << file;
  EXPECT_EQ(read_json(run_path("a") / "status.json", ErrorTag::kData)["state"], "done");
  const TrainResult again = train(config(), "a", kResume);
  EXPECT_TRUE(again.already_finished);
  EXPECT_EQ(again.dev_scores, result.dev_scores);
  EXPECT_TRUE(events.steps.empty());
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
      int steps = 0;
      stopped = train(run, name, {.resume = runs > 0}, [&] { return ++steps == every; }).stopped;
      ASSERT_LT(runs, 100);
    }
    EXPECT_GT(runs, 5);
    expect_same_weights("whole", name);
    EXPECT_TRUE(metrics == without_times(bytes(name, "metrics.jsonl"))) << name;
  }
}

TEST_F(TrainerTest, ThreadsChangeNothing) {
  const ThreadGuard guard;
  set_num_threads(1);
  train(config(), "one");
  set_num_threads(2);
  train(config(), "two");
  expect_same_weights("one", "two");
}

TEST_F(TrainerTest, AccumulationIsALargerBatch) {
  // Masks are numbered by micro-step, so only a run without dropout would agree to the last digit.
  const std::string_view no_dropout = "[model]\nhidden_dropout = 0\nattention_dropout = 0\n[[task]]\nhead = { dropout = 0.0 }\n[[task]]\nhead = "
                                      "{ dropout = 0.0 }\n[[task]]\nhead = { dropout = 0.0 }\n[[stage]]\nepochs = 1\n";
  train(config(no_dropout), "whole");
  const auto whole = events.steps;
  train(config(std::string(no_dropout) + "batch = 2\naccumulate = 2\n"), "halves");
  ASSERT_EQ(events.steps.size(), whole.size());
  for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(events.steps[i].loss, whole[i].loss, 2e-4 * whole[i].loss) << i;
}

TEST_F(TrainerTest, FrozenEncoderStaysAsItIs) {
  train(config("[[stage]]\nepochs = 1\n"), "base");
  for (const char* cached : {"true", "false"}) {
    const std::string name = std::string("frozen-") + cached;
    train(config(fmt::format("[model]\ninit = \"{}\"\n[[stage]]\nkind = \"heads\"\nepochs = 3\nlr = 1e-2\nselect = \"last\"\ncache_features = {}\n",
                             run_path("base").string(), cached)),
          name);
    EXPECT_TRUE(bytes("base", "best/model.safetensors") == bytes(name, "best/model.safetensors"));
    EXPECT_FALSE(bytes("base", "best/heads.safetensors") == bytes(name, "best/heads.safetensors"));
  }
}

TEST_F(TrainerTest, EpochZeroIsEligible) {
  const std::string overlay = "[[stage]]\nlr = 0.0\nepochs = 2\n";
  train(config(overlay), "still");
  ASSERT_EQ(events.evals.size(), 3u);
  EXPECT_TRUE(events.evals[0].best);
  EXPECT_FALSE(events.evals[1].best);  // ties keep the earlier epoch
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
  int steps = 0;
  train(config(), "a", {}, [&] { return ++steps == 3; });
  expect_error(ErrorTag::kUsage, {"lr"}, [&] { train(config("[[stage]]\nlr = 1e-4\n"), "a", kResume); });
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

TEST_F(TrainerTest, PlanCountsWhatARunDoes) {
  const RunConfig run = config("[[stage]]\nsampler = \"proportional\"\nepochs = 3\n");
  const Json plan = plan_training(*backend, run);
  train(run, "real");
  EXPECT_EQ(plan["stages"][0]["planned_steps"], events.steps.size());
  for (const char* task : {"mood", "same", "near"})
    EXPECT_EQ(plan["stages"][0]["sampled"][task]["steps"], std::ranges::count(events.steps, task, &StepEvent::task)) << task;
  EXPECT_EQ(plan["tasks"]["mood"]["train"]["used"], 22);
  EXPECT_GT(plan["stages"][0]["activation_bytes"].get<std::int64_t>(), 0);
}

}  // namespace
}  // namespace minbert
