// Comparisons: cases small enough to count by hand, and runs that must not be compared.
#include "minbert/study/compare.h"

#include <gtest/gtest.h>

#include "minbert/base/files.h"
#include "tests/base/broken_files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class CompareTest : public testing::Test {
 protected:
  /// A run with two tasks of two rows (yes and no), of which it gets `right` right, and a task of three numbers.
  void write_run(std::string_view name, std::array<int, 2> right, std::string_view numbers) const {
    const auto yes_no = [](int count) {
      std::string text = "id\ttext\tgold\tpred\tscore\tp_0\tp_1\n";
      for (int row = 0; row < 2; ++row)
        text += fmt::format("{}\tA sentence.\tyes\t{}\t0.75\t0.25\t0.75\n", row, row < count ? "yes" : "no");
      return text;
    };
    write(name, "first.predictions.tsv", yes_no(right[0]));
    write(name, "second.predictions.tsv", yes_no(right[1]));
    write(name, "third.predictions.tsv", std::string("id\ttext\ttext_pair\tgold\tpred\tscore\n") + std::string(numbers));
    write(name, "metrics.json", kMetrics);
  }
  void write(std::string_view run, std::string_view file, std::string_view text) const {
    make_directories(folder / run / "eval/dev");
    write_file(folder / run / "eval/dev" / file, text);
  }
  std::vector<RunComparison> compare(std::vector<std::string> names, const CompareOptions& options = {}) const {
    std::vector<fs::path> runs;
    for (const std::string& name : names) runs.push_back(folder / name);
    return compare_runs(runs, options);
  }
  void expect_refused(std::initializer_list<std::string_view> parts) const {
    expect_error(ErrorTag::kData, parts, [&] { compare({"a", "b"}); });
  }

  static constexpr std::string_view kMetrics =
      R"({"tasks": {"first": {"metric": "accuracy", "classes": {"no": {}, "yes": {}}}, "second": {"metric": "accuracy", "classes": {"no": {}, "yes": {}}}}})";
  static constexpr std::string_view kThird = R"({"tasks": {"third": {"metric": "pearson"}}})";
  static constexpr std::string_view kNumbers = "x\tA.\tB.\t1\t1\t\ny\tA.\tC.\t2\t2.5\t\nz\tA.\tD.\t3\t3\t\n";
  TempFolder folder;
};

TEST_F(CompareTest, ProbabilitiesThatCanBeCounted) {
  write_run("a", {1, 1}, kNumbers);
  write_run("b", {2, 2}, kNumbers);
  const auto comparisons = compare({"a", "b"}, {.resamples = 20000});
  ASSERT_EQ(comparisons.size(), 1u);
  const std::vector<TaskComparison>& tasks = comparisons[0].tasks;
  ASSERT_EQ(tasks.size(), 3u);
  // The differences of the two rows are 0 and 1, their mean is 1/2. Half of all resamples have mean 0 or 1, as far from 1/2 as 1/2 from 0.
  for (const std::size_t i : {0u, 1u}) {
    EXPECT_EQ(tasks[i].scores.a, 0.5);
    EXPECT_EQ(tasks[i].scores.b, 1.0);
    EXPECT_NEAR(tasks[i].scores.p_value, 0.5, 0.02);
    EXPECT_EQ(tasks[i].rows, 2);
    EXPECT_EQ(tasks[i].mcnemar->only_a, 0);
    EXPECT_EQ(tasks[i].mcnemar->only_b, 1);
    EXPECT_EQ(tasks[i].mcnemar->p_value, 1.0);
  }
  // Both tasks together draw four rows: one of sixteen resamples draws four zeros, and one draws four ones.
  EXPECT_EQ(tasks[2].task, "mean");
  EXPECT_EQ(tasks[2].scores.difference.estimate, 0.5);
  EXPECT_NEAR(tasks[2].scores.p_value, 0.125, 0.01);
  EXPECT_EQ(tasks[2].scores.difference.low, 0);
  EXPECT_FALSE(tasks[2].mcnemar.has_value());
  const Json row = comparison_json(comparisons, {})["comparisons"][0]["tasks"][2];
  EXPECT_EQ(row["low"], 0);
  EXPECT_EQ(row["high"], 1);
}

