// Follows Head::forward (model/heads.cpp) and decode() (pipeline/predict.cpp).
#include "minbert/onnx/head_graph.h"

namespace minbert {
namespace {

// u.v / max(|u| |v|, kCosineFloor), (batch, 1)
OnnxValue cosine(OnnxLayers& layers, const OnnxValue& u, const OnnxValue& v) {
  const auto length = [&](const OnnxValue& x) {
    return layers.op("ReduceL2", {x}, {{"axes", std::vector<std::int64_t>{-1}}, {"keepdims", std::int64_t{1}}});
  };
  const OnnxValue product = layers.op("ReduceSum", {layers.op("Mul", {u, v}), layers.list({-1})}, {{"keepdims", std::int64_t{1}}});
  return layers.op("Div", {product, layers.op("Max", {layers.op("Mul", {length(u), length(v)}), layers.scalar(kCosineFloor)})});
}

OnnxValue features(OnnxLayers& layers, Features kind, const OnnxValue& u, const OnnxValue& v) {
  const OnnxAttribute axis = {"axis", std::int64_t{1}};
  switch (kind) {
    case Features::kSingle: return u;
    case Features::kPair: return layers.op("Concat", {u, v}, {axis});
    case Features::kPairDifference: return layers.op("Concat", {u, v, layers.op("Abs", {layers.op("Sub", {u, v})})}, {axis});
    case Features::kPairComparison:
      return layers.op("Concat", {layers.op("Abs", {layers.op("Sub", {u, v})}), layers.op("Mul", {u, v})}, {axis});
    case Features::kCosine: break;
  }
  return cosine(layers, u, v);
}

OnnxValue scaled(OnnxLayers& layers, const OnnxValue& x, double low, double high) {
  return layers.op("Add", {layers.op("Mul", {x, layers.scalar(high - low)}), layers.scalar(low)});
}

OnnxValue add_logits(OnnxLayers& layers, const HeadShape& shape, const OnnxValue& u, const OnnxValue& v) {
  OnnxValue x = features(layers, shape.features, u, v);
  if (shape.outputs == 0) return scaled(layers, layers.op("Relu", {x}), shape.low, shape.high);
  for (std::size_t i = 0; i < shape.dense.size(); ++i)
    x = layers.activation(layers.linear(x, fmt::format("heads.{}.dense.{}", shape.task, i)), Activation::kGelu);
  return layers.linear(x, fmt::format("heads.{}.out", shape.task));
}

}  // namespace

void add_head(OnnxLayers& layers, const TaskSpec& task, const HeadShape& shape, const OnnxValue& u, const OnnxValue& v) {
  const OnnxValue logits = add_logits(layers, shape, u, v);
  const auto give = [&](const OnnxValue& value, const std::string& name, std::vector<OnnxDim> dims) {
    layers.graph().output(value, fmt::format("{}.{}", task.name, name), dims);
  };
  give(logits, "logits", {"batch", shape.logits()});
  if (task.is_regression()) {
    const auto [low, high] = task.data.label_range;
    const OnnxValue value = task.trained_by() == Loss::kBce ? scaled(layers, layers.op("Sigmoid", {logits}), low, high) : logits;
    give(layers.op("Squeeze", {value, layers.list({1})}), "value", {"batch"});
    return;
  }
  const OnnxValue tempered = task.temperature == 1 ? logits : layers.op("Div", {logits, layers.scalar(task.temperature)});
  if (task.is_multi_label()) {
    give(layers.op("Sigmoid", {tempered}), "probs", {"batch", shape.logits()});
  } else if (shape.logits() == 1) {
    const OnnxValue both = layers.op("Concat", {layers.op("Neg", {tempered}), tempered}, {{"axis", std::int64_t{1}}});
    give(layers.op("Sigmoid", {both}), "probs", {"batch", std::int64_t{2}});
  } else {
    give(layers.op("Softmax", {tempered}, {{"axis", std::int64_t{-1}}}), "probs", {"batch", shape.logits()});
  }
}

}  // namespace minbert
