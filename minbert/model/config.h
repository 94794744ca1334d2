// ModelConfig: the sizes of a BERT encoder, as in Hugging Face's config.json.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "minbert/base/json.h"
#include "minbert/ops/backend.h"

namespace minbert {

/// The keys and defaults of transformers' BertConfig (configuration_bert.py).
struct ModelConfig {
  std::int64_t vocab_size = 30522;
  std::int64_t hidden_size = 768;  ///< C
  std::int64_t num_hidden_layers = 12;
  std::int64_t num_attention_heads = 12;  ///< H
  std::int64_t intermediate_size = 3072;  ///< F
  std::int64_t max_position_embeddings = 512;
  std::int64_t type_vocab_size = 2;
  std::int64_t pad_token_id = 0;
  Activation hidden_act = Activation::kGelu;
  float hidden_dropout_prob = 0.1f;
  float attention_probs_dropout_prob = 0.1f;
  double layer_norm_eps = 1e-12;
  double initializer_range = 0.02;

  using Refuse = std::function<void(std::string_view key, const std::string& message)>;
  /// Calls refuse(key, message), which is to throw, for missing or impossible sizes.
  void validate(const Refuse& refuse) const;
};

/// Reads config.json. Refuses what this encoder cannot compute (relative positions, decoders, other model types,
/// unknown activations) with Error(kModel); unknown keys are ignored, as transformers does.
ModelConfig parse_model_config(const Json& json, const std::string& place);

/// A config.json that transformers opens as BertModel.
Json model_config_json(const ModelConfig& config);

/// "gelu", "gelu_new", "relu", "silu", "tanh" and Hugging Face's aliases ("gelu_python", "swish", "gelu_pytorch_tanh", ...).
Activation parse_activation(std::string_view name, const std::string& place);
std::string_view activation_name(Activation activation);

}  // namespace minbert
