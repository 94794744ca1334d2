// The encoder and its pooling as an ONNX graph.
#pragma once

#include <map>

#include "minbert/model/sentence_modules.h"
#include "minbert/onnx/layers.h"

namespace minbert {

/// The inputs and last hidden states of an encoder that is in the graph, and the sentence vectors made of them.
class EncoderGraph {
 public:
  /// Adds the inputs input_ids, attention_mask and token_type_ids, int64 (batch, sequence), and the encoder. Padding stands at the end.
  explicit EncoderGraph(OnnxLayers& layers);

  /// (batch, sequence, C)
  const OnnxValue& hidden() const { return hidden_; }
  /// Sentence vectors (batch, C) as heads read them. The pooler, if the model has one, is added once.
  OnnxValue pool(Pool pool);
  /// Sentence vectors (batch, modules.width(C)), of all tokens.
  OnnxValue sentence_embedding(const SentenceModules& modules);

 private:
  OnnxValue embed();
  OnnxValue attention(const OnnxValue& x, const std::string& layer, const OnnxValue& bias);
  OnnxValue token(const OnnxValue& index);
  OnnxValue weighted_sum(const OnnxValue& weights);
  OnnxValue pool(TokenPool mode);
  OnnxValue apply(const VectorModule& module, const OnnxValue& x, std::size_t number);

  OnnxLayers& layers_;
  OnnxValue ids_, types_, mask_;  // mask: f32 (batch, sequence)
  OnnxValue hidden_;
  std::map<TokenPool, OnnxValue> pools_;  // those that are in the graph already
};

}  // namespace minbert
