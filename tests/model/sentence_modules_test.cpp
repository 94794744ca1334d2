// Sentence modules: every spelling of their files, and the numbers that they make.
#include "minbert/model/sentence_modules.h"

#include <gtest/gtest.h>

#include "minbert/base/files.h"
#include "minbert/base/safetensors.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kHidden = 2;

class Modules : public testing::Test {
 protected:
  void put(const std::string& file, const std::string& content) {
    make_directories((folder_ / file).parent_path());
    write_file(folder_ / file, content);
  }
  /// A list of modules of these classes, in folders of their names.
  void list(const std::vector<std::string>& names) {
    Json lines = Json::array({{{"path", ""}, {"type", "sentence_transformers.models.Transformer"}}});
    for (const std::string& name : names) lines.push_back({{"path", name}, {"type", "sentence_transformers.models." + name}});
    put("modules.json", dump_json(lines));
  }
  void put_weights(const std::string& folder, const std::vector<SafetensorsEntry>& entries) {
    write_safetensors(folder_ / folder / "model.safetensors", entries);
  }
  SentenceModules read() {
    warnings_.clear();
    return read_sentence_modules(folder_.path(), list_modules(folder_.path()), kHidden, warnings_);
  }
  std::string pooling_of(const std::string& config) {
    list({"Pooling"});
    put("Pooling/config.json", config);
    return read().pooling.text();
  }
  /// A Dense layer 2 -> 3.
  void put_dense(const std::string& config) {
    list({"Pooling", "Dense"});
    put("Pooling/config.json", "{}");
    put("Dense/config.json", config);
    put_weights("Dense", {{"linear.weight", "F32", {3, 2}, std::as_bytes(std::span(weight_))},
                          {"linear.bias", "F32", {3}, std::as_bytes(std::span(bias_))}});
  }
  void expect_refused(std::initializer_list<std::string_view> parts) {
    expect_error(ErrorTag::kModel, parts, [&] { read(); });
  }

  TempFolder folder_;
  std::vector<std::string> warnings_;
  std::vector<float> weight_ = {1, 2, 3, 4, 5, 6}, bias_ = {0.5f, 0, -1};
  std::unique_ptr<Backend> backend_ = make_backend("cpu");
};

TEST_F(Modules, EverySpellingOfAPoolingIsRead) {
  EXPECT_EQ(SentenceModules().text(), "mean pooling");
  EXPECT_EQ(pooling_of("{}"), "mean");
  EXPECT_EQ(pooling_of(R"({"pooling_mode": "cls"})"), "cls");
  EXPECT_EQ(pooling_of(R"({"pooling_mode": "MAX"})"), "max");
  EXPECT_EQ(pooling_of(R"({"pooling_mode": ["mean", "cls"]})"), "mean+cls");
  EXPECT_EQ(pooling_of(R"({"pooling_mode_cls_token": true})"), "cls");
  EXPECT_EQ(pooling_of(R"({"pooling_mode_mean_tokens": true, "pooling_mode_cls_token": true, "pooling_mode_max_tokens": false})"),
            "cls+mean");
  EXPECT_EQ(pooling_of(
                R"({"pooling_mode_lasttoken": true, "pooling_mode_weightedmean_tokens": true, "pooling_mode_mean_sqrt_len_tokens": true})"),
            "mean_sqrt_len_tokens+weightedmean+lasttoken");
  EXPECT_EQ(pooling_of(R"({"pooling_mode_cls_token": false, "pooling_mode_mean_tokens": false})"), "mean");
  EXPECT_EQ(warnings_.size(), 0u);
  EXPECT_EQ(pooling_of(R"({"word_embedding_dimension": 3, "pooling_mode": "cls", "pooling_mode_mean_tokens": true})"), "cls");
  EXPECT_EQ(warnings_.size(), 2u);
  EXPECT_FALSE((pooling_of(R"({"include_prompt": false})"), read().pooling.include_prompt));
}

