// Attributions obey the axioms of integrated gradients.
#include "minbert/pipeline/explain.h"

#include <cmath>
#include <stdexcept>

#include "tests/pipeline/tiny_folder.h"

namespace minbert {
namespace {

class ExplainTest : public testing::Test {
 protected:
  explicit ExplainTest(std::vector<TaskSpec> tasks = every_kind())
      : tasks_(std::move(tasks)), params_(tiny_params(*backend_, model_shape(tiny_shape().config, tasks_))), model_(*backend_, params_) {}

  /// Tasks whose answers are a softmax, one sigmoid, a number, a sigmoid scaled to a range, a cosine, or sets.
  static std::vector<TaskSpec> every_kind() {
    std::vector<TaskSpec> tasks = tasks_of_every_kind();
    TaskSpec scaled = make_task("scaled", TaskType::kRegress, TaskLabels::range());
    scaled.loss = LossName::kBce;
    TaskSpec angle = make_task("angle", TaskType::kPairRegress, TaskLabels::range());
    angle.head.kind = HeadKind::kCosine;
    TaskSpec topics = make_task("topics", TaskType::kMultiLabel, TaskLabels::named({"x", "y", "z"}));
    topics.labels.sets = true;
    TaskSpec calibrated = make_task("calibrated", TaskType::kClassify, TaskLabels::classes(4));
    calibrated.temperature = 2.5;
    tasks.insert(tasks.end(), {scaled, angle, topics, calibrated});
    return tasks;
  }

  Prediction predict(std::size_t task, const Row& row, int steps) {
    const std::vector<Row> rows = {make_row("f"), row};
    return explain_row(model_, task, tasks_[task], tokenizer_, tokenize_rows(tokenizer_, tasks_[task], rows, 8), 1, nullptr, steps);
  }
  Explanation explain(std::size_t task, const Row& row, int steps = 64) { return *predict(task, row, steps).explanation; }

  /// By how much the attributions miss the change from the baseline.
  static double left_over(const Explanation& explanation) {
    double sum = 0;
    for (const TokenAttribution& token : explanation.tokens) sum += token.attribution;
    return std::abs(explanation.value - explanation.baseline - sum);
  }

  std::unique_ptr<Backend> backend_ = make_backend("cpu");
  Tokenizer tokenizer_ = word_tokenizer();
  std::vector<TaskSpec> tasks_;
  Params params_;
  MultitaskModel model_;
};

/// Axiom of completeness.
TEST_F(ExplainTest, AttributionsAddUpToTheChangeFromTheBaseline) {
  for (std::size_t task = 0; task < tasks_.size(); ++task) {
    const Explanation few = explain(task, make_row("a b c", "d e"), 16), many = explain(task, make_row("a b c", "d e"), 512);
    EXPECT_GT(std::abs(many.value - many.baseline), 1e-3) << tasks_[task].name << ": nothing to explain";
    EXPECT_LT(left_over(many), 1e-3 * (1 + std::abs(many.value - many.baseline))) << tasks_[task].name;
    EXPECT_LE(left_over(many), left_over(few) + 1e-5) << tasks_[task].name;
  }
}

TEST_F(ExplainTest, TheValueIsThatOfThePrediction) {
  const auto log_odds = [](double p) { return std::log(p / (1 - p)); };
  for (std::size_t task = 0; task < tasks_.size(); ++task) {
    const Prediction explained = predict(task, make_row("a f c", "d"), 4);
    const std::vector<Row> rows = {make_row("a f c", "d")};
    BatchRunner runner(model_);
    const Prediction plain = predict_rows(runner, task, tasks_[task], tokenize_rows(tokenizer_, tasks_[task], rows, 8)).front();
    EXPECT_NEAR(explained.value, plain.value, 1e-5) << tasks_[task].name;
    EXPECT_NEAR(explained.explanation->value, tasks_[task].is_regression() ? plain.value : log_odds(plain.score()), 1e-4)
        << tasks_[task].name;
  }
}

TEST_F(ExplainTest, TheClassIsNamed) {
  EXPECT_EQ(explain(0, make_row("a")).label, tasks_[0].labels.class_name(static_cast<int>(predict(0, make_row("a"), 1).value)));
  EXPECT_EQ(explain(2, make_row("a", "b")).label, "");  // a number
}

TEST_F(ExplainTest, AVocabularyWithoutPadHasABaselineToo) {
  tokenizer_ = Tokenizer({"[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "d", "e", "f"});
  const Explanation explanation = explain(0, make_row("a b"), 256);
  EXPECT_LT(left_over(explanation), 1e-2 * (1 + std::abs(explanation.value - explanation.baseline)));
}

TEST_F(ExplainTest, WhatGoOnThrowsEndsTheWork) {
  const std::vector<Row> rows = {make_row("a b")};
  const TokenizedRows tokens = tokenize_rows(tokenizer_, tasks_[0], rows, 8);
  EXPECT_THROW(explain_row(model_, 0, tasks_[0], tokenizer_, tokens, 0, nullptr, 8, [] { throw std::runtime_error("enough"); }),
               std::runtime_error);
}

/// Axiom of dummies: what is the same in input and baseline adds nothing.
TEST_F(ExplainTest, MarksAddNothingAndEachTokenIsNamed) {
  const Explanation separate = explain(1, make_row("a b", "c"));
  std::vector<std::string> tokens;
  for (const TokenAttribution& token : separate.tokens) {
    tokens.push_back(token.token);
    if (token.token.starts_with('[')) {
      EXPECT_EQ(token.attribution, 0);
    }
  }
  EXPECT_EQ(tokens, (std::vector<std::string>{"[CLS]", "a", "b", "[SEP]", "[CLS]", "c", "[SEP]"}));
  EXPECT_EQ(separate.tokens[3].sequence, 0);
  EXPECT_EQ(separate.tokens[4].sequence, 1);
  const Explanation joint = explain(2, make_row("a b", "c"));
  ASSERT_EQ(joint.tokens.size(), 6u);
  EXPECT_EQ(joint.tokens[3].sequence, 0);
  EXPECT_EQ(joint.tokens[4].sequence, 1);
}

TEST_F(ExplainTest, ParametersStayAsTheyAre) {
  const auto before = values(params_, "embeddings.word_embeddings.weight");
  explain(0, make_row("a b"));
  EXPECT_EQ(values(params_, "embeddings.word_embeddings.weight"), before);
}

}  // namespace
}  // namespace minbert
