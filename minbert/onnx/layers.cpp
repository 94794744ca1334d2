// Each layer is spelled as transformers' own exports spell it, so that onnxruntime's fusions recognise it.
#include "minbert/onnx/layers.h"

#include <cmath>
#include <numbers>

#include "minbert/base/check.h"

namespace minbert {

std::vector<float> OnnxLayers::values(const std::string& name) const { return params_.backend().to_host(params_.value(name)); }

OnnxValue OnnxLayers::weight(const std::string& name) { return graph_.constant(name, values(name), params_.value(name).shape()); }

OnnxValue OnnxLayers::linear(const OnnxValue& x, const std::string& name) {
  return linear(x, name, values(name + ".weight"), values(name + ".bias"), params_.value(name + ".weight").rows());
}

OnnxValue OnnxLayers::linear(const OnnxValue& x, const std::string& name, std::span<const float> weight, std::span<const float> bias,
                             std::int64_t outputs) {
  const std::int64_t inputs = std::ssize(weight) / outputs;
  std::vector<float> transposed(weight.size());
  for (std::int64_t o = 0; o < outputs; ++o)
    for (std::int64_t i = 0; i < inputs; ++i)
      transposed[static_cast<std::size_t>(i * outputs + o)] = weight[static_cast<std::size_t>(o * inputs + i)];
  const std::int64_t shape[] = {inputs, outputs};
  const OnnxValue product = op("MatMul", {x, graph_.constant(name + ".weight", transposed, shape)});
  if (bias.empty()) return product;
  return op("Add", {product, graph_.constant(name + ".bias", bias, std::span(&outputs, 1))});
}

OnnxValue OnnxLayers::norm(const OnnxValue& x, const std::string& name) {
  return norm(x, weight(name + ".weight"), weight(name + ".bias"), params_.config().layer_norm_eps);
}

OnnxValue OnnxLayers::norm(const OnnxValue& x, const OnnxValue& gamma, const OnnxValue& beta, double eps) {
  return op("LayerNormalization", {x, gamma, beta}, {{"axis", std::int64_t{-1}}, {"epsilon", static_cast<float>(eps)}});
}

OnnxValue OnnxLayers::gelu(const OnnxValue& x) {
  const OnnxValue erf = op("Erf", {op("Div", {x, scalar(std::numbers::sqrt2)})});
  return op("Mul", {op("Mul", {x, op("Add", {erf, scalar(1)})}), scalar(0.5)});
}

OnnxValue OnnxLayers::activation(const OnnxValue& x, Activation kind) {
  switch (kind) {
    case Activation::kGelu: return gelu(x);
    case Activation::kRelu: return op("Relu", {x});
    case Activation::kSilu: return op("Mul", {x, op("Sigmoid", {x})});
    case Activation::kTanh: return op("Tanh", {x});
    case Activation::kGeluNew: break;
  }
  // 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))
  const OnnxValue cube = op("Mul", {op("Mul", {op("Mul", {x, x}), x}), scalar(0.044715)});
  const OnnxValue tanh = op("Tanh", {op("Mul", {op("Add", {x, cube}), scalar(std::sqrt(2 / std::numbers::pi))})});
  return op("Mul", {op("Mul", {x, scalar(0.5)}), op("Add", {tanh, scalar(1)})});
}

OnnxValue OnnxLayers::activation(const OnnxValue& x, std::string_view torch_class) {
  if (torch_class == "Identity") return x;
  if (torch_class == "ReLU") return op("Relu", {x});
  if (torch_class == "GELU") return gelu(x);
  if (torch_class == "SiLU") return op("Mul", {x, op("Sigmoid", {x})});
  if (torch_class == "LogSigmoid") return op("Neg", {op("Softplus", {op("Neg", {x})})});
  if (torch_class == "LeakyReLU") return op("LeakyRelu", {x}, {{"alpha", 0.01f}});
  if (torch_class == "ELU") return op("Elu", {x}, {{"alpha", 1.0f}});
  if (torch_class == "SELU") return op("Selu", {x});
  if (torch_class == "ReLU6") return op("Clip", {x, scalar(0), scalar(6)});
  if (torch_class == "Hardtanh") return op("Clip", {x, scalar(-1), scalar(1)});
  if (torch_class == "Mish") return op("Mul", {x, op("Tanh", {op("Softplus", {x})})});
  for (const std::string_view same : {"Tanh", "Sigmoid", "Softplus", "Softsign"})
    if (torch_class == same) return op(std::string(same), {x});
  MINBERT_CHECK(false, "no ONNX for the activation {}", torch_class);
  return {};
}

}  // namespace minbert