TEST_F(Modules, WhatAPoolingCannotMeanIsRefused) {
  list({"Pooling"});
  expect_refused({"Pooling/config.json"});
  for (const auto& [config, part] : {std::pair{R"({"pooling_mode": "median"})", "median"},
                                     {R"({"pooling_mode": "pooler"})", "pooler"},
                                     {R"({"pooling_mode": []})", "pooling_mode"},
                                     {R"({"pooling_mode": 3})", "pooling_mode"},
                                     {R"({"pooling_mode_cls_token": "yes"})", "pooling_mode_cls_token"},
                                     {R"({"pooling_mode_median_tokens": true})", "pooling_mode_median_tokens"},
                                     {R"({"include_prompt": 0})", "include_prompt"},
                                     {R"([])", "object"}}) {
    put("Pooling/config.json", config);
    expect_refused({"Pooling/config.json", part});
  }
}

TEST_F(Modules, ListsThatCannotBeFollowedAreRefused) {
  EXPECT_TRUE(list_modules(folder_.path()).empty());
  for (const auto& [lines, part] : {std::pair{R"({})", "list"},
                                    {R"([])", "none"},
                                    {R"([{"type": 1}])", "type"},
                                    {R"([{"type": "sentence_transformers.models.Transformer"}])", "path"},
                                    {R"([{"path": "", "type": "sentence_transformers.models.WordEmbeddings"}])", "WordEmbeddings"},
                                    {R"([{"path": "", "type": "mine.Transformer"}])", "mine.Transformer"},
                                    {R"([{"path": "a/../../b", "type": "sentence_transformers.models.Transformer"}])", "a/../../b"},
                                    {R"([{"path": "/etc", "type": "sentence_transformers.models.Transformer"}])", "/etc"}}) {
    put("modules.json", lines);
    expect_refused({"modules.json", part});
  }
  put("Pooling/config.json", "{}");
  for (const auto& [names, part] :
       std::vector<std::pair<std::vector<std::string>, std::string>>{{{}, "Pooling"},
                                                                     {{"Normalize"}, "Pooling"},
                                                                     {{"Normalize", "Pooling"}, "Normalize before"},
                                                                     {{"Pooling", "Pooling"}, "second"},
                                                                     {{"Pooling", "CNN"}, "models.CNN"},
                                                                     {{"LSTM", "Pooling"}, "models.LSTM"}}) {
    list(names);
    expect_refused({"modules.json", part});
  }
}

TEST_F(Modules, DenseIsReadAndChecked) {
  const std::string good = R"({"in_features": 2, "out_features": 3, "activation_function": "torch.nn.modules.linear.Identity"})";
  put_dense(good);
  const SentenceModules modules = read();
  EXPECT_EQ(modules.text(), "mean pooling, Dense 2 -> 3 (Identity)");
  EXPECT_EQ(modules.width(kHidden), 3);
  EXPECT_EQ(apply_modules(*backend_, modules.after, {1, 10, 0, 0}, 2), (std::vector<float>{21.5f, 43, 64, 0.5f, 0, -1}));
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, Json>>{{"in_features", 4},
                                                 {"out_features", 2},
                                                 {"out_features", 0},
                                                 {"activation_function", "torch.nn.modules.activation.Threshold"},
                                                 {"activation_function", "mine.Tanh"},
                                                 {"module_input_name", "token_embeddings"},
                                                 {"use_residual", 1},
                                                 {"scale", 2}}) {
    Json config = parse_json(good, "", ErrorTag::kModel);
    config[key] = value;
    put_dense(dump_json(config));
    expect_refused({"Dense", value == 2 && key == "out_features" ? "linear.weight" : key});
  }
  Json config = parse_json(good, "", ErrorTag::kModel);
  config["bias"] = false;  // but the file has one
  put_dense(dump_json(config));
  expect_refused({"Dense", "linear.bias"});
}

