// read_run(): every file of a run folder, complete, missing and broken.
#include "minbert/report/run_data.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/base/error_matchers.h"
#include "tests/report/run_fixture.h"

namespace minbert {
namespace {

TEST(RunData, ReadsEveryFile) {
  const RunFixture fixture;
  const RunData run = read_run(fixture.path());
  EXPECT_EQ(run.name, fixture.path().filename().string());
  EXPECT_EQ(run.tasks, (std::vector<std::string>{"mood", "likeness"}));
  ASSERT_EQ(run.steps.size(), 3u);
  EXPECT_EQ(run.steps[1].loss, 8.5);
  EXPECT_TRUE(std::isnan(run.steps[2].loss));
  ASSERT_EQ(run.evals.size(), 2u);
  EXPECT_EQ(run.evals[1].scores.at("mood"), 0.625);
  ASSERT_EQ(run.results.size(), 1u);
  const SplitResult& dev = run.results[0];
  EXPECT_EQ(dev.mean, 0.562345335);
  EXPECT_EQ(dev.resamples, 1000);
  ASSERT_EQ(dev.tasks.size(), 2u);
  const TaskResult& mood = dev.tasks[0];
  EXPECT_EQ(mood.score, 0.61234567);
  ASSERT_TRUE(mood.interval);
  EXPECT_EQ(mood.interval->low, 0.34567);
  EXPECT_EQ(mood.classes, (std::vector<std::string>{"bad", "fair", "<i>"}));
  EXPECT_EQ(mood.confusion.at(1, 0), 1);
  EXPECT_EQ(mood.confusion.at(0, 0), 3);
  EXPECT_EQ(mood.error_count, 2u);
  EXPECT_EQ(mood.errors[0].text, "<script>alert('x')</script>\tand more");
  EXPECT_EQ(mood.errors[0].confidence, 0.912345);
  EXPECT_FALSE(dev.tasks[1].interval);
  EXPECT_FALSE(dev.tasks[1].errors[0].confidence);
  EXPECT_EQ(dev.tasks[1].errors[0].text_pair, "The boat is at sea.");
}

TEST(RunData, AStageTakesWhatThoseBeforeItDoNot) {
  const RunFixture fixture;
  fixture.write("metrics.jsonl",
                RunFixture::step(1, "mood", "1", "a") + RunFixture::step(2, "mood", "1", "a") + RunFixture::step(4, "mood", "1", "b"));
  const RunData run = read_run(fixture.path());
  ASSERT_EQ(run.costs.size(), 2u);
  EXPECT_EQ(run.costs[0].stage, "a");
  EXPECT_EQ(run.costs[0].steps, 2);
  EXPECT_EQ(run.costs[0].seconds, 2.5);
  EXPECT_EQ(run.costs[1].seconds, 2);
}

TEST(RunData, MajorityIsTrainsLabelOnTheOtherSplit) {
  const RunData run = read_run(RunFixture().path());
  EXPECT_EQ(majority_share(run, "mood", "dev"), 1.0 / 8);  // "<i>", 5 of 10 in train; rows without a label do not count
  EXPECT_EQ(majority_share(run, "mood", "train"), 0.5);
  EXPECT_EQ(majority_share(run, "mood", "test"), std::nullopt);
  EXPECT_EQ(majority_share(run, "none", "dev"), std::nullopt);
}

TEST(RunData, AnyPartMayBeMissing) {
  for (const char* name : {"status.json", "config.toml", "env.json", "data.json", "metrics.jsonl", "eval/dev/metrics.json",
                           "eval/dev/mood.confusion.csv", "eval/dev/mood.errors.tsv", "eval"}) {
    const RunFixture fixture;
    fixture.remove(name);
    EXPECT_NO_THROW({ EXPECT_EQ(read_run(fixture.path()).tasks.size(), 2u); }) << name;
  }
}

TEST(RunData, ATornLastLineIsLeftOut) {
  const RunFixture fixture;
  fixture.write("metrics.jsonl", RunFixture::step(1, "mood", "1") + R"({"event":"step","sta)");
  EXPECT_EQ(read_run(fixture.path()).steps.size(), 1u);
}

TEST(RunData, BrokenFilesAreNamed) {
  const std::vector<std::array<std::string_view, 3>> cases = {
      {"status.json", "{", "status.json:1"},
      {"status.json", R"({"format": 2})", "expected format 1, got 2"},
      {"env.json", "[]", "env.json"},
      {"data.json", R"({"mood": {"dev": 3}})", "data.json"},
      {"metrics.jsonl", "{}\n", "metrics.jsonl:1"},
      {"metrics.jsonl", "\n", "metrics.jsonl:1"},
      {"metrics.jsonl",
       R"({"event":"step","stage":"0","task":"mood","step":"one"})"
       "\n",
       "metrics.jsonl:1"},
      {"eval/dev/metrics.json", R"({"tasks": {"mood": {"metric": "accuracy", "rows": 1}}, "scores": {}, "mean": 1})", "metrics.json"},
      {"eval/dev/mood.confusion.csv", "gold,a,b\na,1,2\n", "expected as many rows as classes (2), got 1"},
      {"eval/dev/mood.confusion.csv", "gold,a\na,x\n", "mood.confusion.csv:2"},
      {"eval/dev/mood.errors.tsv", "id\ttext\n1\tx\n", "gold"},
      {"eval/dev/mood.errors.tsv", "id\ttext\tgold\tpred\tscore\n1\tx\ta\tb\tsure\n", "mood.errors.tsv:2"},
      {"eval/dev/mood.errors.tsv", "id\ttext\tgold\tpred\tscore\n1\tx\ta\n", "expected 5 fields, got 3"}};
  for (const auto& [name, text, part] : cases) {
    const RunFixture fixture;
    fixture.write(name, text);
    expect_error(ErrorTag::kData, {part}, [&] { read_run(fixture.path()); });
  }
}

TEST(RunData, FoldersThatHoldNoRun) {
  const TempFolder empty;
  expect_error(ErrorTag::kData, {"is no run folder"}, [&] { read_run(empty.path()); });
  expect_error(ErrorTag::kData, {"absent", "is no run folder"}, [&] { read_run(empty / "absent"); });
  write_file(empty / "summary.json", "{}");
  expect_error(ErrorTag::kData, {"seed-1"}, [&] { read_run(empty.path()); });
}

}  // namespace
}  // namespace minbert
