// make_report(): balanced tags, the same numbers as in the files, hostile texts, unfinished runs.
#include "minbert/report/report.h"

#include "tests/base/error_matchers.h"
#include "tests/report/read_report.h"
#include "tests/report/run_fixture.h"

namespace minbert {
namespace {

Report whole_report() {
  RunFixture fixture;
  fixture.make_whole();
  return make_report(fixture.path());
}

TEST(Report, EachCellIsThatOfItsFile) {
  expect_cells_of_files(whole_report(), 19);
  expect_cells_of_files(make_report(RunFixture().path()), 4);
}

TEST(Report, ErrorsComeFirstAndSettingsLast) {
  const std::string html = whole_report().html;
  expect_sound(html);
  EXPECT_EQ(section_titles(html),
            (std::vector<std::string>{"Scores", "Classes", "Worst errors", "Confidence", "Errors of numbered classes", "Errors of pairs",
                                      "Errors of similarity", "Scores by epoch", "Training loss", "Further pretraining", "Data",
                                      "Time and memory", "Model and settings", "Config", "Environment"}));
}

TEST(Report, OfARunHasNothingOfThePaper) {
  expect_nothing_of_the_paper(whole_report().html);
  expect_nothing_of_the_paper(make_report(RunFixture().path()).html);
}

TEST(Report, WhatARunLacksLeavesNoTrace) {
  const std::string html = make_report(RunFixture().path()).html;
  expect_sound(html);
  EXPECT_EQ(section_titles(html), (std::vector<std::string>{"Scores", "Classes", "Worst errors", "Training loss", "Data", "Time and memory",
                                                            "Config", "Environment"}));
  RunFixture young;
  for (const char* name : {"metrics.jsonl", "data.json", "env.json", "eval", "config.toml"}) young.remove(name);
  const std::string begun = make_report(young.path()).html;
  expect_sound(begun);
  EXPECT_EQ(section_titles(begun), (std::vector<std::string>{"Scores", "Environment"}));
}

TEST(Report, EachClassHasItsScores) {
  const Report report = make_report(RunFixture().path());
  EXPECT_EQ(csv_grid(report.tables.at("mood.classes.csv")), (Grid{{"class", "precision", "recall", "F1", "support", "predicted"},
                                                                  {"bad", "0.600", "0.750", "0.667", "4", "5"},
                                                                  {"fair", "0.667", "0.667", "0.667", "3", "3"},
                                                                  {"<i>", "0.000", "0.000", "0.000", "1", "0"}}));
}

TEST(Report, EachLabelOfASetHasItsScoresAndThreshold) {
  const RunFixture fixture;
  fixture.remove("eval/dev/mood.confusion.csv");
  fixture.write("eval/dev/metrics.json", R"({"split": "dev", "scores": {"mood": 0.5}, "mean": 0.5, "tasks": {"mood": {
    "metric": "micro_f1", "rows": 8, "type": "multi_label", "micro_f1": 0.5, "thresholds": [0.25, 0.625],
    "classes": {"<b>": {"precision": 0.6, "recall": 0.75, "f1": 0.66667, "gold": 4, "predicted": 5},
                "fair": {"precision": null, "recall": 0, "f1": 0, "gold": 1, "predicted": 0}}}}})");
  const Report report = make_report(fixture.path());
  expect_sound(report.html);
  EXPECT_EQ(csv_grid(report.tables.at("mood.classes.csv")),
            (Grid{{"label", "precision", "recall", "F1", "support", "predicted", "threshold"},
                  {"<b>", "0.600", "0.750", "0.667", "4", "5", "0.250"},
                  {"fair", "", "0.000", "0.000", "1", "0", "0.625"}}));
}

TEST(Report, WorstErrorsSayWhereTheyStand) {
  const RunFixture fixture;
  EXPECT_TRUE(has(make_report(fixture.path()).html, "<p class=\"soft\">id r1</p>")) << "runs of earlier versions name no place";
  fixture.write("eval/dev/mood.errors.tsv", "id\ttext\tgold\tpred\tscore\tp_0\tplace\nr7\tA day\tbad\tfair\t0.9\t0.1\tdev.csv:17\n");
  EXPECT_TRUE(has(make_report(fixture.path()).html, "<p class=\"soft\">id r7, dev.csv:17</p><p>A day</p>"));
}

