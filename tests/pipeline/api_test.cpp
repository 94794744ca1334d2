// The interface for programs gives the answers of TextModel, from any number of threads, and refuses what does not fit.
#include "minbert/pipeline/api.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "minbert/base/parallel.h"
#include "minbert/pipeline/compute.h"
#include "minbert/pipeline/text_model.h"
#include "tests/base/error_matchers.h"
#include "tests/pipeline/tiny_folder.h"

namespace minbert {
namespace {

class ApiTest : public testing::Test {
 protected:
  ApiTest() { save_tiny_folder(folder_.path(), tasks_of_every_kind()); }

  api::Pipeline open(int threads = 2) const { return api::Pipeline(folder_.path(), {.dtype = api::DType::kF32, .threads = threads}); }

  /// Texts of many lengths, in no order.
  static std::vector<std::string> texts(std::size_t count) {
    std::vector<std::string> out(count);
    for (std::size_t i = 0; i < count; ++i)
      for (std::size_t k = 0; k < (i * 7 + 3) % 11; ++k) out[i] += std::string(1, static_cast<char>('a' + (i + 3 * k) % 6)) + " ";
    return out;
  }
  static std::vector<InputRow> rows(std::span<const std::string> texts) {
    std::vector<InputRow> out(texts.size());
    for (std::size_t i = 0; i < texts.size(); ++i) out[i] = {.text = texts[i], .text_pair = texts[texts.size() - 1 - i], .id = {}};
    return out;
  }

  /// What `minbert predict` computes.
  std::vector<Prediction> expected(std::string_view task, std::span<const InputRow> rows) const {
    const auto backend = open_backend(read_env());
    TextModel model(*backend, read_model_folder(folder_.path()), Compute{});
    return model.predict_texts(model.find_task(task), rows);
  }

  TempFolder folder_;
};

TEST_F(ApiTest, TasksSayWhatTheyReadAndAnswer) {
  const api::Pipeline model = open();
  ASSERT_EQ(model.tasks().size(), 5u);
  const api::TaskInfo& mood = model.tasks()[0];
  EXPECT_EQ(mood.name, "mood");
  EXPECT_EQ(mood.classes, (std::vector<std::string>{"bad", "so-so", "good"}));
  EXPECT_TRUE(mood.has_names && !mood.is_pair && !mood.is_regression);
  EXPECT_EQ(model.tasks()[1].classes, (std::vector<std::string>{"0", "1"}));
  EXPECT_TRUE(model.tasks()[2].is_pair && model.tasks()[2].is_regression && model.tasks()[2].classes.empty());
  EXPECT_EQ(model.max_length(), 8);
  EXPECT_EQ(model.dtype(), "f32");
}

TEST_F(ApiTest, PredictionsAreThoseOfTheProgram) {
  const api::Pipeline model = open();
  const auto some = texts(700);  // several chunks
  const auto inputs = rows(some);
  const auto wanted = expected("mood", inputs);
  std::vector<std::size_t> seen;
  const auto got = model.predict("mood", some, [&](std::size_t done) { seen.push_back(done); });
  ASSERT_EQ(got.size(), wanted.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_EQ(got[i].probs, wanted[i].probs) << i;
    EXPECT_EQ(got[i].value, wanted[i].value);
    EXPECT_EQ(got[i].score, wanted[i].score());
    EXPECT_EQ(got[i].label, model.tasks()[0].classes[static_cast<std::size_t>(got[i].value)]);
  }
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.back(), 700u);
  const auto probs = model.predict_proba("mood", some);
  ASSERT_EQ(probs.size(), 2100u);
  EXPECT_EQ(probs[2099], wanted[699].probs[2]);
}

TEST_F(ApiTest, PairsGoToPairTasksAlone) {
  const api::Pipeline model = open();
  const auto some = texts(20);
  const auto wanted_rows = rows(some);
  std::vector<api::Input> pairs;
  for (const InputRow& row : wanted_rows) pairs.push_back({.text = row.text, .text_pair = row.text_pair});
  const auto wanted = expected("near", wanted_rows);
  const auto got = model.predict("near", pairs);
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i].value, wanted[i].value);
  EXPECT_TRUE(std::isnan(got[0].score));
  EXPECT_TRUE(got[0].probs.empty());
  expect_error(ErrorTag::kUsage, {"input 0: expected one text, which task \"mood\" reads"}, [&] { model.predict("mood", pairs); });
  expect_error(ErrorTag::kUsage, {"input 0: expected a pair of texts"}, [&] { model.predict("near", some); });
  expect_error(ErrorTag::kUsage, {"unknown task \"nearly\""}, [&] { model.predict("nearly", some); });
  expect_error(ErrorTag::kUsage, {"expected the name of a task"}, [&] { model.predict("", some); });
  expect_error(ErrorTag::kUsage, {"\"stars\" gives numbers"}, [&] { model.predict_proba("stars", some); });
}

