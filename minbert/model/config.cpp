// ModelConfig: reading, checking and writing Hugging Face's config.json.
#include "minbert/model/config.h"

#include <array>
#include <cmath>
#include <utility>

#include "minbert/base/number.h"

namespace minbert {
namespace {

// transformers/activations.py, ACT2CLS; every tanh form of GELU computes the same function.
constexpr std::array<std::pair<std::string_view, Activation>, 11> kActivations = {{
    {"gelu", Activation::kGelu},
    {"gelu_python", Activation::kGelu},
    {"gelu_new", Activation::kGeluNew},
    {"gelu_fast", Activation::kGeluNew},
    {"gelu_pytorch_tanh", Activation::kGeluNew},
    {"gelu_python_tanh", Activation::kGeluNew},
    {"gelu_accurate", Activation::kGeluNew},
    {"relu", Activation::kRelu},
    {"silu", Activation::kSilu},
    {"swish", Activation::kSilu},
    {"tanh", Activation::kTanh},
}};

[[noreturn]] void refuse(const std::string& place, std::string_view key, std::string_view message, std::string hint = {}) {
  throw Error(ErrorTag::kModel, place, fmt::format("\"{}\": {}", key, message), std::move(hint));
}

/// Reads the keys of one config.json. An absent or null key leaves the default, as in BertConfig.
class ConfigReader {
 public:
  ConfigReader(const Json& json, const std::string& place) : json_(json), place_(place) {}

  const Json* find(const char* key) const {
    const auto at = json_.find(key);
    return at == json_.end() || at->is_null() ? nullptr : &*at;
  }

  void read(const char* key, std::int64_t& value) const {
    const Json* json = find(key);
    if (json == nullptr) return;
    if (!json->is_number_integer()) refuse(place_, key, "expected an integer, got " + json->dump());
    // An unsigned value beyond int64 would be read as a negative one.
    if (json->is_number_unsigned() && json->get<std::uint64_t>() > INT64_MAX) refuse(place_, key, json->dump() + " is too large");
    value = json->get<std::int64_t>();
  }

  template <std::floating_point T>
  void read(const char* key, T& value) const {
    const Json* json = find(key);
    if (json == nullptr) return;
    if (!json->is_number()) refuse(place_, key, "expected a number, got " + json->dump());
    value = json->get<T>();
  }

  std::string text(const char* key, std::string_view fallback) const {
    const Json* json = find(key);
    if (json == nullptr) return std::string(fallback);
    if (!json->is_string()) refuse(place_, key, "expected a string, got " + json->dump());
    return json->get<std::string>();
  }

  void refuse_if_set(const char* key, std::string_view why) const {
    const Json* json = find(key);
    if (json == nullptr || *json == false || ((json->is_object() || json->is_array()) && json->empty())) return;
    refuse(place_, key, fmt::format("got {}; {}", json->dump(), why));
  }

