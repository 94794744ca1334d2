// Decodes logits; runs rows in any batching and on any thread; compares cached features with the whole model.
#include "minbert/pipeline/predict.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <thread>

#include "minbert/base/parallel.h"
#include "tests/pipeline/text_fixture.h"

namespace minbert {
namespace {

TEST(Predict, DecodesLogits) {
  const auto tasks = three_tasks();
  const std::vector<float> three = {0, std::log(2.0f), 0, 5, 5, 1};
  const auto classes = decode(tasks[0], three, 2);
  EXPECT_EQ(classes[0].value, 1);
  EXPECT_NEAR(classes[0].score(), 0.5, 1e-7);
  EXPECT_EQ(classes[1].value, 0);  // a tie goes to the lower class

  const std::vector<float> one = {std::log(3.0f), -1000, 0};
  const auto binary = decode(tasks[1], one, 3);
  EXPECT_EQ(binary[0].value, 1);
  EXPECT_NEAR(binary[0].probs[1], 0.75, 1e-7);
  EXPECT_EQ(binary[1].probs[0], 1);
  EXPECT_EQ(binary[2].value, 0);
  const auto sure = decode(tasks[1], std::vector<float>{40}, 1);
  EXPECT_NEAR(std::log(sure[0].probs[0]), -40, 1e-9) << "a small probability of the first class is not lost";

  EXPECT_EQ(decode(tasks[2], std::vector<float>{7.5f}, 1)[0].value, 7.5);  // not clamped
  EXPECT_TRUE(std::isnan(decode(tasks[2], std::vector<float>{7.5f}, 1)[0].score()));
  TaskSpec scaled = tasks[2];
  scaled.loss = LossName::kBce;
  scaled.data.label_range = {1, 5};
  EXPECT_NEAR(decode(scaled, std::vector<float>{0}, 1)[0].value, 3, 1e-12);
}

TEST(Predict, LossesAreTheTrainingLosses) {
  const auto tasks = three_tasks();
  const std::vector<double> labels = {1, 0, std::nan("")};
  const std::vector<float> logits = {0.5f, -1.5f, 9};
  const auto loss = [&](const TaskSpec& task) { return mean_loss(task, decode(task, logits, 3), labels); };
  const auto bce = [](double x, double y) { return std::log1p(std::exp(x)) - x * y; };
  EXPECT_NEAR(loss(tasks[1]), (bce(0.5, 1) + bce(-1.5, 0)) / 2, 1e-12);
  EXPECT_NEAR(loss(tasks[2]), (0.25 + 2.25) / 2, 1e-12);
  TaskSpec scaled = tasks[2];
  scaled.loss = LossName::kBce;
  scaled.data.label_range = {0, 4};
  EXPECT_NEAR(loss(scaled), (bce(0.5, 0.25) + bce(-1.5, 0)) / 2, 1e-12);
  scaled.data.label_range = {1, 5};  // 2 lies at a quarter, the label 3 in the middle
  EXPECT_NEAR(mean_loss(scaled, std::vector<Prediction>{{2, {}}}, std::vector<double>{3}), -(std::log(0.25) + std::log(0.75)) / 2, 1e-12);
  EXPECT_EQ(score_predictions(tasks[1], decode(tasks[1], logits, 3), labels).value, 1);
}

TEST(Predict, JoinsWindows) {
  TaskSpec task = three_tasks()[0];
  const RowWindows windows{.rows = {}, .of = {1, 1, 2}};
  const std::vector<Prediction> more = {{1, {0.2, 0.7, 0.1}}, {1, {0.1, 0.5, 0.4}}, {2, {0.1, 0.1, 0.8}}};
  const auto joined = [&](Windows how) {
    task.windows = how;
    std::vector<Prediction> first = {{0, {0.6, 0.3, 0.1}}, {0, {0.6, 0.3, 0.1}}, {0, {0.5, 0.4, 0.1}}};
    join_windows(task, first, windows, more);
    return first;
  };
  const auto mean = joined(Windows::kMean), max = joined(Windows::kMax);
  EXPECT_EQ(mean[0].probs, (std::vector<double>{0.6, 0.3, 0.1}));
  EXPECT_EQ(mean[1].value, 1);
  EXPECT_NEAR(mean[1].probs[1], 0.5, 1e-12);
  EXPECT_NEAR(mean[2].score(), 0.45, 1e-12);
  EXPECT_NEAR(max[1].probs[1], 0.7 / 1.7, 1e-12);
  EXPECT_EQ(max[2].value, 2);
  const auto number = [&](Windows how) {
    TaskSpec numbers = make_task("stars", TaskType::kRegress, TaskLabels::range());
    numbers.windows = how;
    std::vector<Prediction> first = {{1, {}}, {2, {}}, {3, {}}};
    join_windows(numbers, first, windows, std::vector<Prediction>{{4, {}}, {6, {}}, {1, {}}});
    return std::vector<double>{first[0].value, first[1].value, first[2].value};
  };
  EXPECT_EQ(number(Windows::kMean), (std::vector<double>{1, 4, 2}));
  EXPECT_EQ(number(Windows::kMax), (std::vector<double>{1, 6, 3}));
}

void expect_probs(const Prediction& prediction, const std::vector<double>& expected) {
  ASSERT_EQ(prediction.probs.size(), expected.size());
  for (std::size_t k = 0; k < expected.size(); ++k) EXPECT_NEAR(prediction.probs[k], expected[k], 1e-12) << k;
}

TEST(Predict, WindowsOfSetsAreJoinedLabelByLabel) {
  TaskSpec task = make_task("topics", TaskType::kMultiLabel, TaskLabels::named({"a", "b", "c"}));
  task.labels.sets = true;
  const auto joined = [&](Windows how) {
    task.windows = how;
    std::vector<Prediction> first = {{0, {0.9, 0.8, 0.1}}};
    join_windows(task, first, {.rows = {}, .of = {0}}, std::vector<Prediction>{{0, {0.7, 0.6, 0.3}}});
    return first.front();
  };
  expect_probs(joined(Windows::kMean), {0.8, 0.7, 0.2});
  EXPECT_EQ(joined(Windows::kMean).value, 3) << "a and b";
  expect_probs(joined(Windows::kMax), {0.9, 0.8, 0.3});
}

TEST(Predict, ATemperatureIsForJoinedWindows) {
  TaskSpec task = three_tasks()[0];
  task.windows = Windows::kMean;
  task.temperature = 2;
  const auto square_roots = [](std::vector<double> probs) {
    double sum = 0;
    for (double& p : probs) sum += p = std::sqrt(p);
    for (double& p : probs) p /= sum;
    return probs;
  };
  std::vector<Prediction> first = {{0, square_roots({0.6, 0.3, 0.1})}};
  join_windows(task, first, {.rows = {}, .of = {0}}, std::vector<Prediction>{{1, square_roots({0.2, 0.7, 0.1})}});
  expect_probs(first.front(), square_roots({0.4, 0.5, 0.1}));
  EXPECT_EQ(first.front().value, 1);
}

TEST(Predict, SetsHoldTheLabelsAboveTheirThresholds) {
  TaskSpec task = make_task("topics", TaskType::kMultiLabel, TaskLabels::named({"a", "b", "c"}));
  task.labels.sets = true;
  const std::vector<float> logits = {1, -1, 0.5f, -2, -0.5f, -3};
  auto predictions = decode(task, logits, 2);
  EXPECT_EQ(predictions[0].value, 5);
  EXPECT_EQ(predictions[1].value, 0);
  EXPECT_NEAR(predictions[0].score(), 1 / (1 + std::exp(-1)), 1e-7);
  const std::vector<double> labels = {1, 2};
  EXPECT_EQ(score_predictions(task, predictions, labels).value, 0.5);  // one hit, two predicted, two gold
  const auto softplus = [](double x) { return std::log1p(std::exp(x)); };
  const double first = softplus(-1) + softplus(-1) + softplus(0.5), second = softplus(-2) + softplus(0.5) + softplus(-3);
  EXPECT_NEAR(mean_loss(task, predictions, labels), (first + second) / 6, 1e-7);
  EXPECT_TRUE(fit_decoding(task, predictions, labels));
  EXPECT_EQ(score_predictions(task, predictions, labels).value, 0.8);  // "c" occurs nowhere in gold, so that its threshold stays .5
  EXPECT_EQ(decode(task, logits, 2)[1].value, predictions[1].value);
}

TEST(Predict, ATemperatureMakesProbabilitiesLikelier) {
  TaskSpec task = make_task("mood", TaskType::kClassify, TaskLabels::classes(2));
  task.loss = LossName::kCrossEntropy;
  task.calibrate = true;
  // Confidence .982 (a difference of 4), and 3 of 4 rows right: the best confidence is .75, a difference of log 3.
  const std::vector<float> logits = {0, 4, 0, 4, 0, 4, 0, 4};
  const std::vector<double> labels = {1, 1, 1, 0};
  auto predictions = decode(task, logits, 4);
  EXPECT_TRUE(fit_decoding(task, predictions, labels));
  EXPECT_NEAR(task.temperature, 4 / std::log(3.0), 1e-6);
  EXPECT_NEAR(predictions[0].score(), 0.75, 1e-7);
  EXPECT_NEAR(decode(task, logits, 4)[0].score(), 0.75, 1e-7);
  EXPECT_NEAR(tempered(task, predictions[0].probs, 1 / task.temperature)[1], 1 / (1 + std::exp(-4)), 1e-7);
  EXPECT_EQ(tempered(task, std::vector{0.4, 0.6}, 1e-4), (std::vector{0.0, 1.0})) << "0.6 to the power 10,000 is 0";
  TaskSpec one_logit = make_task("mood", TaskType::kClassify, TaskLabels::classes(2));
  one_logit.calibrate = true;
  auto binary = decode(one_logit, std::vector<float>{4, 4, 4, 4}, 4);
  EXPECT_TRUE(fit_decoding(one_logit, binary, labels));
  EXPECT_NEAR(one_logit.temperature, task.temperature, 1e-6);
  one_logit.calibrate = false;
  EXPECT_FALSE(fit_decoding(one_logit, binary, labels));
}

TEST(Predict, ATemperatureOfSetsIsForTheirLogOdds) {
  TaskSpec task = make_task("topics", TaskType::kMultiLabel, TaskLabels::named({"a", "b"}));
  task.labels.sets = true;
  task.calibrate = true;
  // Log-odds of log 9 throughout, and 3 of 4 decisions right: the best are log 3.
  std::vector<Prediction> predictions = {{0, {0.9, 0.9}}, {0, {0.1, 0.9}}};
  EXPECT_TRUE(fit_decoding(task, predictions, std::vector<double>{3, 0}));
  EXPECT_NEAR(task.temperature, 2, 1e-6);
  EXPECT_NEAR(predictions[0].probs[1], 0.75, 1e-6);
  EXPECT_NEAR(predictions[1].probs[0], 0.25, 1e-6);
}

class PredictRows : public testing::TestWithParam<const char*> {
 protected:
  std::vector<Row> rows(std::size_t count) {
    std::vector<Row> out;
    for (std::size_t i = 0; i < count; ++i) {
      const auto words = [&](std::size_t n) {
        std::string text;
        for (std::size_t k = 0; k < n; ++k) text += std::string(1, static_cast<char>('a' + (i + k) % 6)) + " ";
        return text;
      };
      out.push_back(make_row(words(i % 5), words((i + 2) % 4)));
    }
    return out;
  }
  std::unique_ptr<Backend> backend_ = make_backend(GetParam());
  std::vector<TaskSpec> tasks_ = three_tasks();
};

TEST_P(PredictRows, BatchingChangesNothingAndFeaturesAgree) {
  tasks_[0].pool = Pool::kMean;
  tasks_[1].pool = Pool::kPooler;
  Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  MultitaskModel model(*backend_, params);
  BatchRunner runner(model);
  const auto all = rows(700);  // several batches
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const TokenizedRows tokens = tokenize_rows(word_tokenizer(), tasks_[t], all, 9);
    const auto together = predict_rows(runner, t, tasks_[t], tokens);
    const auto from_features = predict_features(model, t, tasks_[t], encode_rows(runner, tasks_[t].pool, tokens), tokens.rows());
    ASSERT_EQ(together.size(), all.size());
    ASSERT_EQ(from_features.size(), all.size());
    for (std::size_t r = 0; r < all.size(); ++r) {
      EXPECT_NEAR(from_features[r].value, together[r].value, 1e-5) << r;
      ASSERT_EQ(from_features[r].probs.size(), together[r].probs.size());
      for (std::size_t k = 0; k < together[r].probs.size(); ++k) EXPECT_NEAR(from_features[r].probs[k], together[r].probs[k], 1e-5) << r;
    }
    for (const std::size_t r : {0ul, 1ul, 333ul, 699ul}) {
      const TokenizedRows alone = tokenize_rows(word_tokenizer(), tasks_[t], std::span(all).subspan(r, 1), 9);
      const auto prediction = predict_rows(runner, t, tasks_[t], alone).front();
      EXPECT_EQ(prediction.value, together[r].value) << tasks_[t].name << " row " << r;
      EXPECT_EQ(prediction.probs, together[r].probs) << tasks_[t].name << " row " << r;
    }
  }
}

TEST_P(PredictRows, LongTextsAreReadInWindows) {
  Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  MultitaskModel model(*backend_, params);
  BatchRunner runner(model);
  TaskSpec& task = tasks_[0];
  task.windows = Windows::kMean;
  const std::vector<Row> texts = {make_row("a b c d e f"), make_row("c d"), make_row("a b c d"), make_row("c d e f")};
  const auto whole = predict_rows(runner, 0, task, tokenize_rows(word_tokenizer(), task, std::span(texts).first(2), 6));
  const auto parts = predict_rows(runner, 0, task, tokenize_rows(word_tokenizer(), task, std::span(texts).subspan(1), 6));
  EXPECT_EQ(whole[1].probs, parts[0].probs);
  for (std::size_t k = 0; k < 3; ++k) EXPECT_NEAR(whole[0].probs[k], (parts[1].probs[k] + parts[2].probs[k]) / 2, 1e-6);
}

TEST_P(PredictRows, VectorsOfAPairFollowTheOrderOfItsTexts) {
  Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  MultitaskModel model(*backend_, params);
  BatchRunner runner(model);
  const auto pairs = rows(300);
  std::vector<Row> texts;  // first and second texts as rows of their own
  for (const Row& pair : pairs) {
    texts.push_back(make_row(pair.text));
    texts.push_back(make_row(pair.text_pair));
  }
  const auto vectors = encode_rows(runner, Pool::kCls, tokenize_rows(word_tokenizer(), tasks_[1], pairs, 9));
  EXPECT_EQ(vectors, encode_rows(runner, Pool::kCls, tokenize_rows(word_tokenizer(), tasks_[0], texts, 9)));
}

TEST_P(PredictRows, ProgressCountsRowsAndMayEndTheWork) {
  Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  MultitaskModel model(*backend_, params);
  BatchRunner runner(model);
  const TokenizedRows tokens = tokenize_rows(word_tokenizer(), tasks_[0], rows(700), 9);
  std::vector<std::int64_t> done;
  const auto record = [&](std::int64_t count) { done.push_back(count); };
  predict_rows(runner, 0, tasks_[0], tokens, record);
  EXPECT_GT(done.size(), 1u);
  EXPECT_TRUE(std::ranges::is_sorted(done));
  EXPECT_EQ(done.back(), 700);
  const auto predicted = std::exchange(done, {});
  encode_rows(runner, tasks_[0].pool, tokens, record);
  EXPECT_EQ(done.size(), predicted.size());
  EXPECT_EQ(done.back(), 700);
  int batches = 0;
  const auto refuse = [&](std::int64_t) {
    ++batches;
    throw std::runtime_error("enough");
  };
  EXPECT_THROW(predict_rows(runner, 0, tasks_[0], tokens, refuse), std::runtime_error);
  EXPECT_EQ(batches, 1);
}

TEST_P(PredictRows, SeveralBatchesAtOnceChangeNothing) {
  Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  MultitaskModel model(*backend_, params);
  const TokenizedRows tokens = tokenize_rows(word_tokenizer(), tasks_[1], rows(700), 9);
  const int threads = num_threads();
  std::vector<std::vector<float>> vectors;
  for (const int n : {1, 2, 5}) {
    set_num_threads(n);
    BatchRunner runner(model);
    vectors.push_back(encode_rows(runner, Pool::kMean, tokens));
  }
  set_num_threads(threads);
  EXPECT_EQ(vectors[1], vectors[0]);
  EXPECT_EQ(vectors[2], vectors[0]);
}

TEST_P(PredictRows, NoRows) {
  Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  MultitaskModel model(*backend_, params);
  BatchRunner runner(model);
  EXPECT_TRUE(predict_rows(runner, 0, tasks_[0], TokenizedRows{}).empty());
}

TEST_P(PredictRows, ARunnerServesAnyThreadAndGoesOnAfterAFailure) {
  Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  MultitaskModel model(*backend_, params);
  const int threads = num_threads();
  set_num_threads(2);
  BatchRunner runner(model);
  const TokenizedRows tokens = tokenize_rows(word_tokenizer(), tasks_[1], rows(700), 9);
  const auto expected = encode_rows(runner, Pool::kMean, tokens);
  EXPECT_THROW(encode_rows(runner, Pool::kMean, tokens, [](std::int64_t) { throw std::runtime_error("enough"); }), std::runtime_error);
  std::array<std::vector<float>, 2> found;
  {
    std::vector<std::jthread> schedulers;
    for (auto& vectors : found) schedulers.emplace_back([&] { vectors = encode_rows(runner, Pool::kMean, tokens); });
  }
  for (const auto& vectors : found) EXPECT_EQ(vectors, expected);
  set_num_threads(threads);
}

TEST_P(PredictRows, RowsOfSeveralRequestsMayBeJoined) {
  Params params = tiny_params(*backend_, model_shape(tiny_shape().config, tasks_));
  MultitaskModel model(*backend_, params);
  BatchRunner runner(model);
  const auto all = rows(12);
  const TokenizedRows first = tokenize_rows(word_tokenizer(), tasks_[1], std::span(all).first(5), 9);
  const TokenizedRows second = tokenize_rows(word_tokenizer(), tasks_[1], std::span(all).subspan(5), 9);
  TokenizedRows joined;
  joined.per_row = 2;
  for (std::int64_t r = 0; r < first.rows(); ++r) append_row(joined, first, r);
  for (std::int64_t r = 0; r < second.rows(); ++r) append_row(joined, second, r);
  auto expected = encode_rows(runner, Pool::kCls, first);
  const auto rest = encode_rows(runner, Pool::kCls, second);
  expected.insert(expected.end(), rest.begin(), rest.end());
  EXPECT_EQ(encode_rows(runner, Pool::kCls, joined), expected);
}

INSTANTIATE_TEST_SUITE_P(Backends, PredictRows, testing::Values("ref", "cpu"), [](const auto& param) { return std::string(param.param); });

}  // namespace
}  // namespace minbert