TEST(Report, AccuracyByCoverage) {
  const Report report = whole_report();
  const Grid points = csv_grid(report.tables.at("stars.coverage.csv"));
  EXPECT_EQ(points[0], (std::vector<std::string>{"least confidence", "rows", "coverage", "accuracy"}));
  EXPECT_EQ(points[1], (std::vector<std::string>{"0.900", "1", "0.250", "1.0000"}));  // of four answers the surest alone is right
  EXPECT_EQ(points.back(), (std::vector<std::string>{"0.600", "4", "1.000", "0.2500"}));
  EXPECT_TRUE(has(report.html, "stars, accuracy by coverage"));
}

TEST(Report, SeveralRunsAreLaidSideBySide) {
  RunFixture a, b;
  a.make_whole();
  b.make_whole();
  b.write("config.toml", std::regex_replace(RunFixture::config(), std::regex("lr = 1e-5"), "lr = 3e-5"));
  const std::vector<std::filesystem::path> runs = {a.path(), b.path()};
  const Report report = make_report(runs);
  expect_sound(report.html);
  expect_nothing_of_the_paper(report.html);
  EXPECT_FALSE(has(report.html, "<code>eval/")) << "no folder holds these tables";
  const Grid differences = csv_grid(report.tables.at("config-differences.csv"));
  EXPECT_EQ(differences[1], (std::vector<std::string>{"stage.pretrain.lr", "1e-05", "3e-05"}));
  EXPECT_EQ(differences.size(), 4u);
  EXPECT_EQ(csv_grid(report.tables.at("scores.csv")).size(), 3u);
  EXPECT_TRUE(has(report.html, "<p class=\"legend\">"));
  EXPECT_EQ(count(report.html, "class=\"line solid series-1\""), 2 * 3 + 2 + 2) << "scores of two stages, losses, two legends";
  EXPECT_EQ(section_titles(report.html).front(), "Results");
}

TEST(Report, SeedsHaveARowEachAndTheirMean) {
  RunFixture a;
  a.make_whole();
  const TempFolder seeds;
  for (const char* seed : {"seed-2", "seed-10"}) std::filesystem::copy(a.path(), seeds / seed, std::filesystem::copy_options::recursive);
  const Report report = make_report(seeds.path());
  expect_sound(report.html);
  const Grid scores = csv_grid(report.tables.at("scores.csv"));
  ASSERT_EQ(scores.size(), 4u);
  EXPECT_EQ(scores[1][0], "seed 2");
  EXPECT_EQ(scores[2][0], "seed 10");
  EXPECT_EQ(scores[3][0], "all seeds");
  EXPECT_TRUE(has(scores[3][2], "± 0.000")) << scores[3][2];
  EXPECT_FALSE(report.tables.contains("config-differences.csv")) << "seeds differ in the seed";
}

TEST(Report, SearchesShowTheirTrials) {
  RunFixture a;
  a.make_whole();
  const TempFolder search;
  make_directories(search / "trials");
  std::filesystem::copy(a.path(), search / "trials/003", std::filesystem::copy_options::recursive);
  write_file(search / "journal.jsonl", "{}\n");
  write_file(search / "results.json", R"j({"format": 1, "name": "rates", "metric": "mean", "stop": "median", "state": "done", "steps": 900,
    "planned_steps": 1200, "importance": {"parameters": [{"key": "stage.0.lr", "share": 0.5, "trend": -0.25}]}, "trials": [
    {"rank": 1, "trial": 3, "folder": "trials/003", "state": "done", "score": 0.5, "values": {"stage.0.lr": 3e-05, "x": "a"}, "steps": 600},
    {"rank": 2, "trial": 1, "folder": "trials/001", "state": "stopped", "score": null, "values": {"stage.0.lr": 1e-03, "x": "b"}, "steps": 300}]})j");
  const Report report = make_report(search.path());
  expect_sound(report.html);
  EXPECT_TRUE(has(report.html, "1 of 2 runs done, the best 1 in detail"));
  EXPECT_TRUE(has(report.html, "The best mean on dev is trial 3"));
  EXPECT_EQ(csv_grid(report.tables.at("trials.csv")), (Grid{{"rank", "trial", "state", "score", "stage.0.lr", "x", "steps"},
                                                            {"1", "3", "done", "0.5000", "3e-05", "a", "600"},
                                                            {"2", "1", "stopped", "", "0.001", "b", "300"}}));
  EXPECT_EQ(csv_grid(report.tables.at("importance.csv"))[1], (std::vector<std::string>{"stage.0.lr", "0.50", "-0.25"}));
  EXPECT_TRUE(has(report.html, "900 of 1,200 planned optimizer steps"));
  // Ranked by one task, the first trial is the best one whatever its mean is, and the more trials than six are counted.
  std::string trials;
  for (int rank = 1; rank <= 8; ++rank) {
    const std::string folder = fmt::format("trials/1{:02}", rank);
    std::filesystem::copy(a.path(), search / folder, std::filesystem::copy_options::recursive);
    if (rank == 1) {
      const std::filesystem::path metrics = search / folder / "eval/dev/metrics.json";
      write_file(metrics, std::regex_replace(read_file(metrics), std::regex("\"mean\": 0.41"), "\"mean\": 0.01"));
    }
    trials += fmt::format(R"j({}{{"rank": {}, "trial": {}, "folder": "{}", "state": "done", "score": 0.5, "values": {{}}, "steps": 1}})j",
                          rank == 1 ? "" : ", ", rank, rank, folder);
  }
  write_file(search / "results.json", R"j({"format": 1, "name": "rates", "metric": "stars", "stop": "median", "state": "done", "steps": 900,
    "planned_steps": 1200, "importance": {"parameters": []}, "trials": [)j" +
                                          trials + "]}");
  const std::string ranked = make_report(search.path()).html;
  EXPECT_TRUE(has(ranked, "8 of 8 runs done, the best 6 in detail"));
  EXPECT_TRUE(has(ranked, "Of trial 1, the best trial, as trained in"));
  EXPECT_FALSE(has(ranked, "The best mean on dev"));
  write_file(search / "results.json", "{\"format\": 2}");
  expect_error(ErrorTag::kData, {"results.json", "format 1"}, [&] { make_report(search.path()); });
}