TEST_F(CompareTest, McNemarCountsRowsThatOneAloneHasRight) {
  const auto rows = [](std::string_view marks) {
    std::string text = "id\ttext\tgold\tpred\tscore\tp_0\tp_1\n";
    for (std::size_t i = 0; i < marks.size(); ++i) text += fmt::format("{}\t-\tno\t{}\t0.5\t0.5\t0.5\n", i, marks[i] == '+' ? "no" : "yes");
    return text;
  };
  write_run("a", {0, 0}, kNumbers);
  write_run("b", {0, 0}, kNumbers);
  write("a", "first.predictions.tsv", rows("++++-----+"));
  write("b", "first.predictions.tsv", rows("+++-+++++-"));
  const McNemar test = *compare({"a", "b"})[0].tasks[0].mcnemar;
  EXPECT_EQ(test.only_a, 2);
  EXPECT_EQ(test.only_b, 5);
  EXPECT_TRUE(test.exact);
  EXPECT_DOUBLE_EQ(test.p_value, 2 * (1 + 7 + 21) / 128.0);  // at most two heads or at most two tails of seven coins
}

TEST_F(CompareTest, EachWithTheFirstOrEachWithEach) {
  for (const char* name : {"a", "b", "c"}) write_run(name, {1, 2}, kNumbers);
  const auto pairs = [&](bool all) {
    std::vector<std::string> names;
    for (const RunComparison& pair : compare({"a", "b", "c"}, {.all_pairs = all}))
      names.push_back(fs::path(pair.a).filename().string() + fs::path(pair.b).filename().string());
    return names;
  };
  EXPECT_EQ(pairs(false), (std::vector<std::string>{"ab", "ac"}));
  EXPECT_EQ(pairs(true), (std::vector<std::string>{"ab", "ac", "bc"}));
  const std::vector<RunComparison> same = compare({"a", "b"});
  for (const TaskComparison& task : same[0].tasks) {
    EXPECT_EQ(task.scores.difference.estimate, 0);
    EXPECT_EQ(task.scores.p_value, 1);
  }
}

TEST_F(CompareTest, NumbersHaveNoMcNemar) {
  write_run("a", {1, 1}, kNumbers);
  write_run("b", {1, 1}, "x\tA.\tB.\t1\t3\t\ny\tA.\tC.\t2\t2\t\nz\tA.\tD.\t3\t1\t\n");
  for (const char* name : {"a", "b"}) write(name, "metrics.json", kThird);
  const std::vector<RunComparison> comparisons = compare({"a", "b"});
  ASSERT_EQ(comparisons[0].tasks.size(), 1u) << "the mean of one task is that task";
  EXPECT_DOUBLE_EQ(comparisons[0].tasks[0].scores.b, -1);
  EXPECT_FALSE(comparisons[0].tasks[0].mcnemar.has_value());
  const Json json = comparison_json(comparisons, {});
  EXPECT_FALSE(json["comparisons"][0]["tasks"][0].contains("mcnemar"));
  EXPECT_EQ(json["comparisons"][0]["tasks"][0]["metric"], "pearson");
}

TEST_F(CompareTest, SeedsAreComparedByTheirDifferences) {
  const auto write_seed = [&](const std::string& run, std::array<int, 2> right) {
    write_run(run, right, kNumbers);
    write_file(folder / run / "status.json", "{}");
  };
  for (const int seed : {1, 2, 3}) write_seed(fmt::format("a/seed-{}", seed), {1, 1});
  write_seed("b/seed-1", {2, 1});
  write_seed("b/seed-2", {1, 1});
  expect_error(ErrorTag::kData, {"several seeds", "got a run"}, [&] { compare({"a", "a/seed-1"}); });
  make_directories(folder / "b/seed-4");
  write_file(folder / "b/seed-4/status.json", "{}");  // it has not finished
  const RunComparison pair = compare({"a", "b"}).at(0);
  EXPECT_EQ(pair.seeds, (std::vector<std::string>{"seed-1", "seed-2"}));
  ASSERT_EQ(pair.tasks.size(), 3u);
  const PairedDifference& first = pair.tasks[0].scores;
  EXPECT_DOUBLE_EQ(first.a, 0.5);
  EXPECT_DOUBLE_EQ(first.b, 0.75);
  EXPECT_DOUBLE_EQ(first.difference.estimate, 0.25);
  EXPECT_NEAR(first.difference.high, 0.25 + 12.7062 * 0.25, 1e-4);
  EXPECT_NEAR(first.p_value, 0.5, 1e-12) << "t = 1 with one degree of freedom";
  EXPECT_EQ(pair.tasks[1].scores.difference.low, 0);
  EXPECT_DOUBLE_EQ(pair.tasks[2].scores.difference.estimate, 0.125);
  EXPECT_FALSE(pair.tasks[0].mcnemar.has_value());
  const std::vector<RunComparison> list = {pair};
  EXPECT_EQ(comparison_json(list, {})["comparisons"][0]["seeds"], Json({"seed-1", "seed-2"}));
  write_seed("c/seed-2", {1, 1});
  expect_error(ErrorTag::kData, {"at least two seeds"}, [&] { compare({"a", "c"}); });
}

