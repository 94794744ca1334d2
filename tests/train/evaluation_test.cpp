// Evaluation files against tables and numbers worked out by hand.
#include "minbert/train/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "minbert/base/files.h"
#include "minbert/data/answers.h"
#include "minbert/data/fields.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

Row row(std::string id, std::string text, double label, std::string text_pair = {}) {
  return {.id = std::move(id), .text = std::move(text), .text_pair = std::move(text_pair), .label = label};
}

Prediction predicted(double value, std::vector<double> probs) { return {value, std::move(probs)}; }

TaskSpec task(std::string name, TaskType type, TaskLabels labels) {
  TaskSpec spec;
  spec.name = std::move(name);
  spec.type = type;
  spec.labels = std::move(labels);
  return spec;
}

/// Three tasks: one of three named classes, one of numbers for pairs, and one of two numbered classes whose rows have no labels.
class EvaluationTest : public testing::Test {
 protected:
  EvaluationTest() {
    mood_rows.rows = {row("a", "one\ttwo", 0), row("b", "C:\\new", 2), row("c", "line\r\nline", 1), row("d", "last", 2),
                      row("e", "far off", 2)};
    mood_rows.files = {"data/mood.csv"};
    for (std::size_t i = 0; i < mood_rows.rows.size(); ++i) mood_rows.rows[i].line = static_cast<std::int64_t>(i) + 2;
    mood = {&mood_task,
            &mood_rows,
            {predicted(0, {0.75, 0.125, 0.125}), predicted(0, {0.5, 0.25, 0.25}), predicted(1, {0.25, 0.5, 0.25}),
             predicted(1, {0, 0.75, 0.25}), predicted(2, {0, 0, 1})}};
    near_rows.rows = {row("p", "x", 1, "y"), row("q", "x", 2.5, "z"), row("r", "u", 4, "v")};
    near = {&near_task, &near_rows, {predicted(1.5, {}), predicted(0.5, {}), predicted(4, {})}};
    open_rows.rows = {row("0", "whose?", kNone)};
    open = {&open_task, &open_rows, {predicted(1, {0.25, 0.75})}};
  }

  Json json(int bootstrap = 0) const { return evaluation_json("dev", std::vector{mood, near, open}, bootstrap, 7); }
  std::string written(std::string_view file) const {
    if (!std::filesystem::exists(folder / "eval")) write_evaluation(folder / "eval/dev", "dev", std::vector{mood, near, open}, 20, 7);
    return read_file(folder / "eval/dev" / file);
  }

  TaskSpec mood_task = task("mood", TaskType::kClassify, TaskLabels::named({"low", "mid, or so", "high"}));
  TaskSpec near_task = task("near", TaskType::kPairRegress, TaskLabels::range());
  TaskSpec open_task = task("open", TaskType::kClassify, TaskLabels::classes(2));
  Rows mood_rows, near_rows, open_rows;
  TaskEvaluation mood, near, open;
  TempFolder folder;
};

TEST_F(EvaluationTest, PredictionsKeepTheOrderAndTheText) {
  EXPECT_EQ(written("mood.predictions.tsv"),
            "id\ttext\tgold\tpred\tscore\tp_0\tp_1\tp_2\n"
            "a\tone\\ttwo\tlow\tlow\t0.750000\t0.750000\t0.125000\t0.125000\n"
            "b\tC:\\\\new\thigh\tlow\t0.500000\t0.500000\t0.250000\t0.250000\n"
            "c\tline\\r\\nline\tmid, or so\tmid, or so\t0.500000\t0.250000\t0.500000\t0.250000\n"
            "d\tlast\thigh\tmid, or so\t0.750000\t0.000000\t0.750000\t0.250000\n"
            "e\tfar off\thigh\thigh\t1.000000\t0.000000\t0.000000\t1.000000\n");
  EXPECT_EQ(parse_tsv_field("C:\\\\new"), "C:\\new");
  EXPECT_EQ(written("near.predictions.tsv"),
            "id\ttext\ttext_pair\tgold\tpred\tscore\np\tx\ty\t1\t1.5\t\nq\tx\tz\t2.5\t0.5\t\nr\tu\tv\t4\t4\t\n");
}

TEST_F(EvaluationTest, WorstErrorsComeFirst) {
  EXPECT_EQ(written("mood.errors.tsv"),
            "id\ttext\tgold\tpred\tscore\tp_0\tp_1\tp_2\tplace\n"
            "d\tlast\thigh\tmid, or so\t0.750000\t0.000000\t0.750000\t0.250000\tmood.csv:5\n"
            "b\tC:\\\\new\thigh\tlow\t0.500000\t0.500000\t0.250000\t0.250000\tmood.csv:3\n");
  EXPECT_EQ(written("near.errors.tsv"), "id\ttext\ttext_pair\tgold\tpred\tscore\tplace\nq\tx\tz\t2.5\t0.5\t\t:0\np\tx\ty\t1\t1.5\t\t:0\n");
}