TEST(Report, ErrorsAreCounted) {
  const Report report = whole_report();
  const auto rows = [&](const char* name) { return csv_grid(report.tables.at(name)); };
  EXPECT_EQ(rows("off-by.csv"), (Grid{{"task", "off by", "errors", "share"},
                                      {"stars", "1", "1", "0.333"},
                                      {"stars", "2", "1", "0.333"},
                                      {"stars", "3 or more", "1", "0.333"}}));
  EXPECT_EQ(rows("stars.predicted-in-error.csv")[3], (std::vector<std::string>{"2", "1", "0.333", "0"}));
  EXPECT_EQ(rows("stars.rare-words.csv")[4], (std::vector<std::string>{"unseen", "3 or more", "1", "1", "1.000", "1", "1.000"}));
  EXPECT_EQ(rows("stars.rare-words.csv")[6], (std::vector<std::string>{"unseen or rare", "1", "1", "1", "1.000", "0", "0.000"}));
  EXPECT_EQ(rows("same.token-edits.csv")[2], (std::vector<std::string>{"1", "2", "1", "0.500", "0", "0", ""}));
  EXPECT_FALSE(report.tables.contains("same.error-kinds.csv")) << "those kinds are the paper's";
  EXPECT_EQ(rows("likeness.points.csv")[2], (std::vector<std::string>{"2", "4", "1.25", "2.75", "0.2", "5"}));
  // The overlaps are 1, 1/5, 2/7 and 1/4, the lengths 4, 5, 3.5 and 4, the errors -0.5, -2.75, 0.5 and 0.
  EXPECT_EQ(rows("likeness.error-bins.csv"), (Grid{{"by", "from", "to", "pairs", "mean error", "bias"},
                                                   {"overlap", "0", "0.1", "0", "", ""},
                                                   {"overlap", "0.1", "0.2", "0", "", ""},
                                                   {"overlap", "0.2", "0.4", "3", "1.083", "-0.750"},
                                                   {"overlap", "0.4", "0.6", "0", "", ""},
                                                   {"overlap", "0.6", "1", "1", "0.500", "-0.500"},
                                                   {"length", "3.5", "3.8", "1", "0.500", "0.500"},
                                                   {"length", "3.8", "4", "0", "", ""},
                                                   {"length", "4", "4.4", "2", "0.250", "-0.250"},
                                                   {"length", "4.4", "5", "1", "2.750", "-2.750"}}));
  EXPECT_EQ(rows("stars.calibration.csv")[1], (std::vector<std::string>{"0.5", "1", "4", "0.7500", "0.2500"}));
}

