// The table of a study in each format.
#include "minbert/study/results.h"

#include <gtest/gtest.h>

#include <cmath>
#include <sstream>

#include "minbert/base/files.h"
#include "minbert/data/table.h"

namespace minbert {
namespace {

StudyResults example() {
  StudyResults results{.name = "small",
                       .title = "A & B",
                       .caption = "Some data. Encoder: tiny_one.",
                       .state = "failed",
                       .tasks = {{"mood", "accuracy"}, {"near", "pearson"}},
                       .rows = {}};
  results.rows.push_back({.name = "one", .title = "One_1", .published = {{"mood", 0.5}, {"mean", 0.375}}, .seeds = {}});
  results.rows[0].seeds.push_back(
      {.seed = 3, .state = "done", .scores = {{"mood", 0.5}, {"near", 0.25}}, .mean = 0.375, .seconds = 12, .best_epoch = 2});
  results.rows[0].seeds.push_back(
      {.seed = 5, .state = "done", .scores = {{"mood", 0.6}, {"near", -0.05}}, .mean = 0.275, .seconds = 14, .best_epoch = 1});
  results.rows.push_back({.name = "two", .title = "Two | half", .published = {}, .seeds = {}});
  results.rows[1].seeds.push_back({.seed = 3, .state = "failed", .error = "it diverged", .exit_code = 6});
  return results;
}

/// example() with wall-clock times of the first run, and with a finished second row.
StudyResults timed_example() {
  StudyResults results = example();
  results.rows[0].seeds[0].phases = PhaseSeconds{{1, 0, 12.5, 3, 0.25}};
  results.rows[1].seeds = results.rows[0].seeds;
  for (SeedResult& run : results.rows[1].seeds) run.scores["mood"] += run.seed == 3 ? 0.125 : 0.375;
  return results;
}

TEST(Results, WallClockStandsInATableOfItsOwn) {
  const std::string text = results_text(timed_example());
  EXPECT_TRUE(
      text.ends_with("seeds.\n"
                     "\n"
                     "wall-clock seconds  read  encode  steps  scores  write   all\n"
                     "One_1                1.0     0.0   12.5     3.0    0.2  16.8\n"
                     "Two | half           1.0     0.0   12.5     3.0    0.2  16.8\n"))
      << text;
  EXPECT_NE(results_markdown(timed_example()).find("\n| One\\_1 | 1.0 | 0.0 | 12.5 | 3.0 | 0.2 | 16.8 |\n"), std::string::npos);
  EXPECT_NE(results_csv(timed_example()).find("\none,3,done,0.5,0.25,0.375,12,2,1,0,12.5,3,0.25,16.75\n"), std::string::npos);
}

TEST(Results, RowsAreComparedSeedBySeed) {
  const std::string text = differences_csv(timed_example());
  EXPECT_EQ(text.find("a,b,task,seeds,difference,std,low,high,p_value\none,two,mood,2,0.2"), 0u) << text;
  EXPECT_NE(text.find("\none,two,near,2,0,0,0,0,1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("\none,two,mean,2,0,0,0,0,1\n"), std::string::npos) << text;
  const Json pair = results_json(timed_example())["differences"].at(0);
  EXPECT_EQ(pair["seeds"], Json({3, 5}));
  const Json& mood = pair["tasks"].at(0);
  EXPECT_NEAR(mood["low"].get<double>(), 0.25 - 12.7062 * 0.125, 1e-5);
  EXPECT_NEAR(mood["std"].get<double>(), 0.25 / std::sqrt(2), 1e-12);
  EXPECT_EQ(results_json(example())["differences"], Json::array()) << "one row has no finished run";

  StudyResults elsewhere = timed_example();
  elsewhere.rows[0].seeds[1].dev_rows = {{"mood", "a"}, {"near", "b"}};
  elsewhere.rows[1].seeds[1].dev_rows = {{"mood", "c"}, {"near", "b"}};
  const std::string alike = differences_csv(elsewhere);
  EXPECT_EQ(alike.find("one,two,mood"), std::string::npos) << "scores of other dev rows";
  EXPECT_EQ(alike.find("one,two,mean"), std::string::npos);
  EXPECT_NE(alike.find("one,two,near"), std::string::npos);

  StudyResults other = timed_example();
  for (SeedResult& run : other.rows[1].seeds) run.scores.erase("near");
  const std::string fewer = differences_csv(other);
  EXPECT_NE(fewer.find("one,two,mood"), std::string::npos);
  EXPECT_EQ(fewer.find("one,two,near"), std::string::npos);
  EXPECT_EQ(fewer.find("one,two,mean"), std::string::npos) << "means over other tasks";
}

TEST(Results, TextForPeople) {
  EXPECT_EQ(
      results_text(example()),
      "A & B\n"
      "\n"
      "row                  mood  published           near  published           mean  published  seconds  best epoch  runs\n"
      "One_1       0.550 \u00B1 0.071      0.500  0.100 \u00B1 0.212          -  0.325 \u00B1 0.071      0.375       13        2, 1  2\n"
      "Two | half              -          -              -          -              -          -        -           -  failed\n"
      "\n"
      "Some data. Encoder: tiny_one. On dev: accuracy of mood, pearson of near, and their mean. Mean \u00B1 standard deviation over "
      "seeds.\n");
}

TEST(Results, MarkdownEscapesItsOwnMarks) {
  const std::string text = results_markdown(example());
  EXPECT_EQ(
      text.find(
          "**A & B**\n\n| row | mood | published | near | published | mean | published | seconds | best epoch | runs |\n|---|---:|---:|"),
      0u)
      << text;
  EXPECT_NE(text.find("\n| One\\_1 | 0.550 \u00B1 0.071 | 0.500 | 0.100 \u00B1 0.212 | - | 0.325 \u00B1 0.071 | 0.375 | 13 | 2, 1 | 2 |\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\n| Two \\| half | - |"), std::string::npos) << text;
}

TEST(Results, LatexIsABooktabsTable) {
  const std::string text = results_latex(example());
  for (const char* part :
       {"\\begin{tabular}{lrrrrrrrrr}\n    \\toprule\n    row & mood & published &",
        "    One\\_1 & \\textbf{0.550 $\\pm$ 0.071} & 0.500 & \\textbf{0.100 $\\pm$ 0.212} & - &", "2, 1 & 2 \\\\\n",
        "    \\bottomrule\n  \\end{tabular}\n  \\caption{A \\& B. Some data. Encoder: tiny\\_one.", "\\label{tab:small}\n\\end{table}\n"})
    EXPECT_NE(text.find(part), std::string::npos) << part << " in\n" << text;
}

TEST(Results, OneSeedHasNoDeviation) {
  StudyResults results = example();
  results.rows[0].seeds.pop_back();
  for (const std::string& text : {results_text(results), results_markdown(results), results_latex(results)}) {
    EXPECT_EQ(text.find("\u00B1"), std::string::npos);
    EXPECT_EQ(text.find("\\pm"), std::string::npos);
  }
  EXPECT_EQ(results_csv(results).find("std"), std::string::npos);
  EXPECT_FALSE(results_json(results)["rows"][0].contains("std"));
}

TEST(Results, CsvHoldsEachRunAndWhatTheyHaveInCommon) {
  const std::string deviation =
      fmt::format("one,std,,{},{},{},{},{},,,,,,\n", std::sqrt(0.005), std::sqrt(0.045), std::sqrt(0.005), std::sqrt(2.0), std::sqrt(0.5));
  const std::string text = results_csv(example());
  EXPECT_EQ(
      text.find("row,seed,state,mood,near,mean,seconds,best_epoch,read_seconds,encode_seconds,steps_seconds,scores_seconds,"
                "write_seconds,wall_seconds\none,3,done,0.5,0.25,0.375,12,2,,,,,,\none,5,done,0.6,-0.05,0.275,14,1,,,,,,\none,mean,,0.55,"
                "0.1"),
      0u)
      << text;
  EXPECT_NE(text.find("\none,published,,0.5,,0.375,,,,,,,,\n"), std::string::npos) << text;
  EXPECT_TRUE(text.ends_with("two,3,failed,,,,,,,,,,,\n")) << text;
}

TEST(Results, JsonIsTheCsv) {
  const StudyResults results = timed_example();
  const Json json = parse_json(dump_json(results_json(results)), "results.json", ErrorTag::kInternal);
  const Table table = parse_table(results_csv(results), "results.csv", {.format = "csv", .header = "yes"});
  const std::vector<std::string> columns = table.columns();
  std::size_t line = 0;
  const auto expect_line = [&](const std::string& row, const std::string& seed, const std::string& state, const Json& figures) {
    ASSERT_LT(line, table.rows());
    EXPECT_EQ(table.cell(line, 0), row);
    EXPECT_EQ(table.cell(line, 1), seed);
    EXPECT_EQ(table.cell(line, 2), state);
    for (std::size_t column = 3; column < columns.size(); ++column) {
      const Json value =
          figures["scores"].contains(columns[column]) ? figures["scores"][columns[column]] : figures.value(columns[column], Json());
      EXPECT_EQ(table.cell(line, column), value.is_null() ? "" : fmt::format("{}", value.get<double>()))
          << row << " " << seed << " " << columns[column];
    }
    ++line;
  };
  for (const Json& row : json["rows"]) {
    for (const Json& run : row["runs"]) expect_line(row["name"], std::to_string(run["seed"].get<int>()), run["state"], run);
    for (const char* common : {"mean", "std", "published"})
      if (row.contains(common)) expect_line(row["name"], common, "", row[common]);
  }
  EXPECT_EQ(line, table.rows());
  EXPECT_EQ(json["tasks"][1], (Json{{"name", "near"}, {"metric", "pearson"}}));
}

}  // namespace
}  // namespace minbert
