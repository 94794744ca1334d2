// Embeddings, layers, poolings and modules; the names of inputs are those of transformers.
#include "minbert/onnx/encoder_graph.h"

#include <cmath>
#include <limits>

namespace minbert {
namespace {

constexpr double kTorchNormEps = 1e-5;  // torch/nn/modules/normalization.py

const std::vector<OnnxDim> kTokens = {"batch", "sequence"};

}  // namespace

EncoderGraph::EncoderGraph(OnnxLayers& layers)
    : layers_(layers),
      ids_(layers.graph().input("input_ids", OnnxType::kInt64, kTokens)),
      types_(),
      mask_(layers.graph().input("attention_mask", OnnxType::kInt64, kTokens)) {
  types_ = layers_.graph().input("token_type_ids", OnnxType::kInt64, kTokens);
  mask_ = layers_.op("Cast", {mask_}, {{"to", std::int64_t{1}}});  // TensorProto::FLOAT
  // 0 for a token, the lowest number for padding, added to each row of scores.
  const OnnxValue padding = layers_.op("Sub", {layers_.scalar(1), layers_.op("Unsqueeze", {mask_, layers_.list({1, 2})})});
  const OnnxValue bias = layers_.op("Mul", {padding, layers_.scalar(std::numeric_limits<float>::lowest())});

  OnnxValue x = embed();
  for (std::int64_t l = 0; l < layers_.params().config().num_hidden_layers; ++l) {
    const std::string name = fmt::format("encoder.layer.{}.", l);
    const OnnxValue projected = layers_.linear(attention(x, name, bias), name + "attention.output.dense");
    const OnnxValue h = layers_.norm(layers_.op("Add", {projected, x}), name + "attention.output.LayerNorm");
    const OnnxValue wide = layers_.activation(layers_.linear(h, name + "intermediate.dense"), layers_.params().config().hidden_act);
    x = layers_.norm(layers_.op("Add", {layers_.linear(wide, name + "output.dense"), h}), name + "output.LayerNorm");
  }
  hidden_ = x;
}

// (batch, sequence, C). Positions are 0, 1, ... in each row: the first `sequence` rows of their table.
OnnxValue EncoderGraph::embed() {
  const OnnxValue words = layers_.op("Gather", {layers_.weight("embeddings.word_embeddings.weight"), ids_});
  const OnnxValue types = layers_.op("Gather", {layers_.weight("embeddings.token_type_embeddings.weight"), types_});
  const OnnxValue length = layers_.op("Shape", {ids_}, {{"start", std::int64_t{1}}, {"end", std::int64_t{2}}});
  const OnnxValue positions =
      layers_.op("Slice", {layers_.weight("embeddings.position_embeddings.weight"), layers_.list({0}), length, layers_.list({0})});
  return layers_.norm(layers_.op("Add", {layers_.op("Add", {words, types}), positions}), "embeddings.LayerNorm");
}

// Self-attention of x (batch, sequence, C), before its output layer.
OnnxValue EncoderGraph::attention(const OnnxValue& x, const std::string& layer, const OnnxValue& bias) {
  const ModelConfig& config = layers_.params().config();
  const std::int64_t heads = config.num_attention_heads, width = config.hidden_size / heads;
  const auto split = [&](const std::string& part, std::vector<std::int64_t> order) {
    const OnnxValue projected = layers_.linear(x, layer + "attention.self." + part);
    return layers_.op("Transpose", {layers_.op("Reshape", {projected, layers_.list({0, 0, heads, width})})}, {{"perm", std::move(order)}});
  };
  const OnnxValue q = split("query", {0, 2, 1, 3}), k = split("key", {0, 2, 3, 1}), v = split("value", {0, 2, 1, 3});
  const OnnxValue scores = layers_.op("Div", {layers_.op("MatMul", {q, k}), layers_.scalar(std::sqrt(static_cast<double>(width)))});
  const OnnxValue probs = layers_.op("Softmax", {layers_.op("Add", {scores, bias})}, {{"axis", std::int64_t{-1}}});
  const OnnxValue context = layers_.op("Transpose", {layers_.op("MatMul", {probs, v})}, {{"perm", std::vector<std::int64_t>{0, 2, 1, 3}}});
  return layers_.op("Reshape", {context, layers_.list({0, 0, config.hidden_size})});
}

// Hidden states (batch, C) at an index (batch, 1) of each row.
OnnxValue EncoderGraph::token(const OnnxValue& index) {
  return layers_.op("GatherND", {hidden_, index}, {{"batch_dims", std::int64_t{1}}});
}

// (batch, C), the hidden states times weights (batch, sequence), added up.
OnnxValue EncoderGraph::weighted_sum(const OnnxValue& weights) {
  const OnnxValue product = layers_.op("Mul", {hidden_, layers_.op("Unsqueeze", {weights, layers_.list({2})})});
  return layers_.op("ReduceSum", {product, layers_.list({1})}, {{"keepdims", std::int64_t{0}}});
}

OnnxValue EncoderGraph::pool(Pool kind) {
  switch (kind) {
    case Pool::kCls: return pool(TokenPool::kCls);
    case Pool::kMean: return pool(TokenPool::kMean);
    case Pool::kPooler: break;
  }
  return pool(TokenPool::kPooler);
}

OnnxValue EncoderGraph::pool(TokenPool mode) {
  if (const auto made = pools_.find(mode); made != pools_.end()) return made->second;
  const auto count_of = [&](const OnnxValue& weights) { return layers_.op("ReduceSum", {weights, layers_.list({1})}); };
  const auto make = [&]() -> OnnxValue {
    switch (mode) {
      case TokenPool::kCls:
        return layers_.op("Squeeze",
                          {layers_.op("Slice", {hidden_, layers_.list({0}), layers_.list({1}), layers_.list({1})}), layers_.list({1})});
      case TokenPool::kPooler: return layers_.op("Tanh", {layers_.linear(pool(TokenPool::kCls), "pooler.dense")});
      case TokenPool::kMean: return layers_.op("Div", {weighted_sum(mask_), count_of(mask_)});
      case TokenPool::kMeanSqrtLength: return layers_.op("Div", {weighted_sum(mask_), layers_.op("Sqrt", {count_of(mask_)})});
      case TokenPool::kWeightedMean: {
        const OnnxValue positions = layers_.op("CumSum", {mask_, layers_.op("Squeeze", {layers_.list({1})})});
        const OnnxValue weights = layers_.op("Mul", {positions, mask_});
        return layers_.op("Div", {weighted_sum(weights), count_of(weights)});
      }
      case TokenPool::kLastToken:
        return token(layers_.op("Cast", {layers_.op("Sub", {count_of(mask_), layers_.scalar(1)})}, {{"to", std::int64_t{7}}}));  // INT64
      case TokenPool::kMax: break;
    }
    const OnnxValue is_token = layers_.op("Greater", {layers_.op("Unsqueeze", {mask_, layers_.list({2})}), layers_.scalar(0)});
    const OnnxValue tokens = layers_.op("Where", {is_token, hidden_, layers_.scalar(std::numeric_limits<float>::lowest())});
    return layers_.op("ReduceMax", {tokens}, {{"axes", std::vector<std::int64_t>{1}}, {"keepdims", std::int64_t{0}}});
  };
  return pools_[mode] = make();
}

OnnxValue EncoderGraph::apply(const VectorModule& module, const OnnxValue& x, std::size_t number) {
  const std::string name = fmt::format("modules.{}", number);
  if (const auto* dense = std::get_if<DenseModule>(&module)) {
    const OnnxValue y =
        layers_.activation(layers_.linear(x, name + ".linear", dense->weight, dense->bias, dense->outputs), class_name(dense->activation));
    if (!dense->use_residual) return y;
    return layers_.op("Add", {y, dense->residual.empty() ? x : layers_.linear(x, name + ".residual", dense->residual, {}, dense->outputs)});
  }
  if (const auto* norm = std::get_if<LayerNormModule>(&module)) {
    const std::int64_t width = std::ssize(norm->weight);
    return layers_.norm(x, layers_.graph().constant(name + ".weight", norm->weight, std::span(&width, 1)),
                        layers_.graph().constant(name + ".bias", norm->bias, std::span(&width, 1)), kTorchNormEps);
  }
  if (std::holds_alternative<NormalizeModule>(module)) {
    const OnnxValue length = layers_.op("ReduceL2", {x}, {{"axes", std::vector<std::int64_t>{-1}}, {"keepdims", std::int64_t{1}}});
    return layers_.op("Div", {x, layers_.op("Max", {length, layers_.scalar(kNormFloor)})});
  }
  if (const auto* truncate = std::get_if<TruncateModule>(&module))
    return layers_.op("Slice", {x, layers_.list({0}), layers_.list({truncate->width}), layers_.list({1})});
  return x;  // dropout
}

OnnxValue EncoderGraph::sentence_embedding(const SentenceModules& modules) {
  OnnxValue x;
  for (const TokenPool mode : modules.pooling.modes)
    x = x.empty() ? pool(mode) : layers_.op("Concat", {x, pool(mode)}, {{"axis", std::int64_t{1}}});
  for (std::size_t i = 0; i < modules.after.size(); ++i) x = apply(modules.after[i], x, i);
  return x;
}

}  // namespace minbert
