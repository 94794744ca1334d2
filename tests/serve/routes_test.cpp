// Routes: the shapes of requests and replies, and answers equal to those of TextModel.
#include "minbert/serve/routes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "minbert/serve/page.h"
#include "tests/serve/service_fixture.h"

namespace minbert {
namespace {

class Routes : public ServiceTest {
 protected:
  void SetUp() override {
    start();
    own_ = load();
  }
  std::vector<Prediction> predict(std::size_t task, const std::vector<InputRow>& rows) { return own_.models->predict_texts(task, rows); }
  std::vector<float> embed(const std::vector<InputRow>& rows, bool normalize = true) {
    EmbedSettings settings;
    settings.modules.set_normalize(normalize);
    return own_.models->models().front().embed(rows, settings);
  }
  static std::vector<float> row(const Json& json) { return json.get<std::vector<float>>(); }

  LoadedModel own_;
};

TEST_F(Routes, PredictGivesTheLabelsOfTextModel) {
  const auto expected = predict(0, {{"a b", "", ""}, {"c d e", "", ""}});
  const Json one = post("/predict", R"({"inputs": "a b", "task": "mood", "unknown": 1})").json();
  ASSERT_EQ(one.size(), 3u);
  EXPECT_EQ(one[0]["label"], tasks_[0].labels.class_name(static_cast<int>(expected[0].value)));
  EXPECT_EQ(one[0]["score"].get<float>(), static_cast<float>(expected[0].score()));
  EXPECT_GE(one[0]["score"].get<double>(), one[1]["score"].get<double>());
  const ClientReply many = post("/predict", R"({"inputs": ["a b", "c d e"], "task": "mood"})");
  EXPECT_EQ(many.json()[0], one);
  EXPECT_EQ(many.headers.at("x-compute-tokens"), "9");
  for (const char* name : {"x-request-id", "x-total-time", "x-tokenization-time", "x-queue-time", "x-inference-time"})
    EXPECT_TRUE(many.headers.contains(name)) << name;
  EXPECT_FALSE(many.headers.contains("x-truncated"));
  const Json raw = post("/predict", R"({"inputs": "a b", "task": "mood", "raw_scores": true})").json();
  double sum = 0;
  for (const Json& label : raw) sum += std::exp(label["score"].get<double>() - raw[0]["score"].get<double>());
  EXPECT_NEAR(1 / sum, one[0]["score"].get<double>(), 1e-5);
  EXPECT_EQ(post("/predict", R"({"inputs": [["a"], "b"], "task": "mood"})").json().size(), 2u);
  const Json stars = post("/predict", R"({"inputs": "a b", "task": "stars"})").json();
  EXPECT_EQ(stars[0]["label"], "stars");
  EXPECT_EQ(stars[0]["score"].get<float>(), static_cast<float>(predict(3, {{"a b", "", ""}})[0].value));
}

TEST_F(Routes, ExplainSaysWhatEachTokenAdds) {
  const Json reply = post("/v1/explain", R"({"text": "a b", "text_pair": "c", "task": "same"})").json();
  EXPECT_EQ(reply["task"], "same");
  EXPECT_EQ(reply["answer"]["label"], std::to_string(static_cast<int>(predict(1, {{"a b", "c", ""}})[0].value)));
  std::string tokens;
  double sum = reply["explanation"]["baseline"].get<double>();
  for (const Json& token : reply["explanation"]["tokens"]) {
    tokens += token["token"].get<std::string>() + token["sequence"].dump() + " ";
    sum += token["attribution"].get<double>();
  }
  EXPECT_EQ(tokens, "[CLS]0 a0 b0 [SEP]0 [CLS]1 c1 [SEP]1 ");
  EXPECT_NEAR(sum, reply["explanation"]["value"].get<double>(), 1e-2);
  const Json stars = post("/v1/explain", R"({"text": "a b", "task": "stars"})").json();
  EXPECT_NEAR(stars["answer"]["value"].get<double>(), stars["explanation"]["value"].get<double>(), 1e-5);
  const ClientReply refused = post("/v1/explain", R"({"text": "a b", "task": "same"})");
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(refused.json()["error"]["param"], "text_pair");
  EXPECT_EQ(post("/v1/explain", R"({"text": "a b", "task": "nobody"})").status, 422);
  EXPECT_EQ(post("/v1/explain", R"({"text": "", "task": "mood"})").status, 400);
  const std::string longer = R"({"text": "a b c d e f a b c d", "task": "mood")";
  EXPECT_EQ(post("/v1/explain", longer + R"(, "truncate": false})").status, 422);
  EXPECT_EQ(post("/v1/explain", longer + "}").json()["explanation"]["tokens"].size(), 8u);
}

/// A run in which each task has a model of its own: the first makes vectors, and the others answer.
class RoutesOfOwnModels : public ServiceTest {
 protected:
  std::vector<std::filesystem::path> model_folders() const override { return {folders_[0].path(), folders_[1].path(), folders_[2].path()}; }