TEST_F(ApiTest, WindowsAndOtherOrdersAreReadAsTheProgramReadsThem) {
  auto tasks = tasks_of_every_kind();
  tasks[0].windows = Windows::kMean;
  tasks[2].symmetric = true;
  tasks[3].windows = Windows::kMax;
  save_tiny_folder(folder_.path(), tasks);
  const api::Pipeline model = open();
  const auto some = texts(300);
  const auto wanted_rows = rows(some);
  std::vector<api::Input> pairs, singles;
  for (const InputRow& row : wanted_rows) {
    pairs.push_back({.text = row.text, .text_pair = row.text_pair});
    singles.push_back({.text = row.text});
  }
  for (const char* task : {"mood", "near", "stars"}) {
    const auto wanted = expected(task, wanted_rows);
    const auto& inputs = task == std::string_view("near") ? pairs : singles;
    const auto got = model.predict(task, inputs);
    const std::vector<std::string> alone = {task};
    const auto analyzed = model.analyze(inputs, alone);
    for (std::size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].value, wanted[i].value) << task << " " << i;
      EXPECT_EQ(got[i].probs, wanted[i].probs) << task << " " << i;
      EXPECT_EQ(analyzed[i][0].prediction.value, wanted[i].value) << task << " " << i;
      EXPECT_EQ(analyzed[i][0].prediction.probs, wanted[i].probs) << task << " " << i;
    }
  }
  // mood and stars read the same windows, which one of them joins by the mean, the other by the largest.
  const auto together = model.analyze(singles);
  const auto mood = expected("mood", wanted_rows), stars = expected("stars", wanted_rows);
  for (std::size_t i = 0; i < together.size(); ++i) {
    ASSERT_EQ(together[i].size(), 2u);
    EXPECT_EQ(together[i][0].prediction.probs, mood[i].probs) << i;
    EXPECT_EQ(together[i][1].prediction.value, stars[i].value) << i;
  }
  const std::vector<std::string> documents = {"c", "d e f"};
  const auto near =
      expected("near", std::vector<InputRow>{{.text = "a b", .text_pair = "c", .id = {}}, {.text = "a b", .text_pair = "d e f", .id = {}}});
  for (const auto& document : model.rank("a b", documents, {.task = "near"})) EXPECT_EQ(document.score, near[document.index].value);
}

TEST_F(ApiTest, AnalyzeAsksEveryTaskThatFits) {
  const api::Pipeline model = open();
  const std::vector<api::Input> inputs = {{.text = "a b"}, {.text = "c", .text_pair = "d e"}, {.text = "f"}};
  const auto got = model.analyze(inputs);
  const auto names = [&](std::size_t i) {
    std::string joined;
    for (const auto& answer : got[i]) joined += model.tasks()[answer.task].name + " ";
    return joined;
  };
  EXPECT_EQ(names(0), "mood stars ");
  EXPECT_EQ(names(1), "same near kind ");
  const auto pair = std::span(inputs).subspan(1, 1);
  EXPECT_EQ(got[1][1].prediction.value, model.predict("near", pair)[0].value);
  EXPECT_EQ(got[1][2].prediction.probs, model.predict("kind", pair)[0].probs);
  EXPECT_EQ(got[2][0].prediction.probs, model.predict("mood", std::vector<std::string>{"f"})[0].probs);
  const std::vector<std::string> one = {"stars"};
  EXPECT_EQ(model.analyze(std::span(inputs).first(1), one)[0].size(), 1u);
  expect_error(ErrorTag::kUsage, {"input 1: no task that was asked for reads a pair"}, [&] { model.analyze(inputs, one); });
}

TEST_F(ApiTest, VectorsAreThoseOfTheProgram) {
  const api::Pipeline model = open();
  const auto some = texts(300);
  const auto backend = open_backend(read_env());
  TextModel program(*backend, read_model_folder(folder_.path()), Compute{});
  EXPECT_EQ(model.embed(some), program.embed(rows(some), {}));
  const auto width = model.dimension();
  const auto cut = model.embed(some, {.normalize = true, .dimensions = 3});
  ASSERT_EQ(cut.size(), 900u);
  EXPECT_NEAR(cut[0] * cut[0] + cut[1] * cut[1] + cut[2] * cut[2], 1, 1e-6);
  EXPECT_EQ(model.embed(some, {.pool = "cls"}).size(), 300 * width);
  expect_error(ErrorTag::kUsage, {"pool", "expected one of", "got \"clss\""}, [&] { model.embed(some, {.pool = "clss"}); });
  expect_error(ErrorTag::kModel, {"expected a pooler"}, [&] { model.embed(some, {.pool = "pooler"}); });
  expect_error(ErrorTag::kUsage, {"dimensions: expected a whole number"}, [&] { model.dimension({.dimensions = 1 << 20}); });
  std::vector<float> small(width);
  const std::vector<std::string_view> two = {"a", "b"};
  expect_error(ErrorTag::kUsage, {"rows: expected room for"}, [&] { model.embed_to(small, two); });
  EXPECT_TRUE(model.embed(std::vector<std::string>{}).empty());
}

