// config.json: BertConfig's defaults, what is refused with which message, and writing.
#include "minbert/model/config.h"

#include <gtest/gtest.h>

#include "tests/base/error_matchers.h"

namespace minbert {
namespace {

ModelConfig parse(std::string_view text) { return parse_model_config(parse_json(text, "c", ErrorTag::kModel), "config.json"); }

void expect_refused(std::string_view text, std::initializer_list<std::string_view> parts) {
  expect_error(ErrorTag::kModel, parts, [&] { parse(text); });
}

TEST(Config, DefaultsAreThoseOfBertConfig) {
  const ModelConfig c = parse("{}");
  EXPECT_EQ(c.vocab_size, 30522);
  EXPECT_EQ(c.hidden_size, 768);
  EXPECT_EQ(c.num_hidden_layers, 12);
  EXPECT_EQ(c.num_attention_heads, 12);
  EXPECT_EQ(c.intermediate_size, 3072);
  EXPECT_EQ(c.max_position_embeddings, 512);
  EXPECT_EQ(c.type_vocab_size, 2);
  EXPECT_EQ(c.pad_token_id, 0);
  EXPECT_EQ(c.hidden_act, Activation::kGelu);
  EXPECT_EQ(c.hidden_dropout_prob, 0.1f);
  EXPECT_EQ(c.attention_probs_dropout_prob, 0.1f);
  EXPECT_EQ(c.layer_norm_eps, 1e-12);
  EXPECT_EQ(c.initializer_range, 0.02);
}

TEST(Config, ReadsWhatIsThere) {
  const ModelConfig c =
      parse(R"({"vocab_size": 100, "hidden_size": 12, "num_attention_heads": 3, "hidden_act": "gelu_new", "hidden_dropout_prob": 0,
    "layer_norm_eps": 1e-5, "pad_token_id": null, "is_decoder": false, "pruned_heads": {}, "unknown": {"x": 1}, "model_type": "bert"})");
  EXPECT_EQ(c.vocab_size, 100);
  EXPECT_EQ(c.num_attention_heads, 3);
  EXPECT_EQ(c.hidden_act, Activation::kGeluNew);
  EXPECT_EQ(c.hidden_dropout_prob, 0.0f);
  EXPECT_EQ(c.layer_norm_eps, 1e-5);
  EXPECT_EQ(c.pad_token_id, 0);
}

TEST(Config, RefusesOtherModels) {
  expect_refused("[]", {"config.json", "expected a JSON object"});
  expect_refused(R"({"model_type": "roberta"})", {"config.json", "model_type", "roberta"});
  expect_refused(R"({"position_embedding_type": "relative_key"})", {"position_embedding_type", "relative_key"});
  expect_refused(R"({"is_decoder": true})", {"is_decoder"});
  expect_refused(R"({"add_cross_attention": true})", {"add_cross_attention"});
  expect_refused(R"({"pruned_heads": {"0": [1]}})", {"pruned_heads"});
  expect_refused(R"({"quantization_config": {"bits": 8}})", {"quantization_config"});
  expect_refused(R"({"hidden_act": "quick_gelu"})", {"hidden_act", "quick_gelu", "gelu_new"});
}

TEST(Config, RefusesNonsenseSizes) {
  for (const char* key : {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                          "max_position_embeddings", "type_vocab_size"}) {
    for (const char* value : {"0", "-1", "4294967296", "18446744073709551615", "1.5", "\"8\"", "true"})
      expect_refused(fmt::format("{{\"{}\": {}}}", key, value), {"config.json", key, value});
  }
  expect_refused(R"({"hidden_size": 100})", {"hidden_size", "multiple of num_attention_heads (12)", "100"});
  expect_refused(R"({"pad_token_id": 30522})", {"pad_token_id", "30522"});
  expect_refused(R"({"pad_token_id": -30523})", {"pad_token_id", "-30523"});
  expect_refused(R"({"hidden_dropout_prob": 1})", {"hidden_dropout_prob", "got 1"});
  expect_refused(R"({"attention_probs_dropout_prob": -0.1})", {"attention_probs_dropout_prob"});
  expect_refused(R"({"layer_norm_eps": 0})", {"layer_norm_eps"});
  expect_refused(R"({"layer_norm_eps": "1e-12"})", {"layer_norm_eps", "expected a number"});
  expect_refused(R"({"initializer_range": -1})", {"initializer_range"});
}

TEST(Config, ActivationsAndTheirAliases) {
  for (const auto& [name, activation] : {std::pair{"gelu", Activation::kGelu},
                                         {"gelu_python", Activation::kGelu},
                                         {"gelu_new", Activation::kGeluNew},
                                         {"gelu_fast", Activation::kGeluNew},
                                         {"gelu_pytorch_tanh", Activation::kGeluNew},
                                         {"relu", Activation::kRelu},
                                         {"silu", Activation::kSilu},
                                         {"swish", Activation::kSilu},
                                         {"tanh", Activation::kTanh}}) {
    EXPECT_EQ(parse_activation(name, "x"), activation) << name;
    EXPECT_EQ(parse_activation(activation_name(activation), "x"), activation) << name;
  }
  EXPECT_EQ(activation_name(Activation::kGelu), "gelu");
  EXPECT_EQ(activation_name(Activation::kSilu), "silu");
}

TEST(Config, WritesWhatItReads) {
  ModelConfig c;
  c.vocab_size = 99;
  c.hidden_act = Activation::kRelu;
  c.hidden_dropout_prob = 0.3f;
  c.layer_norm_eps = 1e-7;
  const Json json = model_config_json(c);
  EXPECT_EQ(json["architectures"].dump(), R"(["BertModel"])");
  EXPECT_EQ(json["hidden_dropout_prob"].dump(), "0.3");  // not 0.30000001192092896
  const ModelConfig back = parse_model_config(json, "x");
  EXPECT_EQ(back.vocab_size, 99);
  EXPECT_EQ(back.hidden_act, Activation::kRelu);
  EXPECT_EQ(back.hidden_dropout_prob, 0.3f);
  EXPECT_EQ(back.layer_norm_eps, 1e-7);
  EXPECT_EQ(model_config_json(back), json);
}

}  // namespace
}  // namespace minbert