  std::vector<TempFolder> folders_ = std::vector<TempFolder>(3);
};

TEST_F(RoutesOfOwnModels, EachTaskIsAnsweredByItsOwn) {
  save_tiny_folder(folders_[0].path(), {}, 1);
  save_tiny_folder(folders_[1].path(), std::span(tasks_).first(2), 2);
  save_tiny_folder(folders_[2].path(), std::span(tasks_).subspan(2), 3);
  serve({});
  LoadedModel own = load();
  const std::vector<InputRow> text = {{"a b", "", ""}}, pair = {{"a b", "c", ""}};
  const Json single = post("/v1/analyze", R"({"inputs": [{"text": "a b"}]})").json()["results"][0]["tasks"];
  const Json both = post("/v1/analyze", R"({"inputs": [{"text": "a b", "text_pair": "c"}]})").json()["results"][0]["tasks"];
  EXPECT_EQ(single.size() + both.size(), tasks_.size());
  for (std::size_t t = 0; t < tasks_.size(); ++t) {
    const Prediction expected = own.models->predict_texts(t, tasks_[t].is_pair() ? pair : text)[0];
    const Json& answer = (tasks_[t].is_pair() ? both : single)[tasks_[t].name];
    EXPECT_EQ(answer[tasks_[t].is_regression() ? "value" : "score"].get<float>(),
              static_cast<float>(tasks_[t].is_regression() ? expected.value : expected.score()))
        << tasks_[t].name;
  }
  const auto vectors = own.models->models().front().embed(text, {});
  EXPECT_EQ(post("/embed", R"({"inputs": "a b", "normalize": false})").json()[0].get<std::vector<float>>(), vectors);
  EXPECT_EQ(post("/v1/explain", R"({"text": "a b", "task": "stars"})").status, 200);
  EXPECT_EQ(client().get("/info").json()["tasks"].size(), tasks_.size());
}

/// A model whose task of two classes has a logit for each.
class RoutesOfTwoLogits : public Routes {
 protected:
  void SetUp() override {
    tasks_[1].loss = LossName::kCrossEntropy;
    save_tiny_folder(folder_.path(), tasks_);
    serve({});
    own_ = load();
  }
};

TEST_F(RoutesOfTwoLogits, RawScoresAreTheirDifference) {
  const auto same = predict(1, {{"a b", "c", ""}, {"a b", "d e f", ""}, {"a b", "f", ""}});
  const std::string request = R"({"query": "a b", "texts": ["c", "d e f", "f"], "task": "same")";
  const Json plain = post("/rerank", request + "}").json(), raw = post("/rerank", request + R"(, "raw_scores": true})").json();
  ASSERT_EQ(raw.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(raw[i]["index"], plain[i]["index"]);
    const auto& probs = same[raw[i]["index"].get<std::size_t>()].probs;
    EXPECT_NEAR(raw[i]["score"].get<double>(), std::log(probs[1] / probs[0]), 1e-4);
  }
}

/// A model whose tasks read long texts in windows and joint pairs in both orders.
class RoutesOfWindows : public Routes {
 protected:
  void SetUp() override {
    for (TaskSpec& task : tasks_) {
      if (!task.is_pair()) task.windows = task.is_regression() ? Windows::kMax : Windows::kMean;
      task.symmetric = task.is_pair() && !task.is_separate();
    }
    save_tiny_folder(folder_.path(), tasks_);
    serve({});
    own_ = load();
  }
};

TEST_F(RoutesOfWindows, AnswersAreThoseOfTextModel) {
  const std::string longer = "a b c d e f a b c d f f";
  const auto mood = predict(0, {{"a", "", ""}, {longer, "", ""}}), stars = predict(3, {{longer, "", ""}});
  const auto near = predict(2, {{"a b", "c", ""}, {"a b", "d e f", ""}});
  EXPECT_NE(mood[1].probs, predict(0, {{"a b c d e f", "", ""}})[0].probs) << "the windows say the same as the first one";
  const ClientReply reply = post("/predict", fmt::format(R"({{"inputs": ["a", "{}"], "task": "mood", "truncate": false}})", longer));
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_FALSE(reply.headers.contains("x-truncated"));
  EXPECT_EQ(reply.headers.at("x-compute-tokens"), "27");  // 3, and three windows of 8
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(reply.json()[i][0]["score"].get<float>(), static_cast<float>(mood[i].score()));
  const auto score = [&](const std::string& body) { return post("/predict", body).json()[0]["score"].get<float>(); };
  EXPECT_EQ(score(R"({"inputs": ["a b", "c"], "task": "near"})"), static_cast<float>(near[0].value));
  EXPECT_NEAR(score(R"({"inputs": ["c", "a b"], "task": "near"})"), near[0].value, 1e-6);
  EXPECT_NEAR(score(R"({"inputs": ["a b", "c"], "task": "near", "raw_scores": true})"), near[0].value, 1e-6);

  const Json analysis =
      post("/v1/analyze", fmt::format(R"({{"inputs": [{{"text": "{}"}}, {{"text": "a b", "text_pair": "c"}}]}})", longer)).json();
  EXPECT_EQ(analysis["results"][0]["tasks"]["mood"]["score"].get<float>(), static_cast<float>(mood[1].score()));
  EXPECT_EQ(analysis["results"][0]["tasks"]["stars"]["value"].get<float>(), static_cast<float>(stars[0].value));
  EXPECT_EQ(analysis["results"][0]["truncated"], false);
  EXPECT_EQ(analysis["results"][1]["tasks"]["near"]["value"].get<float>(), static_cast<float>(near[0].value));

  const Json ranked = post("/rerank", R"({"query": "a b", "texts": ["c", "d e f"], "task": "near"})").json();
  for (const Json& text : ranked) EXPECT_EQ(text["score"].get<float>(), static_cast<float>(near[text["index"].get<std::size_t>()].value));
  const Json alike = post("/similarity", R"({"inputs": {"source_sentence": "a b", "sentences": ["c", "d e f"]}, "task": "near"})").json();
  for (std::size_t i = 0; i < 2; ++i) EXPECT_EQ(alike[i].get<float>(), static_cast<float>(near[i].value));
  for (const char* path : {"/v1/rerank", "/rerank"}) {
    const bool plain = path == std::string_view("/rerank");
    const Json answer = post(path, plain ? R"({"query": "a b", "texts": ["c"], "task": "near", "raw_scores": true})"
                                         : R"({"query": "a b", "documents": ["c"], "task": "near"})")
                            .json();
    const double said = plain ? answer[0]["score"].get<double>() : answer["results"][0]["relevance_score"].get<double>();
    EXPECT_NEAR(said, near[0].value, 1e-6) << path;
  }

  // Explanations are of the first window and of the given order.
  const std::string asked = fmt::format(R"({{"text": "{}", "task": "mood")", longer);
  EXPECT_EQ(post("/v1/explain", asked + R"(, "truncate": false})").status, 422);
  const ClientReply explained = post("/v1/explain", asked + "}");
  EXPECT_EQ(explained.json()["explanation"]["tokens"].size(), 8u);
  EXPECT_EQ(explained.headers.at("x-truncated"), "1");
  EXPECT_EQ(post("/v1/explain", R"({"text": "a b", "text_pair": "c", "task": "near"})").json()["explanation"]["tokens"].size(), 6u);
}

TEST_F(RoutesOfWindows, ARequestHasSoManyWindows) {
  std::string endless;
  for (int i = 0; i < 20000; ++i) endless += "a ";
  const ClientReply refused = post("/predict", fmt::format(R"({{"inputs": "{}", "task": "mood"}})", endless));
  EXPECT_EQ(refused.status, 422);
  EXPECT_NE(refused.body.find("--max-client-batch-size"), std::string::npos) << refused.body;
}

TEST_F(Routes, PredictTellsPairsFromBatches) {
  const auto expected = predict(1, {{"a b", "c", ""}});
  const Json pair = post("/predict", R"({"inputs": ["a b", "c"], "task": "same"})").json();
  ASSERT_EQ(pair.size(), 2u);
  EXPECT_EQ(pair[0]["score"].get<float>(), static_cast<float>(expected[0].score()));
  EXPECT_EQ(post("/predict", R"({"inputs": [["a b", "c"]], "task": "same"})").json()[0], pair);
  const Json raw = post("/predict", R"({"inputs": ["a b", "c"], "task": "same", "raw_scores": true})").json();
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(raw[i]["label"], pair[i]["label"]);
    EXPECT_NEAR(raw[i]["score"].get<double>(), raw[i]["label"] == "0" ? 0 : std::log(expected[0].probs[1] / expected[0].probs[0]), 1e-4);
  }
  for (const char* wrong : {R"("a")", R"(["a"])", R"(["a", "b", "c"])", R"([["a"]])", R"([["a", "b", "c"]])", R"([["a", 1]])", "1", "{}"})
    EXPECT_EQ(post("/predict", fmt::format(R"({{"inputs": {}, "task": "same"}})", wrong)).status, 422) << wrong;
  for (const char* wrong : {R"([["a", "b"]])", R"([1])", "null", "1"})
    EXPECT_EQ(post("/predict", fmt::format(R"({{"inputs": {}, "task": "mood"}})", wrong)).status, 422) << wrong;
  EXPECT_NE(post("/predict", R"({"inputs": "a"})").body.find("mood, same, near, stars, kind"), std::string::npos);
  EXPECT_EQ(post("/predict", R"({"inputs": "a", "task": "mod"})").status, 422);
  EXPECT_EQ(post("/predict", R"({"inputs": [], "task": "mood"})").json()["error_type"], "Empty");
  EXPECT_EQ(post("/predict", R"({"inputs": ["a", ""], "task": "mood"})").status, 400);
  EXPECT_EQ(post("/predict", R"({"inputs": ["", ""], "task": "same"})").status, 400);
  EXPECT_EQ(post("/predict", R"({"inputs": ["", "a"], "task": "same"})").status, 200);
}

TEST_F(Routes, AnalyzeAnswersAllTasksInOnePass) {
  const ClientReply reply =
      post("/v1/analyze",
           R"({"inputs": [{"id": "x", "text": "a b"}, {"text": "a", "text_pair": "b c"}, {"id": 7, "text": "a b c d e f a b"}]})");
  const Json json = reply.json();
  EXPECT_EQ(json["model"], "tiny");
  const Json& results = json["results"];
  ASSERT_EQ(results.size(), 3u) << reply.body;
  EXPECT_EQ(results[0]["id"], "x");
  EXPECT_EQ(results[0]["tokens"], 4);  // the two single-text tasks share one pass
  EXPECT_EQ(results[0]["truncated"], false);
  const auto mood = predict(0, {{"a b", "", ""}})[0];
  EXPECT_EQ(results[0]["tasks"]["mood"]["score"].get<float>(), static_cast<float>(mood.score()));
  EXPECT_EQ(results[0]["tasks"]["mood"]["probs"]["so-so"].get<float>(), static_cast<float>(mood.probs[1]));
  EXPECT_EQ(results[0]["tasks"]["stars"]["value"].get<float>(), static_cast<float>(predict(3, {{"a b", "", ""}})[0].value));
  EXPECT_EQ(results[0]["tasks"].size(), 2u);
  EXPECT_EQ(results[1]["id"], "1");
  EXPECT_EQ(results[1]["tokens"], 3 + 4 + 6);  // two sequences for `same` and `kind`, one for `near`
  EXPECT_EQ(results[1]["tasks"].size(), 3u);
  EXPECT_EQ(results[1]["tasks"]["same"]["score"].get<float>(), static_cast<float>(predict(1, {{"a", "b c", ""}})[0].score()));
  EXPECT_EQ(results[1]["tasks"]["near"]["value"].get<float>(), static_cast<float>(predict(2, {{"a", "b c", ""}})[0].value));
  EXPECT_EQ(results[2]["id"], 7);
  EXPECT_EQ(results[2]["truncated"], true);
  EXPECT_EQ(reply.headers.at("x-truncated"), "1");
  EXPECT_EQ(json["usage"]["tokens"], 4 + 13 + 8);
  EXPECT_EQ(post("/v1/analyze", R"({"inputs": [{"text": "a"}], "tasks": ["mood", "mood"]})").json()["results"][0]["tasks"].size(), 1u);
  const Json error = post("/v1/analyze", R"({"inputs": [{"text": "a"}], "tasks": ["same"]})").json()["error"];
  EXPECT_EQ(error["param"], "inputs[0]");
  EXPECT_EQ(error["code"], "validation");
  EXPECT_EQ(post("/v1/analyze", R"({"inputs": [{"txt": "a"}]})").json()["error"]["param"], "inputs[0].text");
}

TEST_F(Routes, EmbedGivesTheVectorsOfTextModel) {
  const auto expected = embed({{"a b", "", ""}, {"c", "", ""}});
  const Json two = post("/embed", R"({"inputs": ["a b", "c"]})").json();
  ASSERT_EQ(two.size(), 2u);
  EXPECT_EQ(row(two[1]), std::vector<float>(expected.begin() + 6, expected.end()));
  EXPECT_EQ(post("/embed", R"({"inputs": "a b"})").json()[0], two[0]);
  EXPECT_EQ(post("/embed", R"({"inputs": [2, 5, 6, 3]})").json()[0], two[0]);  // [CLS] a b [SEP]
  EXPECT_EQ(post("/embed", R"({"inputs": ["a b", [2, 7, 3]]})").json(), two);
  const auto raw = embed({{"a b", "", ""}}, false);
  EXPECT_EQ(row(post("/embed", R"({"inputs": "a b", "normalize": false})").json()[0]), raw);
  const auto cut = row(post("/embed", R"({"inputs": "a b", "dimensions": 2})").json()[0]);
  ASSERT_EQ(cut.size(), 2u);
  EXPECT_NEAR(cut[0] * cut[0] + cut[1] * cut[1], 1, 1e-6);
  EXPECT_NEAR(cut[0] / cut[1], raw[0] / raw[1], 1e-4);
  for (const char* wrong :
       {R"({"inputs": [2, -1]})", R"({"inputs": [2, 11]})", R"({"inputs": [2, "a"]})", R"({"inputs": "a", "dimensions": 7})",
        R"({"inputs": "a", "dimensions": 0})", R"({"inputs": "a", "prompt_name": "none"})", R"({"inputs": [true]})", R"([])"})
    EXPECT_EQ(post("/embed", wrong).status, 422) << wrong;
  EXPECT_EQ(post("/embed", R"({"inputs": [[]]})").status, 400);
  const Json states = post("/embed_all", R"({"inputs": ["a b", "c"]})").json();
  ASSERT_EQ(states[0].size(), 4u);
  ASSERT_EQ(states[1].size(), 3u);
  for (std::size_t k = 0; k < 6; ++k) {
    float mean = 0;
    for (const Json& state : states[0]) mean += state[k].get<float>() / 4;
    EXPECT_NEAR(mean, raw[k], 1e-5);
  }
}

TEST_F(Routes, TheTaskMayStandInTheQuery) {
  const std::string mood = post("/predict", R"({"inputs": "a b", "task": "mood"})").body;
  EXPECT_EQ(post("/predict?x=1&task=mo%6Fd", R"({"inputs": "a b", "parameters": {}})").body, mood);
  EXPECT_EQ(post("/?task=mood", R"({"inputs": "a b"})").body, mood);
  EXPECT_EQ(post("/predict?task=stars", R"({"inputs": "a b", "task": "mood"})").body, mood);
  EXPECT_EQ(post("/predict?task=", R"({"inputs": "a b"})").status, 422);
  EXPECT_EQ(post("/predict?task", R"({"inputs": "a b"})").status, 422);
  EXPECT_EQ(post("/predict?task=mood", "[]").status, 422);
  const Json document = client().get("/openapi.json").json();
  for (const char* path : {"/", "/predict", "/similarity", "/rerank", "/v1/rerank"})
    EXPECT_EQ(document["paths"][path]["post"]["parameters"][0]["name"], "task") << path;
  EXPECT_FALSE(document["paths"]["/embed"]["post"].contains("parameters"));
}

TEST_F(Routes, LongTextsAreCutOrRefused) {
  const ClientReply cut = post("/embed", R"({"inputs": ["a b c d e f a b c", "a"]})");
  EXPECT_EQ(cut.headers.at("x-truncated"), "1");
  EXPECT_EQ(cut.json()[0], post("/embed", R"({"inputs": "a b c d e f"})").json()[0]);
  EXPECT_EQ(post("/embed", R"({"inputs": "a b c d e f a b c", "truncation_direction": "Left"})").json()[0],
            post("/embed", R"({"inputs": "d e f a b c"})").json()[0]);
  const auto by_ids = [&](const std::string& ids, const char* more = "") {
    return post("/embed", fmt::format(R"({{"inputs": [{}]{}}})", ids, more)).json()[0];
  };
  EXPECT_EQ(by_ids("2,5,6,7,8,9,10,5,3"), by_ids("2,5,6,7,8,9,10,5"));
  EXPECT_EQ(by_ids("2,5,6,7,8,9,10,5,3", R"(, "truncation_direction": "Left")"), by_ids("5,6,7,8,9,10,5,3"));
  const ClientReply refused = post("/embed", R"({"inputs": "a b c d e f a b c", "truncate": false})");
  EXPECT_EQ(refused.status, 422);
  EXPECT_NE(refused.body.find("at most 8 tokens, got 11"), std::string::npos) << refused.body;
  EXPECT_EQ(post("/embed", R"({"inputs": "a", "truncation_direction": "up"})").status, 422);
}

TEST_F(Routes, OpenAiEmbeddings) {
  const auto expected = embed({{"a b", "", ""}});
  for (const char* path : {"/v1/embeddings", "/embeddings"}) {
    const Json json = post(path, R"({"input": ["a b", "c"], "model": "any"})").json();
    EXPECT_EQ(json["object"], "list");
    EXPECT_EQ(json["model"], "tiny");
    EXPECT_EQ(json["data"][1]["index"], 1);
    EXPECT_EQ(row(json["data"][0]["embedding"]), expected);
    EXPECT_EQ(json["usage"]["prompt_tokens"], 7);
  }
  const std::string text = post("/v1/embeddings", R"({"input": "a b", "encoding_format": "base64"})").json()["data"][0]["embedding"];
  EXPECT_EQ(text.size(), 32u);  // 24 bytes
  const Json error = post("/v1/embeddings", R"({"input": "a", "encoding_format": "hex"})").json()["error"];
  EXPECT_EQ(error["type"], "invalid_request_error");
  EXPECT_EQ(error["param"], "encoding_format");
  EXPECT_TRUE(error["code"].is_string());
}

TEST_F(Routes, SimilarityAndRerank) {
  const auto unit = embed({{"a b", "", ""}, {"c", "", ""}, {"a b", "", ""}});
  double cosine = 0;
  for (std::size_t k = 0; k < 6; ++k) cosine += static_cast<double>(unit[k]) * unit[6 + k];
  const Json cosines = post("/similarity", R"({"inputs": {"source_sentence": "a b", "sentences": ["c", "a b"]}})").json();
  EXPECT_NEAR(cosines[0].get<double>(), cosine, 1e-6);
  EXPECT_NEAR(cosines[1].get<double>(), 1, 1e-6);
  const auto near = predict(2, {{"a b", "c", ""}, {"a b", "a b", ""}});
  const Json values = post("/similarity", R"({"inputs": {"source_sentence": "a b", "sentences": ["c", "a b"]}, "task": "near"})").json();
  EXPECT_EQ(values[0].get<float>(), static_cast<float>(near[0].value));
  EXPECT_EQ(post("/similarity", R"({"inputs": {"source_sentence": "a", "sentences": ["c"]}, "task": "kind"})").status, 422);
  EXPECT_EQ(post("/similarity", R"({"inputs": {"source_sentence": "a", "sentences": [1]}})").status, 422);

  const Json by_cosine = post("/rerank", R"({"query": "a b", "texts": ["c", "a b"], "return_text": true})").json();
  EXPECT_EQ(by_cosine[0]["index"], 1);
  EXPECT_EQ(by_cosine[0]["text"], "a b");
  EXPECT_EQ(by_cosine[1]["score"], cosines[0]);
  const Json by_head = post("/rerank", R"({"query": "a b", "texts": ["c", "a b"], "task": "same"})").json();
  const auto same = predict(1, {{"a b", "c", ""}, {"a b", "a b", ""}});
  const std::size_t best = same[0].probs[1] >= same[1].probs[1] ? 0 : 1;
  EXPECT_EQ(by_head[0]["index"], best);
  EXPECT_EQ(by_head[0]["score"].get<float>(), static_cast<float>(same[best].probs[1]));
  EXPECT_FALSE(by_head[0].contains("text"));
  const Json jina =
      post("/v1/rerank", R"({"model": "m", "query": "a b", "documents": ["c", {"text": "a b"}], "top_n": 1, "return_documents": true})")
          .json();
  ASSERT_EQ(jina["results"].size(), 1u);
  EXPECT_EQ(jina["results"][0]["index"], 1);
  EXPECT_EQ(jina["results"][0]["document"]["text"], "a b");
  EXPECT_EQ(jina["usage"]["total_tokens"], 4 + 3 + 4);
  EXPECT_EQ(post("/v1/rerank", R"({"query": "a", "documents": [{"txt": "a"}]})").json()["error"]["param"], "documents[0].text");
}

TEST_F(Routes, TokenizeCountsCodePoints) {
  const Json tokens = post("/tokenize", R"({"inputs": ["é A"]})").json()[0];
  ASSERT_EQ(tokens.size(), 4u);
  EXPECT_EQ(tokens[0]["text"], "[CLS]");
  EXPECT_EQ(tokens[0]["special"], true);
  EXPECT_TRUE(tokens[0]["start"].is_null());
  EXPECT_EQ(tokens[2]["text"], "A");
  EXPECT_EQ(tokens[2]["token"], "a");
  EXPECT_EQ(tokens[2]["id"], 5);
  EXPECT_EQ(tokens[2]["start"], 2);
  EXPECT_EQ(tokens[2]["stop"], 3);
  EXPECT_EQ(post("/tokenize", R"({"inputs": "a", "add_special_tokens": false})").json()[0].size(), 1u);
}

TEST_F(Routes, InfoAndModels) {
  const Json info = client().get("/info").json();
  EXPECT_EQ(info["model_id"], "tiny");
  EXPECT_EQ(info["model_dtype"], "float32");
  EXPECT_EQ(info["max_input_length"], 8);
  EXPECT_EQ(info["tasks"].size(), 5u);
  EXPECT_EQ(info["tasks"][0]["labels"][1], "so-so");
  EXPECT_EQ(info["tasks"][2]["encode"], "joint");
  EXPECT_EQ(client().get("/v1/models").json()["data"][0]["id"], "tiny");
  const ClientReply page = client().get("/");
  EXPECT_EQ(page.headers.at("content-security-policy").find("unsafe"), std::string::npos);
  EXPECT_EQ(page.body, page_text());
  // The name of SVG's namespace is no address that the page asks.
  EXPECT_EQ(page.body.find("http://", page.body.find("http://www.w3.org/2000/svg") + 1), std::string::npos);
}

TEST_F(Routes, RootTakesWhatClientsOfOneTaskSend) {
  EXPECT_EQ(post("/", R"({"inputs": "a b"})").body, post("/embed", R"({"inputs": "a b"})").body);
  EXPECT_EQ(post("/", R"({"inputs": "a b", "task": "mood"})").body, post("/predict", R"({"inputs": "a b", "task": "mood"})").body);
  EXPECT_EQ(post("/", R"({"inputs": {"source_sentence": "a", "sentences": ["a"]}})").json().size(), 1u);
}

TEST_F(Routes, OpenApiNamesEveryRouteAndSchema) {
  const Json document = client().get("/openapi.json").json();
  EXPECT_EQ(document["openapi"], "3.1.0");
  std::size_t operations = 0;
  for (const auto& [path, methods] : document["paths"].items()) operations += methods.size();
  EXPECT_EQ(operations, routes().size());
  std::set<std::string> used;
  const std::string text = dump_json(document);
  for (std::size_t at = text.find("#/components/schemas/"); at != text.npos; at = text.find("#/components/schemas/", at + 1))
    used.insert(text.substr(at + 21, text.find('"', at) - at - 21));
  for (const auto& [name, schema] : document["components"]["schemas"].items()) EXPECT_TRUE(used.contains(name)) << name << " is not used";
  for (const std::string& name : used) EXPECT_TRUE(document["components"]["schemas"].contains(name)) << name;
}

}  // namespace
}  // namespace minbert