TEST_F(ApiTest, RankSortsByTheTaskOrByCosine) {
  const api::Pipeline model = open();
  const std::vector<std::string> documents = {"a b", "c d e", "f", "a b"};
  const auto by_near = model.rank("a", documents, {.task = "near", .top_k = 2});
  ASSERT_EQ(by_near.size(), 2u);
  EXPECT_GE(by_near[0].score, by_near[1].score);
  const auto by_cosine = model.rank("a b", documents);  // two tasks score pairs: neither is meant
  EXPECT_EQ(by_cosine[0].index, 0u);
  EXPECT_EQ(by_cosine[1].index, 3u);
  EXPECT_NEAR(by_cosine[0].score, 1, 1e-6);
  expect_error(ErrorTag::kUsage, {"task that scores pairs"}, [&] { model.rank("a", documents, {.task = "kind", .top_k = {}}); });
}

TEST_F(ApiTest, RankTakesTheOnlyTaskThatScoresPairs) {
  auto tasks = tasks_of_every_kind();
  std::erase_if(tasks, [](const TaskSpec& task) { return task.name == "same"; });  // near stays, and kind, of three classes
  save_tiny_folder(folder_.path(), tasks);
  const api::Pipeline model = open();
  const std::vector<std::string> documents = {"a b", "c d e", "f", "a b"};
  const auto meant = model.rank("a b", documents), named = model.rank("a b", documents, {.task = "near", .top_k = {}});
  ASSERT_EQ(meant.size(), named.size());
  for (std::size_t i = 0; i < meant.size(); ++i) {
    EXPECT_EQ(meant[i].index, named[i].index);
    EXPECT_EQ(meant[i].score, named[i].score);
  }
}

TEST_F(ApiTest, TokensHaveOffsetsOfTheirOwnText) {
  const api::Pipeline model = open();
  const std::vector<api::Input> inputs = {{.text = "b  a", .text_pair = "c"}};
  const auto tokens = model.tokenize(inputs);
  EXPECT_EQ(tokens[0].tokens, (std::vector<std::string>{"[CLS]", "b", "a", "[SEP]", "c", "[SEP]"}));
  EXPECT_EQ(tokens[0].type_ids, (std::vector<std::int32_t>{0, 0, 0, 0, 1, 1}));
  EXPECT_EQ(tokens[0].offsets[2], (std::array<std::int32_t, 2>{3, 4}));
  EXPECT_EQ(model.tokenize(inputs, 3)[0].ids.size(), 3u);
}

TEST_F(ApiTest, ThreadsShareAModel) {
  const api::Pipeline model = open();
  const auto some = texts(120);
  const auto wanted = model.predict_proba("mood", some);
  const auto vectors = model.embed(some, {.normalize = true});
  std::vector<std::jthread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      for (int round = 0; round < 3; ++round)
        if (t % 2 == 0 ? model.predict_proba("mood", some) != wanted : model.embed(some, {.normalize = true}) != vectors) ++wrong;
    });
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

TEST_F(ApiTest, WhatProgressThrowsComesBackAndTheModelStaysUsable) {
  const api::Pipeline model = open();
  const auto some = texts(3000);
  struct Enough {};
  EXPECT_THROW(model.embed(some, {},
                           [](std::size_t done) {
                             if (done > 0) throw Enough();
                           }),
               Enough);
  EXPECT_EQ(model.predict("mood", std::span(some).first(3)).size(), 3u);
}

TEST_F(ApiTest, LeavesTheCallersThreadsAlone) {
  set_num_threads(3);
  const api::Pipeline model = open(1);
  model.embed(texts(4));
  EXPECT_EQ(num_threads(), 3);
}

TEST_F(ApiTest, AForkedChildGetsAnErrorInsteadOfWaiting) {
  std::optional<api::Pipeline> model = open();
  const pid_t child = ::fork();
  if (child == 0) {
    int code = 1;
    try {
      model->embed(texts(1));
    } catch (const Error& error) {
      code = error.message().starts_with("expected the process that loaded this model") ? 0 : 2;
    }
    model.reset();
    ::_exit(code);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
}

TEST_F(ApiTest, AWrongFolderIsAnErrorWithItsPlace) {
  try {
    api::Pipeline("/no/such/folder");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.tag(), ErrorTag::kModel);
    EXPECT_EQ(error.place(), "/no/such/folder");
    EXPECT_EQ(error.message(), "expected a model folder or a run folder, got none");
  }
}

}  // namespace
}  // namespace minbert
