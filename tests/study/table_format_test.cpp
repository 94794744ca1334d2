// Tables as text, CSV, Markdown and LaTeX; which rows are best; and the tables of finished runs.
#include "minbert/study/table_format.h"

#include <gtest/gtest.h>

#include "minbert/base/files.h"
#include "minbert/study/run_tables.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

ResultTable example_table() {
  return {
      .header = {"run", "sst", "a_b"}, .rows = {{"one, 50%", "0.512 ± 0.010", "0.3"}, {"two", "0.498", "0.3"}}, .best = {{}, {0}, {0, 1}}};
}

TEST(TableFormat, EachFormatEscapesItsMarkup) {
  EXPECT_EQ(format_table(example_table(), "csv"), "run,sst,a_b\n\"one, 50%\",0.512 ± 0.010,0.3\ntwo,0.498,0.3\n");
  EXPECT_EQ(format_table(example_table(), "markdown"),
            "| run | sst | a\\_b |\n|---|---:|---:|\n| one, 50% | **0.512 ± 0.010** | **0.3** |\n| two | 0.498 | **0.3** |\n");
  EXPECT_EQ(format_table(example_table(), "latex"),
            "% Needs the package booktabs.\n\\begin{tabular}{lrr}\n  \\toprule\n  run & sst & a\\_b \\\\\n  \\midrule\n"
            "  one, 50\\% & \\textbf{0.512 $\\pm$ 0.010} & \\textbf{0.3} \\\\\n  two & 0.498 & \\textbf{0.3} \\\\\n"
            "  \\bottomrule\n\\end{tabular}\n");
  EXPECT_EQ(format_table(example_table(), "text"),
            "run                 sst  a_b\n"
            "one, 50%  0.512 ± 0.010  0.3\n"
            "two               0.498  0.3\n");
}

TEST(TableFormat, ColumnsAreChosenWithTheirBest) {
  ResultTable table = example_table();
  choose_columns(table, {"a_b", "sst"}, "--columns");
  EXPECT_EQ(table.header, (std::vector<std::string>{"run", "a_b", "sst"}));
  EXPECT_EQ(table.rows[0], (std::vector<std::string>{"one, 50%", "0.3", "0.512 ± 0.010"}));
  EXPECT_EQ(table.best, (std::vector<std::vector<std::size_t>>{{}, {0, 1}, {0}}));
  expect_error(ErrorTag::kUsage, {"--columns", "no column \"sts\"", "did you mean \"sst\"?"},
               [&] { choose_columns(table, {"sts"}, "--columns"); });
}

TEST(TableFormat, BestRowsAreThoseThatLookBest) {
  EXPECT_EQ(best_rows({0.5001, 0.4999, std::nullopt, 0.49}, 3), (std::vector<std::size_t>{0, 1}));
  EXPECT_EQ(best_rows({-1.0, std::nullopt, -0.5}, 3), (std::vector<std::size_t>{2}));
  EXPECT_TRUE(best_rows({std::nullopt}, 3).empty());
}

class RunTablesTest : public testing::Test {
 protected:
  void write_run(const std::string& name, double sst, double para, std::string_view rate) const {
    make_directories(folder / name / "eval/dev");
    write_file(folder / name / "eval/dev/metrics.json",
               fmt::format(R"({{"scores": {{"sst": {}, "para": {}}}, "mean": {}, "tasks": {{}}}})", sst, para, (sst + para) / 2));
    write_file(folder / name / "status.json", R"({"format": 1, "state": "done", "seconds": 12.25, "best_epoch": 3})");
    write_file(folder / name / "config.toml",
               fmt::format("[run]\nname = \"{}\"\nseed = 1\n[[stage]]\nname = \"0\"\nlr = {}\n", name, rate));
  }
  std::vector<std::filesystem::path> paths(std::vector<std::string> names) const {
    std::vector<std::filesystem::path> paths;
    for (const std::string& name : names) paths.push_back(folder / name);
    return paths;
  }
  TempFolder folder;
};

