// OnnxLayers: BERT's layers as nodes of an OnnxGraph, with the weights of a model.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/model/params.h"
#include "minbert/onnx/graph.h"

namespace minbert {

class OnnxLayers {
 public:
  /// `params` must outlive this object.
  OnnxLayers(OnnxGraph& graph, const Params& params) : graph_(graph), params_(params) {}

  OnnxGraph& graph() { return graph_; }
  const Params& params() const { return params_; }

  OnnxValue op(const std::string& name, std::initializer_list<OnnxValue> inputs, std::initializer_list<OnnxAttribute> attributes = {}) {
    return graph_.node(name, std::span(inputs.begin(), inputs.size()), std::span(attributes.begin(), attributes.size()));
  }
  OnnxValue scalar(double value) { return graph_.constant(static_cast<float>(value)); }
  OnnxValue list(std::initializer_list<std::int64_t> values) { return graph_.constant(std::span(values.begin(), values.size())); }

  /// A parameter as it is.
  OnnxValue weight(const std::string& name);
  /// x (..., I) w^T + bias with the parameters `name`.weight (O, I) and `name`.bias (O).
  OnnxValue linear(const OnnxValue& x, const std::string& name);
  /// x w^T + bias with a weight (outputs, inputs) and a bias, which may be empty, that are not the model's; `name` must be new.
  OnnxValue linear(const OnnxValue& x, const std::string& name, std::span<const float> weight, std::span<const float> bias,
                   std::int64_t outputs);
  /// LayerNorm over the last dimension with the parameters `name`.weight and `name`.bias.
  OnnxValue norm(const OnnxValue& x, const std::string& name);
  OnnxValue norm(const OnnxValue& x, const OnnxValue& gamma, const OnnxValue& beta, double eps);
  OnnxValue activation(const OnnxValue& x, Activation kind);
  /// An activation that the table of find_activation() knows, by the name of its class: "Tanh".
  OnnxValue activation(const OnnxValue& x, std::string_view torch_class);

 private:
  std::vector<float> values(const std::string& name) const;
  OnnxValue gelu(const OnnxValue& x);

  OnnxGraph& graph_;
  const Params& params_;
};

}  // namespace minbert
