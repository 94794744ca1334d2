// Statistics of rows, against counts by hand.
#include "minbert/data/stats.h"

#include <gtest/gtest.h>

#include <limits>

namespace minbert {
namespace {

Rows rows(std::initializer_list<std::array<const char*, 2>> texts, std::vector<double> labels = {}) {
  Rows out;
  out.files = {"a.csv"};
  for (const auto& [text, pair] : texts) {
    Row row;
    row.text = text;
    row.text_pair = pair;
    row.line = std::ssize(out.rows) + 1;
    if (!labels.empty()) row.label = labels[out.rows.size()];
    out.rows.push_back(std::move(row));
  }
  return out;
}

TEST(DataStats, LengthsAreOfSortedTexts) {
  std::vector<std::int64_t> lengths;
  for (int i = 200; i >= 1; --i) lengths.push_back(i);
  const LengthStats stats = length_stats(lengths);
  EXPECT_EQ(stats.shortest, 1);
  EXPECT_EQ(stats.median, 100);
  EXPECT_EQ(stats.p95, 190);
  EXPECT_EQ(stats.p99, 198);
  EXPECT_EQ(stats.longest, 200);
  EXPECT_DOUBLE_EQ(stats.mean, 100.5);
  EXPECT_EQ(length_stats({}).longest, 0);
}

TEST(DataStats, DuplicatesConflictsAndBalance) {
  const Rows repeated = rows({{"It rained.", ""}, {"it  rained", ""}, {"IT RAINED!", ""}, {"two words more", ""}}, {1, 1, 0, 1});
  const SplitStats stats = split_stats(repeated, TaskLabels::classes(2));
  EXPECT_EQ(stats.duplicates, 2);
  EXPECT_EQ(stats.conflicting, 1);
  EXPECT_EQ(stats.duplicate_places, (std::vector<std::string>{"a.csv:2 = a.csv:1", "a.csv:3 = a.csv:1"}));
  EXPECT_DOUBLE_EQ(stats.majority, 0.75);
  EXPECT_EQ(stats.length.longest, 3);
}

TEST(DataStats, RowsWithoutALabelAreNoMajority) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const Rows partly = rows({{"a", ""}, {"b", ""}, {"c", ""}, {"d", ""}, {"e", ""}}, {1, 1, kNone, kNone, kNone});
  EXPECT_DOUBLE_EQ(split_stats(partly, TaskLabels::classes(2)).majority, 0.4);
}

TEST(DataStats, AnEmptyTextIsCountedOnEitherSide) {
  EXPECT_EQ(split_stats(rows({{"one", "two"}, {"three", ""}}), TaskLabels::classes(2)).empty_texts, 1);
  EXPECT_EQ(split_stats(rows({{"one", "two"}, {"", "three"}}), TaskLabels::classes(2)).empty_texts, 1);
  EXPECT_EQ(split_stats(rows({{"one", ""}, {"three", ""}}), TaskLabels::classes(2)).empty_texts, 0) << "there are no pairs";
}

TEST(DataStats, SplitsOverlapByWholeRows) {
  TaskRows task;
  task.labels = TaskLabels::classes(2);
  task.train = rows({{"one", "two"}, {"three", "four"}});
  task.dev = rows({{"One.", "Two."}, {"one", "four"}, {"one", "two"}});
  const auto overlaps = data_stats(task).overlaps;
  ASSERT_EQ(overlaps.size(), 1u);
  EXPECT_EQ(overlaps[0].of + overlaps[0].in, "devtrain");
  EXPECT_EQ(overlaps[0].rows, 2);
}

TEST(DataStats, TasksOverlapByTexts) {
  TaskRows single, pairs;
  single.train = rows({{"one", ""}, {"TWO!", ""}, {"nine", ""}, {"two", ""}});
  single.dev = rows({{"three", ""}, {"seven", ""}});
  pairs.train = rows({{"three", "eight"}, {"seven", "Three"}, {"six", "six"}});
  pairs.dev = rows({{"five", "two"}});
  pairs.test = rows({{"one", "two"}});
  const std::vector<NamedRows> tasks = {{"s", &single}, {"p", &pairs}};
  std::vector<std::string> found;
  for (const TaskOverlap& overlap : overlaps_between(tasks))
    found.push_back(fmt::format("{} in {}: {}, {}", overlap.of, overlap.in, overlap.rows, overlap.whole));
  EXPECT_EQ(found, (std::vector<std::string>{"s.train in p.dev: 2, 2", "s.train in p.test: 3, 3", "p.train in s.dev: 2, 1"}));
}

}  // namespace
}  // namespace minbert