 private:
  const Json& json_;
  const std::string& place_;
};

}  // namespace

Activation parse_activation(std::string_view name, const std::string& place) {
  for (const auto& [known, activation] : kActivations)
    if (known == name) return activation;
  std::string names;
  for (const auto& [known, activation] : kActivations) names += fmt::format("{}{}", names.empty() ? "" : ", ", known);
  throw Error(ErrorTag::kModel, place, fmt::format("unknown activation \"{}\"", name), "known: " + names);
}

std::string_view activation_name(Activation activation) {
  for (const auto& [name, known] : kActivations)
    if (known == activation) return name;
  MINBERT_CHECK(false, "activation {}", static_cast<int>(activation));
}

void ModelConfig::validate(const Refuse& refuse) const {
  struct Size {
    const char* key;
    std::int64_t value, most;
  };
  // Bounds far beyond any BERT, so that a product of two sizes cannot overflow; a token's position has 16 bits (RowId).
  const std::array<Size, 7> sizes = {{{"vocab_size", vocab_size, 1 << 26},
                                      {"hidden_size", hidden_size, 1 << 16},
                                      {"num_hidden_layers", num_hidden_layers, 1 << 10},
                                      {"num_attention_heads", num_attention_heads, 1 << 8},
                                      {"intermediate_size", intermediate_size, 1 << 20},
                                      {"max_position_embeddings", max_position_embeddings, 1 << 16},
                                      {"type_vocab_size", type_vocab_size, 1 << 10}}};
  for (const Size& size : sizes) {
    if (size.value < 1 || size.value > size.most) refuse(size.key, fmt::format("expected 1..{}, got {}", size.most, size.value));
  }
  if (hidden_size % num_attention_heads != 0)
    refuse("hidden_size", fmt::format("expected a multiple of num_attention_heads ({}), got {}", num_attention_heads, hidden_size));
  if (pad_token_id < 0 || pad_token_id >= vocab_size)
    refuse("pad_token_id", fmt::format("expected 0..{}, got {}", vocab_size - 1, pad_token_id));
  for (const auto& [key, p] :
       {std::pair{"hidden_dropout_prob", hidden_dropout_prob}, std::pair{"attention_probs_dropout_prob", attention_probs_dropout_prob}}) {
    if (!(p >= 0 && p < 1)) refuse(key, fmt::format("expected 0 <= p < 1, got {}", p));
  }
  if (!(layer_norm_eps > 0 && layer_norm_eps < 1)) refuse("layer_norm_eps", fmt::format("expected 0 < eps < 1, got {}", layer_norm_eps));
  if (!(initializer_range >= 0 && initializer_range < 1e3))
    refuse("initializer_range", fmt::format("expected 0 <= range < 1000, got {}", initializer_range));
}

ModelConfig parse_model_config(const Json& json, const std::string& place) {
  if (!json.is_object()) throw Error(ErrorTag::kModel, place, fmt::format("expected a JSON object, got {}", json.type_name()));
  const ConfigReader reader(json, place);

  if (const std::string type = reader.text("model_type", "bert"); type != "bert")
    refuse(place, "model_type", fmt::format("expected \"bert\", got \"{}\"", type),
           "models of type bert are read: BERT, multilingual BERT, MiniLM, BGE, E5 v2, GTE and their like (docs/models.md)");
  if (const std::string position = reader.text("position_embedding_type", "absolute"); position != "absolute")
    refuse(place, "position_embedding_type", fmt::format("expected \"absolute\", got \"{}\"", position),
           "relative positions are not supported");
  reader.refuse_if_set("is_decoder", "decoders are not supported");
  reader.refuse_if_set("add_cross_attention", "cross-attention is not supported");
  reader.refuse_if_set("pruned_heads", "pruned attention heads are not supported");
  reader.refuse_if_set("quantization_config", "quantised weights are not supported");

  ModelConfig config;
  reader.read("vocab_size", config.vocab_size);
  reader.read("hidden_size", config.hidden_size);
  reader.read("num_hidden_layers", config.num_hidden_layers);
  reader.read("num_attention_heads", config.num_attention_heads);
  reader.read("intermediate_size", config.intermediate_size);
  reader.read("max_position_embeddings", config.max_position_embeddings);
  reader.read("type_vocab_size", config.type_vocab_size);
  reader.read("pad_token_id", config.pad_token_id);
  reader.read("hidden_dropout_prob", config.hidden_dropout_prob);
  reader.read("attention_probs_dropout_prob", config.attention_probs_dropout_prob);
  reader.read("layer_norm_eps", config.layer_norm_eps);
  reader.read("initializer_range", config.initializer_range);
  if (config.pad_token_id < 0 && config.pad_token_id >= -config.vocab_size) config.pad_token_id += config.vocab_size;  // as nn.Embedding
  config.hidden_act = parse_activation(reader.text("hidden_act", "gelu"), place + ": \"hidden_act\"");
  config.validate([&](std::string_view key, const std::string& message) { refuse(place, key, message); });
  return config;
}

Json model_config_json(const ModelConfig& config) {
  return {{"architectures", {"BertModel"}},
          {"model_type", "bert"},
          {"vocab_size", config.vocab_size},
          {"hidden_size", config.hidden_size},
          {"num_hidden_layers", config.num_hidden_layers},
          {"num_attention_heads", config.num_attention_heads},
          {"intermediate_size", config.intermediate_size},
          {"hidden_act", activation_name(config.hidden_act)},
          {"max_position_embeddings", config.max_position_embeddings},
          {"type_vocab_size", config.type_vocab_size},
          {"pad_token_id", config.pad_token_id},
          {"position_embedding_type", "absolute"},
          {"hidden_dropout_prob", as_written(config.hidden_dropout_prob)},
          {"attention_probs_dropout_prob", as_written(config.attention_probs_dropout_prob)},
          {"layer_norm_eps", config.layer_norm_eps},
          {"initializer_range", config.initializer_range}};
}

}  // namespace minbert
