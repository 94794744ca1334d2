// The masked-LM head (paper eq. 7), which scores every word piece for each hidden token; forward and backward.
#pragma once

#include <span>
#include <vector>

#include "minbert/model/encoder.h"

namespace minbert {

/// What backward needs of the head. Tensors live in the arena that was given to forward, or are its inputs.
struct MlmHeadActivations {
  Dropout dropout;
  RowIds rows;      // (M), needed with dropout only
  Tensor x;         // (M, C) after dropout
  Tensor pre, act;  // (M, C) before and after the transform's activation
  Tensor stats;     // (M, 2) statistics of the transform's layernorm
  Tensor h;         // (M, C) the input of the output layer
};

/// kLinear: logits = W drop(x), with W (V, C) and no bias. kTied is transformers' BertLMPredictionHead, whose output layer is the matrix E
/// of word embeddings: logits = E layernorm(act(D drop(x) + d)) + b.
class MlmHead {
 public:
  /// `params` must outlive this object and stay where they are.
  MlmHead(Backend& backend, Params& params);

  /// The head's own parameters, without the word embeddings, which belong to the encoder.
  ParamSpan span() const { return span_; }

  /// Overwrites logits (M, V), in the parameters' dtype, from x (M, C), in the compute dtype. rows (M): needed with dropout only.
  void forward(Arena& arena, MlmHeadActivations& saved, Tensor logits, const Tensor& x, RowIds rows, const DropoutState& dropout);
  /// Accumulates into `gradients`, with kTied also of the word embeddings; overwrites dx (M, C), in the compute dtype, unless it is empty.
  void backward(Arena& arena, Gradients& gradients, Tensor dx, const Tensor& dlogits, const MlmHeadActivations& saved);

 private:
  Tensor transform_forward(Arena& arena, MlmHeadActivations& saved);
  void transform_backward(Arena& arena, Gradients& gradients, Tensor dx, const Tensor& dh, const MlmHeadActivations& saved);

  Backend& backend_;
  const ModelConfig& config_;
  DType compute_;
  bool tied_;
  LinearParams output_;     // with a bias for kTied only
  LinearParams transform_;  // for kTied only
  NormParams norm_;         // for kTied only
  ParamSpan span_;
};

}  // namespace minbert
