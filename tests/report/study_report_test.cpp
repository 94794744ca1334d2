// The report of a study: its rows, shared stages, published numbers, and rows that have not begun.
#include "tests/base/error_matchers.h"
#include "tests/report/read_report.h"
#include "tests/report/run_fixture.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// Three models: Alpha with two seeds, Beta, which adopts Alpha's first stages, and Gamma, which has not begun.
class StudyReportTest : public testing::Test {
 protected:
  StudyReportTest() {
    RunFixture run;
    run.make_whole();
    for (const char* folder : {"rows/alpha/seed-1", "rows/alpha/seed-2", "rows/beta/seed-1"}) {
      make_directories(folder_ / folder);
      fs::copy(run.path(), folder_ / folder, fs::copy_options::recursive);
    }
    write("rows/alpha/seed-2/eval/dev/metrics.json",
          R"({"split": "dev", "scores": {"stars": 0.5, "same": 0.5, "likeness": 0.5}, "mean": 0.61,
      "tasks": {"stars": {"metric": "accuracy", "rows": 4}, "same": {"metric": "accuracy", "rows": 6},
                "likeness": {"metric": "pearson", "rows": 4}}})");
    write("rows/alpha/seed-2/eval/dev/stars.predictions.tsv", "id\ttext\tgold\tpred\tscore\n1\tA tale\t0\t1\t0.9\n2\tA tale\t0\t1\t0.9\n");
    write_study(R"({"stars": 0.31, "mean": 0.4})");
  }

  void write(std::string_view name, std::string_view text) const { write_file(folder_ / name, text); }
  void write_study(std::string_view published) const {
    write(
        "study.json",
        fmt::format(R"j({{"format": 1, "name": "small", "title": "A <small> study", "caption": "Tiny encoder", "state": "running", "rows": [
      {{"name": "alpha", "title": "Alpha", "published": {}, "seeds": [
        {{"seed": 1, "folder": "rows/alpha/seed-1", "state": "done", "shared": []}},
        {{"seed": 2, "folder": "rows/alpha/seed-2", "state": "done", "shared": []}}]}},
      {{"name": "beta", "title": "Beta", "published": {{}}, "seeds": [
        {{"seed": 1, "folder": "rows/beta/seed-1", "state": "failed", "error": "loss <nan>", "shared": [
          {{"stage": "pretrain", "from": "rows/alpha/seed-1"}}, {{"stage": "multi", "from": "rows/alpha/seed-1"}}]}}]}},
      {{"name": "gamma", "title": "Gamma", "published": {{"same": 0.8}}, "seeds": [
        {{"seed": 1, "folder": "rows/gamma/seed-1", "state": "waiting", "shared": []}}]}}]}})j",
                    published));
  }
  Report report() const { return make_report(folder_.path()); }
  Grid table(const char* name) const { return csv_grid(report().tables.at(name)); }

  TempFolder folder_;
};

using Row = std::vector<std::string>;

TEST_F(StudyReportTest, HasAllPartsAndTheirFiles) {
  expect_all_parts(report().html);
  expect_cells_of_files(report(), 22);
}

TEST_F(StudyReportTest, ScoresStandBesidePublishedOnes) {
  const Grid scores = table("table-4.csv");
  EXPECT_EQ(scores[0], (Row{"model", "seeds", "stars", "stars published", "same", "same published", "likeness", "mean", "mean published"}));
  EXPECT_EQ(scores[1], (Row{"Alpha", "2", "0.375 ± 0.177", "0.310", "0.500 ± 0.000", "", "0.500 ± 0.000", "0.510 ± 0.141", "0.400"}));
  EXPECT_EQ(scores[2], (Row{"Beta", "1", "0.250", "", "0.500", "", "0.500", "0.410", ""}));
  EXPECT_EQ(scores[3], (Row{"Gamma", "0", "", "", "", "0.800", "", "", ""}));
  EXPECT_TRUE(has(report().html, "2 of 4 runs done, 3 models. Tiny encoder"));
  EXPECT_TRUE(has(report().html, "The best mean on dev is Alpha&#39;s: 0.5100 ± 0.1414."));
  EXPECT_TRUE(has(report().html, "Beta, seed 1: loss &lt;nan&gt;"));
  EXPECT_TRUE(has(report().html, "<h1>A &lt;small&gt; study</h1>"));
}

