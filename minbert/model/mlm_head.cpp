// Forward and backward of the masked-LM head, side by side.
#include "minbert/model/mlm_head.h"

namespace minbert {

MlmHead::MlmHead(Backend& backend, Params& params)
    : backend_(backend), config_(params.config()), compute_(params.compute()), tied_(params.shape().mlm == MlmHeadKind::kTied) {
  MINBERT_CHECK(params.shape().mlm != MlmHeadKind::kNone, "the model has no MLM head");
  const std::string_view weight = tied_ ? "embeddings.word_embeddings.weight" : "mlm.weight";
  output_.weight_index = params.index(weight);
  output_.weight = &params.weight(weight);
  span_ = {output_.weight_index, output_.weight_index + 1};
  if (!tied_) return;
  output_.bias_index = params.index("cls.predictions.bias");
  output_.bias = params.value(output_.bias_index);
  transform_ = params.linear("cls.predictions.transform.dense");
  norm_ = params.norm("cls.predictions.transform.LayerNorm");
  span_ = {transform_.weight_index, output_.bias_index + 1};
}

void MlmHead::forward(Arena& arena, MlmHeadActivations& saved, Tensor logits, const Tensor& x, RowIds rows, const DropoutState& state) {
  saved.dropout = state.site(state.mlm, kMlmSite);
  saved.rows = rows;
  saved.x = x;
  if (saved.dropout) {
    saved.x = arena.allocate(compute_, {x.rows(), x.cols()});
    backend_.dropout(saved.x, x, saved.rows, saved.dropout);
  }
  saved.h = tied_ ? transform_forward(arena, saved) : saved.x;
  backend_.linear(logits, saved.h, *output_.weight, output_.bias);
}

void MlmHead::backward(Arena& arena, Gradients& gradients, Tensor dx, const Tensor& dlogits, const MlmHeadActivations& saved) {
  const Arena::Mark mark = arena.mark();
  Tensor dy = dlogits;
  if (dlogits.dtype() != compute_) {
    dy = arena.allocate(compute_, dlogits.shape());
    backend_.cast(dy, dlogits);
  }
  backend_.linear_backward_params(gradients[output_.weight_index], tied_ ? gradients[output_.bias_index] : Tensor(), saved.h, dy);
  if (tied_) {
    const Tensor dh = arena.allocate(compute_, saved.h.shape());
    backend_.linear_backward_input(dh, dy, *output_.weight);
    transform_backward(arena, gradients, dx, dh, saved);
  } else if (dx) {
    backend_.linear_backward_input(dx, dy, *output_.weight);
  }
  if (dx && saved.dropout) backend_.dropout(dx, dx, saved.rows, saved.dropout);
  arena.rewind(mark);
}

Tensor MlmHead::transform_forward(Arena& arena, MlmHeadActivations& saved) {
  const std::int64_t M = saved.x.rows(), C = config_.hidden_size;
  saved.pre = arena.allocate(compute_, {M, C});
  saved.act = arena.allocate(compute_, {M, C});
  saved.stats = arena.allocate(norm_.gamma.dtype(), {M, 2});
  const Tensor h = arena.allocate(compute_, {M, C});
  backend_.linear_activation(saved.act, saved.pre, saved.x, *transform_.weight, transform_.bias, config_.hidden_act);
  backend_.layernorm(h, saved.stats, saved.act, norm_.gamma, norm_.beta, config_.layer_norm_eps);
  return h;
}

void MlmHead::transform_backward(Arena& arena, Gradients& gradients, Tensor dx, const Tensor& dh, const MlmHeadActivations& saved) {
  const Tensor dpre = arena.allocate(compute_, saved.pre.shape());
  backend_.layernorm_backward(dpre, gradients[norm_.index], gradients[norm_.index + 1], dh, saved.act, saved.stats, norm_.gamma);
  backend_.activation_backward(dpre, dpre, saved.pre, config_.hidden_act);
  backend_.linear_backward_params(gradients[transform_.weight_index], gradients[transform_.bias_index], saved.x, dpre);
  if (dx) backend_.linear_backward_input(dx, dpre, *transform_.weight);
}

}  // namespace minbert