TEST_F(EvaluationTest, ConfusionHasGoldInRows) {
  EXPECT_EQ(written("mood.confusion.csv"), "gold,low,\"mid, or so\",high\nlow,1,0,0\n\"mid, or so\",0,1,0\nhigh,1,1,1\n");
  EXPECT_FALSE(std::filesystem::exists(folder / "eval/dev/near.confusion.csv"));
}

TEST_F(EvaluationTest, WithoutLabelsThereArePredictionsAlone) {
  EXPECT_EQ(written("open.predictions.tsv"), "id\ttext\tgold\tpred\tscore\tp_0\tp_1\n0\twhose?\t\t1\t0.750000\t0.250000\t0.750000\n");
  EXPECT_FALSE(std::filesystem::exists(folder / "eval/dev/open.errors.tsv"));
  EXPECT_FALSE(std::filesystem::exists(folder / "eval/dev/open.confusion.csv"));
  EXPECT_FALSE(json()["scores"].contains("open"));
  EXPECT_FALSE(json()["tasks"].contains("open"));
  EXPECT_TRUE(evaluation_json("test", std::vector{open}, 0, 7)["mean"].is_null());
}

TEST_F(EvaluationTest, WordsOfTrainAreCounted) {
  Rows train;
  train.rows = {row("a", "A boat, a Boat!", 1, "The boat's sail"), row("b", "sail on", 0)};
  write_word_counts(folder / "eval/words/near.tsv", train);
  EXPECT_EQ(read_file(folder / "eval/words/near.tsv"), "word\tcount\nboat\t3\na\t2\nsail\t2\n's\t1\non\t1\nthe\t1\n");
}

TEST_F(EvaluationTest, ScoresAndTheirMean) {
  const Json all = json();
  EXPECT_EQ(all["split"], "dev");
  const double correlation = all["scores"]["near"];
  EXPECT_NEAR(correlation, 3.75 / std::sqrt(4.5 * 6.5), 1e-12);  // correlation of (1, 2.5, 4) with (1.5, 0.5, 4)
  EXPECT_EQ(all["scores"]["mood"], 0.6);
  EXPECT_DOUBLE_EQ(all["mean"], (0.6 + correlation) / 2);
  EXPECT_NEAR(all["loss"]["mood"].get<double>(), -std::log(0.75 * 0.25 * 0.5 * 0.25 * 1) / 5, 1e-12);
  EXPECT_NEAR(all["loss"]["near"].get<double>(), (0.25 + 4) / 3, 1e-12);
  EXPECT_EQ(all["tasks"]["near"]["metric"], "pearson");
  EXPECT_EQ(all["tasks"]["near"]["rows"], 3);
  EXPECT_EQ(all["tasks"]["near"]["pearson"], correlation);
  EXPECT_NEAR(all["tasks"]["near"]["spearman"].get<double>(), 0.5, 1e-12);
  EXPECT_FALSE(all["tasks"]["near"].contains("accuracy"));
  EXPECT_FALSE(all["tasks"]["mood"].contains("f1"));  // f1 is that of class 1 of two
}

TEST_F(EvaluationTest, TwoClassesHaveAnF1) {
  Rows rows;
  rows.rows = {row("0", "one", 1), row("1", "two", 1), row("2", "three", 0)};
  const TaskEvaluation labelled = {&open_task, &rows, {predicted(1, {0.25, 0.75}), predicted(0, {0.75, 0.25}), predicted(0, {0.75, 0.25})}};
  const Json figures = evaluation_json("dev", std::span(&labelled, 1), 0, 7)["tasks"]["open"];
  EXPECT_NEAR(figures["f1"].get<double>(), 2.0 / 3, 1e-12);  // of class 1: precision 1, recall 1/2
}

TEST_F(EvaluationTest, ClassesHaveTheirNames) {
  const Json mood_json = json()["tasks"]["mood"];
  EXPECT_EQ(mood_json["accuracy"], 0.6);
  const Json& high = mood_json["classes"]["high"];
  EXPECT_EQ(high["precision"], 1.0);
  EXPECT_DOUBLE_EQ(high["recall"], 1.0 / 3);
  EXPECT_DOUBLE_EQ(high["f1"], 0.5);
  EXPECT_EQ(high["gold"], 3);
  EXPECT_EQ(high["predicted"], 1);
  EXPECT_EQ(mood_json["classes"]["mid, or so"]["predicted"], 2);
}

