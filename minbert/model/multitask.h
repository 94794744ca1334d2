// The multitask model (paper figure 1): one encoder, a pooler, a head for each task, and one for masked-LM training; forward and backward.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "minbert/model/encoder.h"
#include "minbert/model/heads.h"
#include "minbert/model/mlm_head.h"

namespace minbert {

/// What backward needs of the sentence vectors of S sentences.
struct PoolActivations {
  Pool pool = Pool::kCls;
  Indices offsets;    // (S + 1) the batch's, for kMean only
  Tensor cls;         // (S, C) last hidden states of [CLS]: the pooler's input
  Tensor pooler_pre;  // (S, C) before tanh
};

/// What backward needs of a forward pass of one task. When it is reused, its vectors keep their memory.
struct TaskActivations {
  EncoderActivations encoder;
  PoolActivations pool;
  std::vector<RowId> examples;  // (B)
  HeadActivations head;
};

/// What backward needs of a forward pass of masked-LM training.
struct MlmActivations {
  EncoderActivations encoder;
  MlmHeadActivations head;
};

class MultitaskModel {
 public:
  /// `params` must outlive this object and stay where they are; they must have a pooler when a head reads it.
  MultitaskModel(Backend& backend, Params& params);
  /// A model of the same parameters on a sibling of its backend, for forward passes at the same time.
  std::unique_ptr<MultitaskModel> beside(Backend& backend) const { return std::make_unique<MultitaskModel>(backend, params_); }

  Encoder& encoder() { return encoder_; }
  Backend& backend() const { return backend_; }
  const Params& params() const { return params_; }

  /// Logits (B, K), in the parameters' dtype, of task `head` (an index into ModelShape::heads). For pairs the batch holds 2B sentences: all
  /// first ones, then all second ones (RowId::pass 0 and 1). Without `saved` only the logits stay in the arena.
  Tensor forward(Arena& arena, TaskActivations* saved, std::size_t head, const TokenBatch& batch, const DropoutState& dropout);
  /// Accumulates into `gradients`; computes nothing below the lowest parameter that trains. Calls `on_grad_ready` for the head, for the
  /// pooler, then as Encoder::backward does.
  void backward(Arena& arena, Gradients& gradients, const Tensor& dlogits, const TaskActivations& saved,
                const Encoder::GradReady& on_grad_ready = {});

  /// Sentence vectors (S, C), in the parameters' dtype, as heads read them. Fills encoder and pool of `saved`, if given, for
  /// vectors_backward().
  Tensor sentence_vectors(Arena& arena, TaskActivations* saved, const TokenBatch& batch, Pool pool, const DropoutState& dropout);
  /// Accumulates the gradients of pooler and encoder into `gradients`; dvectors (S, C). Calls `on_grad_ready` as backward() does.
  void vectors_backward(Arena& arena, Gradients& gradients, const Tensor& dvectors, const TaskActivations& saved,
                        const Encoder::GradReady& on_grad_ready = {});

  /// Last hidden states (M, C), in the parameters' dtype, of the tokens `wanted`: ascending indices into the batch; empty: all N.
  Tensor hidden_states(Arena& arena, const TokenBatch& batch, std::span<const std::int32_t> wanted);
  /// Sentence vectors (S, C) of hidden states (M, C), whose sentences lie between `offsets` (S + 1) and begin with [CLS]. A sentence has
  /// all its tokens if `pool` is kMean.
  Tensor pool_states(Arena& arena, const Tensor& hidden, const Indices& offsets, Pool pool);

  /// The head alone, on sentence vectors u (B, C) and, for pairs, v (B, C). rows (B) are the examples, needed with dropout only.
  Tensor head_forward(Arena& arena, HeadActivations* saved, std::size_t head, const Tensor& u, const Tensor& v, std::span<const RowId> rows,
                      const DropoutState& dropout);
  /// Accumulates the gradients of the head's parameters alone.
  void head_backward(Arena& arena, Gradients& gradients, const Tensor& dlogits, const HeadActivations& saved);

  /// Logits (M, V), in the parameters' dtype, for the tokens `wanted`: ascending indices into the batch, at least one. The table must
  /// have an MLM head. Without `saved` only the logits stay in the arena.
  Tensor mlm_forward(Arena& arena, MlmActivations* saved, const TokenBatch& batch, std::span<const std::int32_t> wanted,
                     const DropoutState& dropout);
  /// Accumulates into `gradients`. Calls `on_grad_ready` for the MLM head, then as Encoder::backward does; word embeddings that the head
  /// reads are reported with the encoder's.
  void mlm_backward(Arena& arena, Gradients& gradients, const Tensor& dlogits, const MlmActivations& saved,
                    const Encoder::GradReady& on_grad_ready = {});

 private:
  Tensor vectors_forward(Arena& arena, EncoderActivations* encoder, PoolActivations& pooling, const TokenBatch& batch, Pool pool,
                         const DropoutState& dropout);
  Tensor cast_to(Arena& arena, DType dtype, const Tensor& x);

  Backend& backend_;
  Params& params_;
  Encoder encoder_;
  LinearParams pooler_;  // empty where the table has none
  ParamSpan pooler_span_;
  std::vector<Head> heads_;
  std::optional<MlmHead> mlm_;
};

}  // namespace minbert