TEST(Report, ModelsAreDrawnFromTheConfig) {
  const Report report = whole_report();
  for (const char* part :
       {">2 encoder layers<", ">u; v; |u − v|: 24<", ">24 → 8, GELU<", ">8 → 32, GELU<", ">32 → 5<", ">a number, 0 to 5<",
        ">stage pretrain<", ">masked words of tales.train<", ">heads alone, encoder frozen: stars, same, likeness<"})
    EXPECT_TRUE(has(report.html, part)) << part;
  const Grid settings = csv_grid(report.tables.at("settings.csv"));
  EXPECT_EQ(settings[0], (std::vector<std::string>{"hyperparameter", "pretrain", "multi", "single"}));
  EXPECT_TRUE(std::ranges::count(settings, std::vector<std::string>{"learning rate", "1e-05", "1e-05", "frozen"}));
  EXPECT_TRUE(std::ranges::count(settings, std::vector<std::string>{"masked share", "0.15", "", ""}));
  const Grid data = csv_grid(report.tables.at("rows.csv"));
  EXPECT_TRUE(std::ranges::count(data, std::vector<std::string>{"stars", "train", "12", "10", "1", "0", "1", "0", "0: 4, 1: 6"}));
  EXPECT_TRUE(std::ranges::count(data, std::vector<std::string>{"likeness", "dev", "4", "4", "0", "0", "0", "0", "0 to 5, mean 1.25"}));
}

TEST(Report, AMeanOfStagesSaysSo) {
  const RunFixture fixture;
  const auto html_of = [&](std::string_view from) {
    fixture.write("config.toml",
                  fmt::format("{}[[stage]]\nname = \"mean\"\nkind = \"finetune\"\nfrom = {}\nepochs = 0\ntasks = [\"stars\"]\n",
                              RunFixture::config(), from));
    return make_report(fixture.path()).html;
  };
  fixture.write("metrics.jsonl",
                read_file(fixture.path() / "metrics.jsonl") +
                    R"({"event":"eval","stage":"mean","epoch":0,"split":"dev","scores":{"stars":0.4},"mean":0.4,"loss":{}})"
                    "\n");
  const std::string html = html_of("[\"multi\", \"single\"]");
  EXPECT_TRUE(has(html, "from the mean weights of multi, single"));
  EXPECT_FALSE(has(html, "0 epochs"));
  EXPECT_FALSE(has(html, "stars, stage mean")) << "there is no curve of one point";
  EXPECT_FALSE(has(html_of("[]"), "from the mean weights"));
}

TEST(Report, CurvesHaveTheirFigures) {
  const Report report = whole_report();
  EXPECT_TRUE(has(report.html, "stars, stage multi"));
  EXPECT_TRUE(has(report.html, "<title>dev, epoch 1: 0.4000</title>"));
  EXPECT_TRUE(has(report.html, "<title>train, epoch 2: 0.5000</title>"));
  EXPECT_TRUE(has(report.html, "<title>held-out, epoch 2: 88.0000</title>"));
  EXPECT_FALSE(has(report.html, "eval_train"));
  EXPECT_EQ(csv_grid(report.tables.at("perplexity.csv")).size(), 4u);
  EXPECT_EQ(csv_grid(report.tables.at("scores-by-epoch.csv")).size(), 1 + 2 * 3 * 3 * 2);
}

TEST(Report, WhatPretrainingReadAndDid) {
  const Report report = whole_report();
  const auto row = [&](const char* name, std::size_t i) {
    std::vector<std::string> cells = csv_grid(report.tables.at(name)).at(i);
    return std::vector<std::string>(cells.begin() + 1, cells.end());  // without the model, which is the folder's name
  };
  EXPECT_EQ(row("pretraining-texts.csv", 1), (std::vector<std::string>{"pretrain", "tales.train", "9", "6", "0", "2", "1", "0", "70"}));
  EXPECT_EQ(row("pretraining-texts.csv", 2)[1], "notes.txt, probe");
  EXPECT_EQ(row("pretraining-shift.csv", 1),
            (std::vector<std::string>{"pretrain", "tales.train", "text", "8", "60", "31", "90.02", "54.60", "0.100", "0.250"}));
  EXPECT_EQ(row("pretraining-shift.csv", 2),
            (std::vector<std::string>{"pretrain", "same.train", "task", "12", "80", "40", "", "", "", ""}));
  EXPECT_EQ(csv_grid(report.tables.at("pretrain.overlap.csv")),
            (Grid{{"corpus", "tales.train", "same.train"}, {"tales.train", "", "0.750"}, {"same.train", "0.667", ""}}));
}