TEST_F(EvaluationTest, CalibrationComparesProbabilityWithSuccess) {
  const Json calibration = json()["tasks"]["mood"]["calibration"];
  // Bins of confidence .5 (one of two is right), .75 (one of two) and 1 (right).
  EXPECT_NEAR(calibration["expected_calibration_error"].get<double>(), (2 * 0 + 2 * 0.25 + 0) / 5, 1e-12);
  const double brier = (0.0625 + 2 * 0.015625) + (0.25 + 0.0625 + 0.5625) + (0.0625 + 0.25 + 0.0625) + (0.5625 + 0.5625) + 0;
  EXPECT_NEAR(calibration["brier_score"].get<double>(), brier / 5, 1e-12);
  std::int64_t rows = 0;
  for (const Json& bin : calibration["bins"]) rows += bin["rows"].get<std::int64_t>();
  EXPECT_EQ(rows, 5);
}

TEST_F(EvaluationTest, ATemperatureSaysWhatItChanged) {
  mood_task.temperature = 0.5;
  const Json calibration = json()["tasks"]["mood"]["calibration"];
  EXPECT_EQ(calibration["temperature"], 0.5);
  // Without it, probabilities are the roots of those above, by their sums; each of four bins has the rows of one confidence.
  const double a = std::sqrt(0.75) / (std::sqrt(0.75) + 2 * std::sqrt(0.125)), bc = std::sqrt(0.5) / (std::sqrt(0.5) + 1),
               d = std::sqrt(0.75) / (std::sqrt(0.75) + 0.5);
  const double error = ((1 - a) + 2 * std::abs(0.5 - bc) + d) / 5;
  EXPECT_NEAR(calibration["uncalibrated_error"].get<double>(), error, 1e-12);
}

TEST_F(EvaluationTest, SetsAreListsAndScoredByLabel) {
  TaskSpec topics_task = task("topics", TaskType::kMultiLabel, TaskLabels::named({"a", "b;c", "d"}));
  topics_task.labels.sets = true;
  topics_task.thresholds = {0.5, 0.25, 0.5};
  Rows rows;
  rows.rows = {row("0", "one", 3), row("1", "two", 0), row("2", "three", 4)};
  const auto predict = [](double value, std::vector<double> probs) { return Prediction{value, std::move(probs), true}; };
  const TaskEvaluation topics = {
      &topics_task, &rows, {predict(3, {0.75, 0.25, 0}), predict(1, {0.5, 0, 0}), predict(3, {0.5, 0.5, 0.125})}};
  const Json metrics = write_evaluation(folder / "eval/dev", "dev", std::span(&topics, 1), 20, 7);
  EXPECT_EQ(read_file(folder / "eval/dev/topics.predictions.tsv"),
            "id\ttext\tgold\tpred\tscore\tp_0\tp_1\tp_2\n"
            "0\tone\t[\"a\",\"b;c\"]\t[\"a\",\"b;c\"]\t0.750000\t0.750000\t0.250000\t0.000000\n"
            "1\ttwo\t[]\t[\"a\"]\t0.500000\t0.500000\t0.000000\t0.000000\n"
            "2\tthree\t[\"d\"]\t[\"a\",\"b;c\"]\t0.500000\t0.500000\t0.500000\t0.125000\n");
  const std::string errors = read_file(folder / "eval/dev/topics.errors.tsv");
  EXPECT_LT(errors.find("\n2\t"), errors.find("\n1\t"));  // three wrong labels before one
  EXPECT_FALSE(std::filesystem::exists(folder / "eval/dev/topics.confusion.csv"));
  const Json figures = metrics["tasks"]["topics"];
  EXPECT_EQ(figures["type"], "multi_label");
  EXPECT_EQ(figures["metric"], "micro_f1");
  EXPECT_EQ(figures["micro_f1"], 4.0 / 8);
  EXPECT_NEAR(figures["macro_f1"].get<double>(), (2.0 / 4 + 2.0 / 3 + 0) / 3, 1e-12);
  EXPECT_NEAR(figures["subset_accuracy"].get<double>(), 1.0 / 3, 1e-12);
  EXPECT_EQ(figures["classes"]["d"]["gold"], 1);
  EXPECT_EQ(figures["thresholds"], Json({0.5, 0.25, 0.5}));
  EXPECT_TRUE(figures.contains("interval"));
  EXPECT_FALSE(figures.contains("calibration"));
}

TEST_F(EvaluationTest, IntervalsOnRequestAndTheSameEachTime) {
  EXPECT_FALSE(json(0)["tasks"]["mood"].contains("interval"));
  const Json interval = json(200)["tasks"]["mood"]["interval"];
  EXPECT_EQ(interval["resamples"], 200);
  EXPECT_EQ(interval["confidence"], 0.95);
  EXPECT_LT(interval["low"].get<double>(), 0.6);
  EXPECT_GT(interval["high"].get<double>(), 0.6);
  EXPECT_EQ(json(200), json(200));
  EXPECT_NE(evaluation_json("dev", std::vector{near}, 3, 7), evaluation_json("dev", std::vector{near}, 3, 8));
}

TEST_F(EvaluationTest, TheFileHoldsTheSameNumbers) {
  EXPECT_EQ(parse_json(written("metrics.json"), "metrics.json", ErrorTag::kData), json(20));
}

}  // namespace
}  // namespace minbert
