// A task's head (paper eq. 1-3): dropout, features of one or two sentence vectors, dense layers, logits; forward and backward.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "minbert/model/encoder.h"

namespace minbert {

/// What backward needs of a head. Tensors live in the arena that was given to forward, or are its inputs.
struct HeadActivations {
  std::size_t head = 0;  // index into ModelShape::heads
  DropoutState dropout;
  IndexList<RowId> u_rows, v_rows;  // (B), empty without dropout
  Tensor u, v;                      // (B, C) after dropout; v for pairs only
  Tensor features;                  // (B, I)
  std::vector<Tensor> pre, act;     // (B, width) before and after the GELU of each dense layer
};

class Head {
 public:
  /// The head of ModelShape::heads[index]. `params` must outlive this object and stay where they are.
  Head(Backend& backend, Params& params, std::size_t index);

  const HeadShape& shape() const { return *shape_; }
  /// All parameters of the head; empty when it has none.
  ParamSpan span() const { return span_; }

  /// Overwrites logits (B, K) from u (B, C) and, for pairs, v (B, C), in the parameters' dtype. rows (B) are the examples, needed with
  /// dropout only; u has the masks of their pass, v those of the pass after it. Fills `saved` for backward.
  void forward(Arena& arena, HeadActivations& saved, Tensor logits, const Tensor& u, const Tensor& v, std::span<const RowId> rows,
               const DropoutState& dropout);
  /// Accumulates into `gradients`; overwrites du and dv (B, C) unless du is empty.
  void backward(Arena& arena, Gradients& gradients, Tensor du, Tensor dv, const Tensor& dlogits, const HeadActivations& saved);

 private:
  Dropout dropout_of(const DropoutState& state) const;
  Tensor features_forward(Arena& arena, const HeadActivations& saved);
  void features_backward(Tensor du, Tensor dv, const Tensor& dfeatures, const HeadActivations& saved);

  Backend* backend_;
  const HeadShape* shape_;
  std::size_t index_;
  DType dtype_;
  std::int64_t inputs_;
  std::vector<LinearParams> layers_;  // dense ..., out
  ParamSpan span_;
};

}  // namespace minbert
