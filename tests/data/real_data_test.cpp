// The real corpora, if they are there: every usable row is read, and broken ones are named.
#include <gtest/gtest.h>

#include <filesystem>

#include "minbert/data/dataset.h"
#include "minbert/data/stats.h"

namespace minbert {
namespace {

const std::filesystem::path kData = std::filesystem::path(MINBERT_SOURCE_DIR) / ".." / "shared" / "data";

class RealData : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(kData)) GTEST_SKIP() << "no real data at " << kData;
  }
  static std::vector<DataSource> at(const std::string& path) { return {{.path = (kData / path).string()}}; }
  static DataSpec spec(const std::string& stem, std::string text, std::string pair, std::string label) {
    DataSpec out;
    out.train = at(stem + "-train.csv");
    out.dev.files = at(stem + "-dev.csv");
    if (const std::string test = stem + "-test-student.csv"; std::filesystem::exists(kData / test)) out.test.files = at(test);
    out.text = std::move(text);
    out.text_pair = std::move(pair);
    out.label = std::move(label);
    out.id = "id";
    return out;
  }
  static std::array<std::size_t, 3> counts(const TaskRows& task) {
    return {task.train.rows.size(), task.dev.rows.size(), task.test.rows.size()};
  }
};

using Counts = std::array<std::size_t, 3>;

TEST_F(RealData, SentimentFilesOfTheCourse) {
  const TaskRows sst = load_task(spec("sst/ids-sst", "sentence", "", "sentiment"), TaskLabels::classes(5), 0);
  EXPECT_EQ(counts(sst), (Counts{8544, 1101, 2210}));
  EXPECT_EQ(sst.reports.at("train").label_counts.at("3"), 2322);
  EXPECT_FALSE(sst.test.labelled());
  EXPECT_EQ(sst.test.rows[0].id.size(), 25u);
  const TaskRows cfimdb = load_task(spec("cfimdb/ids-cfimdb", "sentence", "", "sentiment"), TaskLabels::classes(2), 0);
  EXPECT_EQ(counts(cfimdb), (Counts{1707, 245, 488}));
}

TEST_F(RealData, SimilarityFilesOfTheCourse) {
  const TaskRows sts = load_task(spec("sts/sts", "sentence1", "sentence2", "similarity"), TaskLabels::range(), 0);
  EXPECT_EQ(counts(sts), (Counts{6040, 863, 1725}));
}

TEST_F(RealData, QuoraHasTwoRowsWithoutALabel) {
  DataSpec quora = spec("quora/quora", "sentence1", "sentence2", "is_duplicate");
  EXPECT_THROW(load_task(quora, TaskLabels::classes(2), 0), Error);
  quora.on_bad_row = "skip";
  const TaskRows task = load_task(quora, TaskLabels::classes(2), 0);
  EXPECT_EQ(counts(task), (Counts{16212, 2000, 0}));
  const SplitReport& report = task.reports.at("train");
  EXPECT_EQ(report.read, 16214);
  ASSERT_EQ(report.skipped.size(), 2u);
  EXPECT_EQ(report.skipped[0].line, 2577);
  EXPECT_EQ(report.skipped[0].reason, "column \"is_duplicate\": expected 0..1, got nothing");
  EXPECT_EQ(report.skipped[1].line, 14222);
  EXPECT_EQ(task.reports.at("dev").label_counts, (std::map<std::string, std::int64_t>{{"0", 1246}, {"1", 754}}));
}

TEST_F(RealData, Paws) {
  DataSpec paws;
  paws.train = at("paws/paws-train.tsv");
  paws.dev.files = at("paws/paws-dev.tsv");
  paws.test.files = at("paws/paws-test.tsv");
  paws.text = "sentence1";
  paws.text_pair = "sentence2";
  paws.label = "label";
  EXPECT_EQ(counts(load_task(paws, TaskLabels::from_train(), 0)), (Counts{10000, 1000, 1000}));
}

TEST_F(RealData, SickBySplitColumn) {
  DataSpec sick;
  const auto part = [&](const char* name) {
    return std::vector<DataSource>{{.path = at("sick/SICK.txt")[0].path, .where = {{"SemEval_set", name}}}};
  };
  sick.train = part("TRAIN");
  sick.dev.files = part("TRIAL");
  sick.test.files = part("TEST");
  sick.text = "sentence_A";
  sick.text_pair = "sentence_B";
  sick.label = "relatedness_score";
  sick.label_from = {1, 5};
  const TaskRows task = load_task(sick, TaskLabels::range(), 0);
  EXPECT_EQ(counts(task), (Counts{4439, 495, 4906}));
  EXPECT_EQ(task.reports.at("train").label_min, 0);
  EXPECT_EQ(task.reports.at("train").label_max, 5);
}

TEST_F(RealData, RottenTomatoesAndWhatItSharesWithSst) {
  DataSpec rt;
  rt.train = {{.path = at("rotten-tomatoes/rt-polarity.neg")[0].path, .label = "0"},
              {.path = at("rotten-tomatoes/rt-polarity.pos")[0].path, .label = "1"}};
  rt.encoding = "latin-1";
  SplitReport report;
  EXPECT_EQ(load_rows(rt, Split::kTrain, TaskLabels::classes(2), 0, &report).rows.size(), 10662u);
  EXPECT_EQ(report.label_counts, (std::map<std::string, std::int64_t>{{"0", 5331}, {"1", 5331}}));
  rt.exclude = {at("sst/ids-sst-dev.csv")[0], at("sst/ids-sst-test-student.csv")[0]};
  load_rows(rt, Split::kTrain, TaskLabels::classes(2), 0, &report);
  EXPECT_GT(report.removed, 2300);
  EXPECT_LT(report.removed, 2700);
  const std::int64_t dev_and_test = report.removed;
  rt.exclude = at("sst/ids-sst-train.csv");
  load_rows(rt, Split::kTrain, TaskLabels::classes(2), 0, &report);
  EXPECT_GT(report.removed, 6300);
  EXPECT_LT(report.removed, 6700);
  EXPECT_LT(report.removed + dev_and_test, 10662);
  rt.encoding = "utf-8";
  EXPECT_THROW(load_rows(rt, Split::kTrain, TaskLabels::classes(2), 0), Error);
}

}  // namespace
}  // namespace minbert