TEST_F(RunTablesTest, ScoresOfRunsAndOfSeeds) {
  write_run("a", 0.5, 0.75, "1e-5");
  make_directories(folder / "b");
  write_run("b/seed-1", 0.4, 0.8, "3e-5");
  write_run("b/seed-2", 0.6, 0.8, "3e-5");
  const ResultTable scores = scores_table(paths({"a", "b"}), "dev");
  EXPECT_EQ(scores.header, (std::vector<std::string>{"run", "para", "sst", "mean", "seconds", "epoch", "seeds"}));
  EXPECT_EQ(std::vector(scores.rows[0].begin() + 1, scores.rows[0].end()),
            (std::vector<std::string>{"0.750", "0.500", "0.625", "12.2", "3", "1"}));
  EXPECT_EQ(std::vector(scores.rows[1].begin() + 1, scores.rows[1].end()),
            (std::vector<std::string>{"0.800 ± 0.000", "0.500 ± 0.141", "0.650 ± 0.071", "12.2 ± 0.0", "3.0 ± 0.0", "2"}));
  EXPECT_EQ(scores.best, (std::vector<std::vector<std::size_t>>{{}, {1}, {0, 1}, {1}}));
  make_directories(folder / "study/rows");
  std::filesystem::rename(folder / "b", folder / "study/rows/b");
  write_file(folder / "study/study.json", R"({"rows": [{"name": "b"}, {"name": "not-begun"}, {"name": "begun"}]})");
  make_directories(folder / "study/rows/begun/seed-1");
  EXPECT_EQ(rows_of_studies(paths({"a", "study"}), "dev"), paths({"a", "study/rows/b"}));
  EXPECT_EQ(rows_of_studies(paths({"study"}), "test"), paths({}));
  expect_error(ErrorTag::kData, {"metrics.json", "finished run on test"}, [&] { scores_table(paths({"a"}), "test"); });
}

TEST_F(RunTablesTest, DifferencesOfConfigs) {
  write_run("a", 0.5, 0.75, "1e-5");
  write_run("b", 0.5, 0.75, "3e-5");
  EXPECT_EQ(differences_table(paths({"a", "b"})).rows, (std::vector<std::vector<std::string>>{{"stage.0.lr", "1e-05", "3e-05"}}));
  EXPECT_TRUE(differences_table(paths({"a", "a"})).rows.empty());
  const auto write_seed = [&](const std::string& name, int seed) {
    write_run(name, 0.5, 0.75, "1e-5");
    write_file(folder / name / "config.toml", fmt::format("[run]\nname = \"{}\"\nseed = {}\n", name, seed));
  };
  write_seed("c", 1);
  write_seed("d", 2);
  EXPECT_EQ(differences_table(paths({"c", "d"})).rows, (std::vector<std::vector<std::string>>{{"run.seed", "1", "2"}}));
  make_directories(folder / "e");
  write_seed("e/seed-2", 2);
  EXPECT_TRUE(differences_table(paths({"c", "e"})).rows.empty()) << "folders of seeds differ in the seed anyway";
}

TEST(ComparisonTable, ARowForEachTask) {
  const Json json = Json::parse(R"j({"comparisons": [{"a": "x", "b": "y", "tasks": [
    {"task": "sst", "metric": "accuracy", "rows": 8, "a": 0.5, "b": 0.75, "difference": 0.25, "low": 0.1, "high": 0.4, "p_value": 0.03,
     "mcnemar": {"only_a": 2, "only_b": 5, "statistic": 1.25, "p_value": 0.453125, "exact": true}},
    {"task": "mean", "metric": null, "rows": 9, "a": 0.25, "b": 0.125, "difference": -0.125, "low": -0.5, "high": 0, "p_value": 1}]}]})j");
  const ResultTable table = comparison_table(json);
  EXPECT_EQ(table.header, (std::vector<std::string>{"a", "b", "task", "metric", "rows", "score a", "score b", "b - a", "low", "high", "p",
                                                    "a alone right", "b alone right", "McNemar p"}));
  EXPECT_EQ(table.rows,
            (std::vector<std::vector<std::string>>{
                {"x", "y", "sst", "accuracy", "8", "0.5000", "0.7500", "0.2500", "0.1000", "0.4000", "0.0300", "2", "5", "0.4531"},
                {"x", "y", "mean", "", "9", "0.2500", "0.1250", "-0.1250", "-0.5000", "0.0000", "1.0000", "", "", ""}}));
}

}  // namespace
}  // namespace minbert