TEST_F(CompareTest, EveryFileMayBeSpoilt) {
  for (const char* name : {"a", "b"}) write_run(name, {1, 2}, kNumbers);
  for (const char* name : {"metrics.json", "first.predictions.tsv", "second.predictions.tsv"})
    expect_errors_at_most(folder / "b/eval/dev" / name, 80, [&] { compare({"a", "b"}, {.resamples = 10}); });
}

TEST_F(CompareTest, OtherRowsAreRefused) {
  write_run("a", {1, 1}, kNumbers);
  expect_refused({"b/eval/dev/metrics.json", "expected the results of a finished run on dev", "or its tasks have no dev rows"});
  write_run("b", {1, 1}, kNumbers);
  const std::string line = "1\tA sentence.\tyes\tno\t0.75\t0.25\t0.75\n",
                    head = "id\ttext\tgold\tpred\tscore\tp_0\tp_1\n0\tA sentence.\tyes\tyes\t0.75\t0.25\t0.75\n";
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = line;
    write("b", "first.predictions.tsv", head + changed.replace(changed.find(from), from.size(), to));
  };
  with("1\tA", "7\tA");
  expect_refused(
      {"b/eval/dev/first.predictions.tsv", "row 2 (id \"7\")", "expected id \"1\", got \"7\"", "a/eval/dev/first.predictions.tsv"});
  with("sentence", "word");
  expect_refused({"row 2 (id \"1\")", "expected text \"A sentence.\", got \"A word.\""});
  with("\tyes\tno", "\tno\tno");
  expect_refused({"row 2 (id \"1\")", "expected gold"});
  write("b", "first.predictions.tsv", head);
  expect_refused({"first.predictions.tsv", "expected 2 rows, got 1"});
  write("b", "metrics.json", R"({"tasks": {"first": {"metric": "macro_f1", "classes": {"no": {}, "yes": {}}}}})");
  expect_refused({"first.predictions.tsv", "expected to be scored by accuracy, got macro_f1"});
  write("b", "metrics.json", R"({"tasks": {"first": {"metric": "accuracy", "classes": {"yes": {}, "no": {}}}}})");
  expect_refused({"first.predictions.tsv", "expected classes no, yes, got yes, no"});
  write("b", "metrics.json", kThird);
  expect_refused({"b", "expected labelled dev rows of a task that", "has too, got none"});
  write("b", "metrics.json", R"({"tasks": {"first": {"metric": "taste"}}})");
  expect_refused({"b/eval/dev/metrics.json", "tasks.first.metric", "expected one of accuracy", "got \"taste\""});
  for (const char* broken : {"[]", "{}", R"({"tasks": []})", R"({"tasks": {"first": {}}})", R"({"tasks": {"first": 3}})",
                             R"({"tasks": {"../first": {"metric": "accuracy", "classes": {"no": {}, "yes": {}}}}})",
                             R"({"tasks": {"first": {"metric": "accuracy"}}})",
                             R"({"tasks": {"third": {"metric": "pearson", "classes": {"no": {}, "yes": {}}}}})"}) {
    write("b", "metrics.json", broken);
    expect_refused({"b/eval/dev/metrics.json"});
  }
}

}  // namespace
}  // namespace minbert
