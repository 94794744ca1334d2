// The masked-LM head (paper eq. 7): scores of every word piece for hidden tokens; forward and backward.
#pragma once

#include <span>
#include <vector>

#include "minbert/model/encoder.h"

namespace minbert {

/// What backward needs of the head. Tensors live in the arena that forward was given, or are its inputs.
struct MlmHeadActivations {
  Dropout dropout;
  RowIds rows;              // (M), needed with dropout only
  Tensor x;                 // (M, C) after dropout
  Tensor pre, act;          // (M, C) before and after the transform's activation
  Tensor stats;             // (M, 2) of the transform's layernorm
  Tensor h;                 // (M, C) what is compared with each word piece
};

/// kLinear: logits = W drop(x), W (V, C) without bias. kTied: transformers' BertLMPredictionHead, whose output layer is the word
/// embeddings: logits = E layernorm(act(D drop(x) + d)) + b.
class MlmHead {
 public:
  /// `params` must outlive this object and stay where they are.
  MlmHead(Backend& backend, Params& params);

  /// The head's own parameters; the word embeddings are the encoder's.
  ParamSpan span() const { return span_; }

  /// Overwrites logits (M, V), in the parameters' dtype, from x (M, C), in the compute dtype. rows (M): needed with dropout only.
  void forward(Arena& arena, MlmHeadActivations& saved, Tensor logits, const Tensor& x, RowIds rows, const DropoutState& dropout);
  /// Accumulates into `gradients` (kTied: into those of the word embeddings too); overwrites dx (M, C), compute dtype, unless empty.
  void backward(Arena& arena, Gradients& gradients, Tensor dx, const Tensor& dlogits, const MlmHeadActivations& saved);

 private:
  Tensor transform_forward(Arena& arena, MlmHeadActivations& saved);
  void transform_backward(Arena& arena, Gradients& gradients, Tensor dx, const Tensor& dh, const MlmHeadActivations& saved);

  Backend& backend_;
  const ModelConfig& config_;
  DType compute_;
  bool tied_;
  LinearParams output_;     // bias of kTied only
  LinearParams transform_;  // kTied
  NormParams norm_;         // kTied
  ParamSpan span_;
};

}  // namespace minbert
