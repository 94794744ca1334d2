// Encoder, pooling and heads joined, forward and backward side by side.
#include "minbert/model/multitask.h"

#include <algorithm>

namespace minbert {

MultitaskModel::MultitaskModel(Backend& backend, Params& params) : backend_(backend), params_(params), encoder_(backend, params) {
  if (params.shape().pooler) {
    pooler_ = params.linear("pooler.dense");
    pooler_span_ = {pooler_.weight_index, pooler_.bias_index + 1};
  }
  for (std::size_t i = 0; i < params.shape().heads.size(); ++i) {
    heads_.emplace_back(backend, params, i);
    MINBERT_CHECK(params.shape().pooler || heads_.back().shape().pool != Pool::kPooler, "head {} reads a pooler that the model lacks",
                  heads_.back().shape().task);
  }
  if (params.shape().mlm != MlmHeadKind::kNone) mlm_.emplace(backend, params);
}

Tensor MultitaskModel::forward(Arena& arena, TaskActivations* saved, std::size_t head, const TokenBatch& batch,
                               const DropoutState& dropout) {
  Head& task = heads_.at(head);
  const bool pair = task.shape().pair();
  MINBERT_CHECK(!pair || batch.sentences() % 2 == 0, "{} sentences of pairs", batch.sentences());
  const std::int64_t S = batch.sentences(), B = pair ? S / 2 : S;
  const Tensor logits = arena.allocate(params_.dtype(), {B, task.shape().logits()});

  const Arena::Mark mark = arena.mark();
  TaskActivations unsaved;
  TaskActivations& pass = saved != nullptr ? *saved : unsaved;
  const Tensor vectors = vectors_forward(arena, saved != nullptr ? &saved->encoder : nullptr, pass.pool, batch, task.shape().pool, dropout);
  pass.examples.clear();
  if (!batch.rows.empty())
    for (std::int64_t b = 0; b < B; ++b)
      pass.examples.push_back(batch.rows[static_cast<std::size_t>(batch.offsets[static_cast<std::size_t>(b)])]);
  task.forward(arena, pass.head, logits, vectors.slice_rows(0, B), pair ? vectors.slice_rows(B, S) : Tensor(), pass.examples, dropout);
  if (saved == nullptr) arena.rewind(mark);
  return logits;
}

void MultitaskModel::backward(Arena& arena, Gradients& gradients, const Tensor& dlogits, const TaskActivations& saved,
                              const Encoder::GradReady& on_grad_ready) {
  Head& task = heads_.at(saved.head.head);
  const std::int64_t B = dlogits.rows(), S = saved.encoder.batch.sentences(), C = params_.config().hidden_size;
  const bool below = gradients.trainable(encoder_.span()) || (saved.pool.pool == Pool::kPooler && gradients.trainable(pooler_span_));

  const Arena::Mark mark = arena.mark();
  const Tensor dvectors = below ? arena.allocate(params_.dtype(), {S, C}) : Tensor();
  const Tensor du = below ? dvectors.slice_rows(0, B) : Tensor(), dv = below && task.shape().pair() ? dvectors.slice_rows(B, S) : Tensor();
  task.backward(arena, gradients, du, dv, dlogits, saved.head);
  if (on_grad_ready && gradients.trainable(task.span())) on_grad_ready(task.span());
  if (below) vectors_backward(arena, gradients, dvectors, saved, on_grad_ready);
  arena.rewind(mark);
}

Tensor MultitaskModel::sentence_vectors(Arena& arena, TaskActivations* saved, const TokenBatch& batch, Pool pool,
                                        const DropoutState& dropout) {
  PoolActivations unsaved;
  return vectors_forward(arena, saved != nullptr ? &saved->encoder : nullptr, saved != nullptr ? saved->pool : unsaved, batch, pool,
                         dropout);
}

// The encoder computes in the compute dtype; pooling, pooler and heads compute in the parameters' dtype.
Tensor MultitaskModel::vectors_forward(Arena& arena, EncoderActivations* encoder, PoolActivations& pooling, const TokenBatch& batch,
                                       Pool pool, const DropoutState& dropout) {
  MINBERT_CHECK(pool != Pool::kPooler || pooler_.weight != nullptr, "the model has no pooler");
  const std::int64_t S = batch.sentences(), C = params_.config().hidden_size;
  pooling.pool = pool;
  // Each sentence begins with [CLS].
  const auto wanted = pool == Pool::kMean ? std::span<const std::int32_t>() : batch.offsets.first(static_cast<std::size_t>(S));
  const Tensor hidden = cast_to(arena, params_.dtype(), encoder_.forward(arena, encoder, batch, wanted, dropout));
  if (pool == Pool::kCls) return hidden;

  const Tensor vectors = arena.allocate(params_.dtype(), {S, C});
  if (pool == Pool::kMean) {
    pooling.offsets = encoder != nullptr ? encoder->tokens.offsets : backend_.upload(arena, batch.offsets);
    backend_.mean_pool(vectors, hidden, pooling.offsets);
  } else {
    pooling.cls = hidden;
    pooling.pooler_pre = arena.allocate(params_.dtype(), {S, C});
    backend_.linear_activation(vectors, pooling.pooler_pre, hidden, *pooler_.weight, pooler_.bias, Activation::kTanh);
  }
  return vectors;
}

Tensor MultitaskModel::hidden_states(Arena& arena, const TokenBatch& batch, std::span<const std::int32_t> wanted) {
  return cast_to(arena, params_.dtype(), encoder_.forward(arena, nullptr, batch, wanted, {}));
}

Tensor MultitaskModel::pool_states(Arena& arena, const Tensor& hidden, const Indices& offsets, Pool pool) {
  MINBERT_CHECK(pool != Pool::kPooler || pooler_.weight != nullptr, "the model has no pooler");
  const std::int64_t S = std::ssize(offsets.host) - 1, C = params_.config().hidden_size;
  const Tensor vectors = arena.allocate(params_.dtype(), {S, C});
  if (pool == Pool::kMean) {
    backend_.mean_pool(vectors, hidden, offsets);
    return vectors;
  }
  backend_.gather_rows(vectors, hidden, {offsets.host.first(static_cast<std::size_t>(S)), offsets.device});
  if (pool == Pool::kCls) return vectors;
  const Tensor pooled = arena.allocate(params_.dtype(), {S, C}), pre = arena.allocate(params_.dtype(), {S, C});
  backend_.linear_activation(pooled, pre, vectors, *pooler_.weight, pooler_.bias, Activation::kTanh);
  return pooled;
}

void MultitaskModel::vectors_backward(Arena& arena, Gradients& gradients, const Tensor& dvectors, const TaskActivations& saved,
                                      const Encoder::GradReady& on_grad_ready) {
  const TokenBatch& batch = saved.encoder.batch;
  const std::int64_t S = batch.sentences(), C = params_.config().hidden_size;
  Tensor dhidden = dvectors;
  if (saved.pool.pool == Pool::kMean) {
    dhidden = arena.allocate(params_.dtype(), {batch.tokens(), C});
    backend_.mean_pool_backward(dhidden, dvectors, saved.pool.offsets);
  } else if (saved.pool.pool == Pool::kPooler) {
    const Tensor dpre = arena.allocate(params_.dtype(), {S, C});
    backend_.activation_backward(dpre, dvectors, saved.pool.pooler_pre, Activation::kTanh);
    backend_.linear_backward_params(gradients[pooler_.weight_index], gradients[pooler_.bias_index], saved.pool.cls, dpre);
    const bool below = gradients.trainable(encoder_.span());
    if (below) {
      dhidden = arena.allocate(params_.dtype(), {S, C});
      backend_.linear_backward_input(dhidden, dpre, *pooler_.weight);
    }
    if (on_grad_ready && gradients.trainable(pooler_span_)) on_grad_ready(pooler_span_);
    if (!below) return;
  }
  encoder_.backward(arena, gradients, cast_to(arena, params_.compute(), dhidden), saved.encoder, on_grad_ready);
}

Tensor MultitaskModel::cast_to(Arena& arena, DType dtype, const Tensor& x) {
  if (x.dtype() == dtype) return x;
  const Tensor out = arena.allocate(dtype, x.shape());
  backend_.cast(out, x);
  return out;
}

Tensor MultitaskModel::head_forward(Arena& arena, HeadActivations* saved, std::size_t head, const Tensor& u, const Tensor& v,
                                    std::span<const RowId> rows, const DropoutState& dropout) {
  Head& task = heads_.at(head);
  const Tensor logits = arena.allocate(params_.dtype(), {u.rows(), task.shape().logits()});
  const Arena::Mark mark = arena.mark();
  HeadActivations unsaved;
  task.forward(arena, saved != nullptr ? *saved : unsaved, logits, u, v, rows, dropout);
  if (saved == nullptr) arena.rewind(mark);
  return logits;
}

void MultitaskModel::head_backward(Arena& arena, Gradients& gradients, const Tensor& dlogits, const HeadActivations& saved) {
  heads_.at(saved.head).backward(arena, gradients, {}, {}, dlogits, saved);
}

Tensor MultitaskModel::mlm_forward(Arena& arena, MlmActivations* saved, const TokenBatch& batch, std::span<const std::int32_t> wanted,
                                   const DropoutState& dropout) {
  MINBERT_CHECK(mlm_.has_value() && !wanted.empty(), "an MLM head, and tokens for it");
  const Tensor logits = arena.allocate(params_.dtype(), {std::ssize(wanted), params_.config().vocab_size});
  const Arena::Mark mark = arena.mark();
  MlmActivations unsaved;
  MlmActivations& pass = saved != nullptr ? *saved : unsaved;
  const Tensor hidden = encoder_.forward(arena, saved != nullptr ? &pass.encoder : nullptr, batch, wanted, dropout);
  mlm_->forward(arena, pass.head, logits, hidden, pass.encoder.wanted_ids.view, dropout);
  if (saved == nullptr) arena.rewind(mark);
  return logits;
}

void MultitaskModel::mlm_backward(Arena& arena, Gradients& gradients, const Tensor& dlogits, const MlmActivations& saved,
                                  const Encoder::GradReady& on_grad_ready) {
  const bool below = gradients.trainable(encoder_.span());
  const Arena::Mark mark = arena.mark();
  const Tensor dhidden = below ? arena.allocate(params_.compute(), {dlogits.rows(), params_.config().hidden_size}) : Tensor();
  mlm_->backward(arena, gradients, dhidden, dlogits, saved.head);
  if (on_grad_ready && gradients.trainable(mlm_->span())) on_grad_ready(mlm_->span());
  if (below) encoder_.backward(arena, gradients, dhidden, saved.encoder, on_grad_ready);
  arena.rewind(mark);
}

}  // namespace minbert