TEST(Report, ScoresAreThoseOfTheFiles) {
  const Report report = make_report(RunFixture().path());
  const Grid scores = csv_grid(report.tables.at("scores.csv"));
  EXPECT_EQ(scores[1], (std::vector<std::string>{"mood", "dev", "accuracy", "8", "0.6123", "0.3457", "0.8124", "0.1250"}));
  EXPECT_EQ(scores[2], (std::vector<std::string>{"likeness", "dev", "Pearson's r", "4", "0.5123", "", "", ""}));
  EXPECT_EQ(scores[3], (std::vector<std::string>{"mean", "dev", "", "", "0.5623", "", "", ""}));
  EXPECT_TRUE(has(report.html, "95 % bootstrap intervals (1,000 resamples)"));
  EXPECT_TRUE(has(report.html, "accuracy 0.6123, macro F1 0.4568, expected calibration error 0.0321, Brier score 0.1234"));
  EXPECT_TRUE(has(report.html, "<td style=\"--share:0.750\" class=\"right\">3<small>75 %</small></td>"));
  EXPECT_TRUE(has(report.html, "<td>4.000</td><td>1.235</td>"));
  EXPECT_TRUE(has(report.html, "<dt>training</dt><dd>3.5 s</dd>"));
  EXPECT_EQ(csv_grid(report.tables.at("timing.csv"))[1], (std::vector<std::string>{"0", "3", "300", "3.5", "86"}));
  EXPECT_TRUE(has(whole_report().html, "<dt>largest memory</dt><dd>1.23 GB</dd>"));
}

TEST(Report, CostsOfStagesAndPhasesAddUp) {
  const RunFixture fixture;
  fixture.write("metrics.jsonl",
                RunFixture::step(1, "mood", "1", "a") + RunFixture::step(2, "mood", "1", "a") + RunFixture::step(4, "mood", "1", "b"));
  fixture.write("status.json", R"({"format": 1, "state": "done", "wall_seconds": 4,
    "phase_seconds": {"read": 0, "encode": 0, "steps": 1, "scores": 3, "write": 0}})");
  const Report report = make_report(fixture.path());
  EXPECT_EQ(csv_grid(report.tables.at("timing.csv")), (Grid{{"stage", "steps", "tokens", "seconds", "tokens per second"},
                                                            {"a", "2", "200", "2.5", "80"},
                                                            {"b", "1", "100", "2", "50"},
                                                            {"all", "3", "300", "4.5", "67"}}));
  EXPECT_EQ(csv_grid(report.tables.at("wall-clock.csv")), (Grid{{"phase", "seconds", "share"},
                                                                {"read", "0", "0"},
                                                                {"encode", "0", "0"},
                                                                {"steps", "1", "0.25"},
                                                                {"scores", "3", "0.75"},
                                                                {"write", "0", "0"},
                                                                {"all", "4", "1"}}));
}

TEST(Report, HostileTextStaysText) {
  const std::string html = without(make_report(RunFixture().path()).html, "script");
  for (const char* part : {"<script", "<i>", "<b>tidy"}) EXPECT_FALSE(has(html, part)) << part;
  EXPECT_TRUE(has(html, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;\tand more"));
  EXPECT_TRUE(has(html, "name = &quot;&lt;b&gt;tidy&lt;/b&gt;&quot;"));
  EXPECT_TRUE(has(html, "A &amp; B"));
}

TEST(Report, LongTextsAreCutBetweenCharacters) {
  const RunFixture fixture;
  std::string text;
  for (int i = 0; i < 700; ++i) text += "é";
  fixture.write("eval/dev/mood.errors.tsv", "id\ttext\tgold\tpred\tscore\n1\t" + text + "\ta\tb\t0.9\n");
  EXPECT_TRUE(has(make_report(fixture.path()).html, text.substr(0, 1200) + "…</p>"));
}

TEST(Report, OfARunThatHasOnlyBegun) {
  const RunFixture fixture;
  for (const char* name : {"metrics.jsonl", "data.json", "env.json", "eval"}) fixture.remove(name);
  const std::string html = make_report(fixture.path()).html;
  expect_balanced(html);
  EXPECT_TRUE(has(html, "No evaluation yet."));
  EXPECT_TRUE(has(html, "0 steps"));
}

TEST(Report, OfARunThatStoppedOnTheWay) {
  const RunFixture fixture;
  fixture.remove("eval");
  fixture.write("status.json", R"({"format": 1, "state": "failed", "error": "loss <nan> at step 4"})");
  const std::string html = make_report(fixture.path()).html;
  expect_balanced(html);
  EXPECT_TRUE(has(html, "after epoch 1 of stage 0"));
  EXPECT_TRUE(has(html, "<span class=\"state failed\">failed</span>"));
  EXPECT_TRUE(has(html, "loss &lt;nan&gt; at step 4"));
}

}  // namespace
}  // namespace minbert