TEST_F(Modules, PoolingsOfTokens) {
  const std::vector<float> tokens = {1, -1, 2, 5, 6, 2};  // three tokens of width 2
  const auto pooled = [&](TokenPool mode, std::int64_t prompt = 0) {
    std::vector<float> out(2);
    pool_tokens({.modes = {mode}, .include_prompt = prompt == 0}, tokens, 2, prompt, out);
    return out;
  };
  using Vector = std::vector<float>;
  EXPECT_EQ(pooled(TokenPool::kCls), (Vector{1, -1}));
  EXPECT_EQ(pooled(TokenPool::kLastToken), (Vector{6, 2}));
  EXPECT_EQ(pooled(TokenPool::kMax), (Vector{6, 5}));
  EXPECT_EQ(pooled(TokenPool::kMean), (Vector{3, 2}));
  EXPECT_FLOAT_EQ(pooled(TokenPool::kMeanSqrtLength)[0], 9 / std::sqrt(3.0f));
  EXPECT_FLOAT_EQ(pooled(TokenPool::kWeightedMean)[0], (1 + 2 * 2 + 3 * 6) / 6.0f);
  EXPECT_EQ(pooled(TokenPool::kCls, 1), (Vector{2, 5}));
  EXPECT_EQ(pooled(TokenPool::kMean, 2), (Vector{6, 2}));
  EXPECT_FLOAT_EQ(pooled(TokenPool::kWeightedMean, 1)[0], (2 * 2 + 3 * 6) / 5.0f);
  EXPECT_EQ(pooled(TokenPool::kMax, 3), (Vector{0, 0})) << "no token is left";
  Vector both(4);
  pool_tokens({.modes = {TokenPool::kMean, TokenPool::kCls}}, tokens, 2, 2, both);
  EXPECT_EQ(both, (Vector{3, 2, 1, -1}));
}

TEST_F(Modules, ComeBackAsTheyWereWritten) {
  SentenceModules modules{.pooling = {.modes = {TokenPool::kMax, TokenPool::kLastToken}, .include_prompt = false}};
  modules.after = {
      DenseModule{
          .inputs = 4, .outputs = 2, .use_residual = true, .weight = {1, 0, 2, 0, 0, 1, 0, 2}, .residual = {8, 7, 6, 5, 4, 3, 2, 1}},
      LayerNormModule{.weight = {1, 2}, .bias = {3, 4}}, DropoutModule{0.25}, NormalizeModule{}};
  const std::vector<float> x = {0.1f, 0.2f, 0.3f, 0.4f};
  const std::vector<float> expected = apply_modules(*backend_, modules.after, x, 4);
  for (const bool own_order : {false, true}) {
    if (own_order) std::swap(modules.pooling.modes[0], modules.pooling.modes[1]);
    write_sentence_modules(folder_.path(), modules, kHidden, *backend_, DType::kF32);
    const SentenceModules back = read();
    EXPECT_EQ(back.text(), modules.text());
    EXPECT_EQ(apply_modules(*backend_, back.after, x, 4), expected);
    EXPECT_EQ(read_json(folder_ / "1_Pooling/config.json", ErrorTag::kModel).contains("pooling_mode"), own_order);
  }
  EXPECT_EQ(read_json(folder_ / "4_Dropout/config.json", ErrorTag::kModel)["dropout"], 0.25);
}

TEST_F(Modules, UnitLengthAtTheEnd) {
  SentenceModules modules{.after = {NormalizeModule{}, TruncateModule{1}}};
  EXPECT_TRUE(modules.normalizes());
  EXPECT_EQ(modules.width(kHidden), 1);
  modules.set_normalize(true);
  EXPECT_EQ(modules.text(), "mean pooling, Normalize, first 1 numbers, Normalize");
  EXPECT_EQ(apply_modules(*backend_, modules.after, {3, 4}, 2), std::vector<float>{1});
  modules.set_normalize(false);
  EXPECT_EQ(modules.text(), "mean pooling, first 1 numbers");
  modules.after = {NormalizeModule{}, LayerNormModule{}};
  modules.set_normalize(false);
  EXPECT_EQ(modules.text(), "mean pooling, Normalize, LayerNorm");
}

TEST_F(Modules, ActivationsOfTorch) {
  EXPECT_EQ(find_activation("torch.nn.modules.activation.Threshold"), nullptr);
  EXPECT_EQ(find_activation("Tanh"), nullptr);
  const auto at_minus_one = [](const char* name) { return find_activation(std::string("torch.nn.") + name)(-1); };
  EXPECT_NEAR(at_minus_one("modules.activation.Tanh"), -0.7615941560, 1e-9);
  EXPECT_NEAR(at_minus_one("GELU"), -0.1586552539, 1e-9);
  EXPECT_NEAR(at_minus_one("SELU"), -1.1113307378, 1e-9);
  EXPECT_NEAR(at_minus_one("Mish"), -0.3034014614, 1e-9);
  EXPECT_NEAR(at_minus_one("LogSigmoid"), -1.3132616875, 1e-9);
}

}  // namespace
}  // namespace minbert
