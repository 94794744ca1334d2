// Several models answer as one.
#include "minbert/pipeline/ensemble.h"

#include <cmath>

#include "minbert/pipeline/explain.h"
#include "tests/base/error_matchers.h"
#include "tests/pipeline/tiny_folder.h"

namespace minbert {
namespace {

class EnsembleTest : public testing::Test {
 protected:
  /// A model of these tasks, with weights that `seed` draws.
  TextModel model(const std::vector<TaskSpec>& tasks, std::uint64_t seed, const Compute& compute = {}) {
    const std::filesystem::path path = folder_ / std::to_string(++made_);
    save_tiny_folder(path, tasks, seed);
    return TextModel(*backend_, read_model_folder(path), compute);
  }
  Ensemble ensemble(std::initializer_list<std::pair<std::vector<TaskSpec>, std::uint64_t>> members) {
    std::vector<TextModel> models;
    for (const auto& [tasks, seed] : members) models.push_back(model(tasks, seed));
    return Ensemble(std::move(models));
  }
  template <class Model>
  std::vector<Prediction> answers(Model&& model, std::string_view task) {
    return model.predict_texts(model.find_task(task), inputs_);
  }

  TempFolder folder_;
  std::unique_ptr<Backend> backend_ = make_backend("cpu");
  std::vector<InputRow> inputs_ = {{"a b c", "d", ""}, {"e f a", "b", ""}, {"f", "f c", ""}};
  int made_ = 0;
};

TEST_F(EnsembleTest, AnswersAreTheMeansOfTheModels) {
  const auto tasks = tasks_of_every_kind();
  TextModel first = model(tasks, 1), second = model(tasks, 2);
  Ensemble joined = ensemble({{tasks, 1}, {tasks, 2}});
  for (const TaskSpec& task : tasks) {
    const auto a = answers(first, task.name), b = answers(second, task.name), both = answers(joined, task.name);
    ASSERT_EQ(both.size(), inputs_.size());
    for (std::size_t row = 0; row < both.size(); ++row) {
      if (task.is_regression()) {
        EXPECT_NEAR(both[row].value, (a[row].value + b[row].value) / 2, 1e-12) << task.name;
        continue;
      }
      std::size_t likeliest = 0;
      for (std::size_t k = 0; k < both[row].probs.size(); ++k) {
        EXPECT_NEAR(both[row].probs[k], (a[row].probs[k] + b[row].probs[k]) / 2, 1e-12) << task.name;
        if (both[row].probs[k] > both[row].probs[likeliest]) likeliest = k;
      }
      EXPECT_EQ(both[row].value, static_cast<double>(likeliest)) << task.name;
    }
  }
}

TEST_F(EnsembleTest, WhatDevFittedIsJoined) {
  TaskSpec topics = make_task("topics", TaskType::kMultiLabel, TaskLabels::named({"x", "y"}));
  topics.labels.sets = true;
  TaskSpec fitted = topics;
  fitted.thresholds = {0.1, 0.9};
  fitted.temperature = 2;
  for (const auto& [first, second] : {std::pair(topics, fitted), {fitted, topics}}) {  // a model without thresholds takes .5
    const Ensemble both = ensemble({{{first}, 1}, {{second}, 2}});
    ASSERT_EQ(both.tasks()[0].thresholds.size(), 2u);
    EXPECT_NEAR(both.tasks()[0].thresholds[0], 0.3, 1e-12);
    EXPECT_NEAR(both.tasks()[0].thresholds[1], 0.7, 1e-12);
    EXPECT_EQ(both.tasks()[0].temperature, 1);  // each member has divided by its own
  }
  const Ensemble alone = ensemble({{{fitted}, 1}});
  EXPECT_EQ(alone.tasks()[0].thresholds, fitted.thresholds);
  EXPECT_EQ(alone.tasks()[0].temperature, 2);
}

TEST_F(EnsembleTest, AModelAnswersTheTasksThatItHas) {
  const auto tasks = three_tasks();
  Ensemble staged = ensemble({{{tasks[2]}, 1}, {{tasks[0], tasks[1]}, 2}, {{tasks[0]}, 3}});
  ASSERT_EQ(staged.tasks().size(), 3u);
  EXPECT_EQ(staged.tasks()[0].name, tasks[2].name);
  EXPECT_EQ(staged.find_task(tasks[0].name), 1u);
  expect_error(ErrorTag::kUsage, {"neer", "near"}, [&] { staged.find_task("neer"); });
  const auto alone = answers(model({tasks[2]}, 1), "near"), routed = answers(std::move(staged), "near");
  for (std::size_t row = 0; row < alone.size(); ++row) EXPECT_EQ(routed[row].value, alone[row].value);
}

/// A symmetric task is an ensemble of one model's answers to both orders.
TEST_F(EnsembleTest, ASymmetricTaskAnswersBothOrdersTheSame) {
  TaskSpec same = make_task("same", TaskType::kPairClassify, TaskLabels::classes(2)), near = three_tasks()[2];
  same.encode = PairEncoding::kJoint;
  const auto ask = [&](bool symmetric, bool swapped, const char* task) {
    same.symmetric = near.symmetric = symmetric;
    std::vector<InputRow> inputs = inputs_;
    if (swapped)
      for (InputRow& input : inputs) std::swap(input.text, input.text_pair);
    TextModel asked = model({same, near}, 1);
    return asked.predict_texts(asked.find_task(task), inputs);
  };
  for (const char* task : {"same", "near"}) {
    const auto one = ask(false, false, task), other = ask(false, true, task), both = ask(true, false, task), turned = ask(true, true, task);
    for (std::size_t row = 0; row < one.size(); ++row) {
      const auto number = [&](const std::vector<Prediction>& of) { return of[row].probs.empty() ? of[row].value : of[row].probs[1]; };
      EXPECT_GT(std::abs(number(one) - number(other)), 1e-4) << task << ": both orders are the same already";
      EXPECT_NEAR(number(both), (number(one) + number(other)) / 2, 1e-6) << task;
      EXPECT_NEAR(number(both), number(turned), 1e-6) << task;
    }
    TextModel asked = model({same, near}, 1, {.use = WeightUse::kTrain});
    const auto explained = asked.predict_texts(asked.find_task(task), inputs_, {}, TextModel::Why::kExplain);
    for (std::size_t row = 0; row < both.size(); ++row) {
      EXPECT_NEAR(explained[row].value, both[row].value, 1e-6) << "an explanation changes no answer";
      ASSERT_NE(explained[row].explanation, nullptr);
      if (!both[row].probs.empty()) {
        EXPECT_EQ(explained[row].explanation->label, fmt::format("{}", both[row].value));
      }
    }
  }
}

TEST_F(EnsembleTest, TasksThatDifferAreRefused) {
  const auto tasks = three_tasks();
  const auto refuses = [&](std::size_t which, const char* key, auto change) {
    std::vector<TaskSpec> other = {tasks[which]};
    change(other[0]);
    expect_error(ErrorTag::kUsage, {tasks[which].name, key}, [&] { ensemble({{tasks, 1}, {other, 2}}); });
  };
  refuses(0, "labels", [](TaskSpec& task) { task.labels = TaskLabels::named({"x", "y", "z"}); });
  refuses(2, "label_range", [](TaskSpec& task) { task.data.label_range = {0, 1}; });
  refuses(0, "preprocess", [](TaskSpec& task) { task.data.preprocess = "cs224n"; });
  refuses(1, "type", [](TaskSpec& task) { task.type = TaskType::kClassify; });
}

TEST_F(EnsembleTest, ProgressEndsAtTheNumberOfRows) {
  const auto tasks = three_tasks();
  Ensemble models = ensemble({{tasks, 1}, {tasks, 2}, {tasks, 3}});
  std::vector<std::int64_t> seen;
  models.predict_texts(0, inputs_, [&](std::int64_t done) { seen.push_back(done); });
  ASSERT_FALSE(seen.empty());
  EXPECT_TRUE(std::ranges::is_sorted(seen));
  EXPECT_EQ(seen.back(), std::ssize(inputs_));
}

}  // namespace
}  // namespace minbert