TEST_F(StudyReportTest, SharedStagesAreDrawnOnce) {
  const std::string html = report().html;
  EXPECT_EQ(count(html, ">stage multi</text>"), 1);
  EXPECT_EQ(count(html, ">stage single</text>"), 2);
  EXPECT_TRUE(has(html, ">Alpha: mean 0.5100</text>"));
  EXPECT_EQ(table("timing.csv")[3][8], "multi from alpha, pretrain from alpha");
  for (const Row& row : table("fig-4.csv")) EXPECT_NE(row[0], "Beta");
  EXPECT_EQ(table("table-2.csv")[0],
            (Row{"hyperparameter", "paper", "Alpha: pretrain and 1 more", "Alpha: multi and 1 more", "Alpha: single and 1 more"}));
  EXPECT_EQ(table("table-3.csv")[3], (Row{"Gamma", "", "", "", "", "", "", ""}));
}

TEST_F(StudyReportTest, SharedStagesCostNothing) {
  write("rows/beta/seed-1/metrics.jsonl", RunFixture::step(2, "same", "0.5", "multi") + RunFixture::step(5, "same", "0.5", "single"));
  const Row beta = table("timing.csv")[3];
  EXPECT_EQ(Row(beta.begin() + 3, beta.begin() + 6), (Row{"1", "3", "33"})) << "steps, seconds and tokens per second of `single`";
}

TEST_F(StudyReportTest, CurvesAreMeansOverSeeds) {
  const Grid points = table("fig-5.csv");
  EXPECT_TRUE(std::ranges::count(points, Row{"Alpha", "single", "stars", "dev", "2", "2", "0.5000", "0.0000"}));
}

TEST_F(StudyReportTest, ErrorsAreThoseOfTheBestModel) {
  EXPECT_EQ(table("table-5.csv")[0], (Row{"task", "off by", "errors", "share", "±", "paper"}));
  EXPECT_EQ(table("table-5.csv")[1], (Row{"stars", "1", "1", "0.667", "0.471", "0.86"}));  // a third, and all of seed 2's
  EXPECT_EQ(table("table-6.csv")[1], (Row{"same", "0", "2", "0.333", "0.000", "0.50", "1", "0.167", "0.000", "0.13"}));
}

TEST_F(StudyReportTest, AnomaliesAreOfPublishedNumbers) {
  EXPECT_TRUE(report().tables.contains("anomalies.csv"));
  EXPECT_TRUE(has(report().html, "href=\"#paper\""));
  write_study("{}");
  const std::string text = read_file(folder_ / "study.json");
  write("study.json", std::string(text).replace(text.find(R"({"same": 0.8})"), 13, "{}"));
  EXPECT_FALSE(report().tables.contains("anomalies.csv"));
  expect_sound(report().html);
  expect_nothing_of_the_paper(report().html);
  EXPECT_EQ(table("off-by.csv")[0].back(), "±");
  EXPECT_EQ(section_titles(report().html).back(), "Environment");
}

TEST_F(StudyReportTest, KindsOfErrorsAreThePapers) {
  const Grid kinds = table("same.error-kinds.csv");
  EXPECT_EQ(kinds[1], (Row{"false positive within two token edits", "1", "1.000", "2", "0.667"}));
  EXPECT_EQ(kinds[2], (Row{"false negative, subject or pronoun changed", "1", "0.500", "1", "0.333"}));
  EXPECT_EQ(kinds[3], (Row{"false negative, abbreviation", "1", "0.500", "1", "0.333"}));
}

TEST_F(StudyReportTest, ModelsHaveTheirFeatures) {
  EXPECT_EQ(table("table-3.csv")[1], (Row{"Alpha", "✓", "", "tales.train", "✓", "stars: 4H, 4H", "sequential", "tiny, 2 × 8"}));
}

TEST_F(StudyReportTest, OfAStudyThatHasOnlyBegun) {
  fs::remove_all(folder_ / "rows");
  expect_all_parts(report().html);
  EXPECT_TRUE(has(report().html, "No model is finished yet."));
}

TEST_F(StudyReportTest, ABrokenStudyIsNamed) {
  write("study.json", R"({"format": 2, "rows": []})");
  expect_error(ErrorTag::kData, {"study.json", "format 1"}, [&] { report(); });
  write("study.json", R"({"format": 1, "rows": [{"title": "nameless"}]})");
  expect_error(ErrorTag::kData, {"study.json", "rows[0].name", "missing"}, [&] { report(); });
}

}  // namespace
}  // namespace minbert
