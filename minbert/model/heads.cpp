// Forward and backward of task heads, side by side.
#include "minbert/model/heads.h"

namespace minbert {
namespace {

PairTerms terms_of(Features features) {
  if (features == Features::kPair) return PairTerms::kBoth;
  return features == Features::kPairDifference ? PairTerms::kBothAndDifference : PairTerms::kComparison;
}

}  // namespace

Head::Head(Backend& backend, Params& params, std::size_t index)
    : backend_(&backend),
      shape_(&params.shape().heads.at(index)),
      index_(index),
      dtype_(params.dtype()),
      inputs_(shape_->inputs(params.config())) {
  MINBERT_CHECK(shape_->outputs > 0 || shape_->features == Features::kCosine, "head {} without outputs", shape_->task);
  if (shape_->outputs == 0) return;
  for (std::size_t i = 0; i < shape_->dense.size(); ++i)
    layers_.push_back(params.linear(fmt::format("heads.{}.dense.{}", shape_->task, i)));
  layers_.push_back(params.linear(fmt::format("heads.{}.out", shape_->task)));
  span_ = {layers_.front().weight_index, layers_.back().bias_index + 1};
}

Dropout Head::dropout_of(const DropoutState& state) const { return state.site(state.heads ? shape_->dropout : 0, head_site(index_)); }

void Head::forward(Arena& arena, HeadActivations& saved, Tensor logits, const Tensor& u, const Tensor& v, std::span<const RowId> rows,
                   const DropoutState& state) {
  const std::int64_t B = u.rows();
  MINBERT_CHECK(static_cast<bool>(v) == shape_->pair(), "head {} reads {}", shape_->task, shape_->pair() ? "pairs" : "single vectors");
  saved.head = index_;
  saved.dropout = state;

  const Dropout dropout = dropout_of(state);
  const auto drop = [&](const Tensor& x, IndexList<RowId>& ids, std::uint8_t pass) {
    ids.values.clear();
    if (!x || !dropout) return x;
    for (const RowId& row : rows) ids.values.push_back({row.row, 0, static_cast<std::uint8_t>(row.pass + pass)});
    ids.upload(*backend_, arena);
    const Tensor out = arena.allocate(dtype_, {B, x.cols()});
    backend_->dropout(out, x, ids.view, dropout);
    return out;
  };
  saved.u = drop(u, saved.u_rows, 0);
  saved.v = drop(v, saved.v_rows, 1);
  saved.features = features_forward(arena, saved);

  if (layers_.empty()) {  // the cosine itself is the prediction
    backend_->activation(logits, saved.features, Activation::kRelu);
    backend_->affine(logits, logits, shape_->high - shape_->low, shape_->low);
    return;
  }
  saved.pre.clear();
  saved.act.clear();
  Tensor x = saved.features;
  for (std::size_t i = 0; i + 1 < layers_.size(); ++i) {
    const std::int64_t width = shape_->dense[i];
    saved.pre.push_back(arena.allocate(dtype_, {B, width}));
    saved.act.push_back(arena.allocate(dtype_, {B, width}));
    backend_->linear_activation(saved.act.back(), saved.pre.back(), x, *layers_[i].weight, layers_[i].bias, Activation::kGelu);
    x = saved.act.back();
  }
  backend_->linear(logits, x, *layers_.back().weight, layers_.back().bias);
}

void Head::backward(Arena& arena, Gradients& gradients, Tensor du, Tensor dv, const Tensor& dlogits, const HeadActivations& saved) {
  const std::int64_t B = dlogits.rows();
  const Arena::Mark mark = arena.mark();
  Tensor dy = dlogits;
  if (layers_.empty()) {
    dy = arena.allocate(dtype_, {B, 1});
    backend_->affine(dy, dlogits, shape_->high - shape_->low, 0);
    backend_->activation_backward(dy, dy, saved.features, Activation::kRelu);
  }
  for (std::size_t i = layers_.size(); i-- > 0;) {
    const LinearParams& layer = layers_[i];
    const Tensor& x = i > 0 ? saved.act[i - 1] : saved.features;
    backend_->linear_backward_params(gradients[layer.weight_index], gradients[layer.bias_index], x, dy);
    if (i == 0 && !du) break;
    const Tensor dx = arena.allocate(dtype_, {B, x.cols()});
    backend_->linear_backward_input(dx, dy, *layer.weight);
    if (i > 0) backend_->activation_backward(dx, dx, saved.pre[i - 1], Activation::kGelu);
    dy = dx;
  }
  if (du) features_backward(du, dv, dy, saved);
  arena.rewind(mark);
}

// (B, I) from u and v.
Tensor Head::features_forward(Arena& arena, const HeadActivations& saved) {
  if (shape_->features == Features::kSingle) return saved.u;
  const Tensor features = arena.allocate(dtype_, {saved.u.rows(), inputs_});
  if (shape_->features == Features::kCosine)
    backend_->cosine(features, saved.u, saved.v);
  else
    backend_->pair_features(features, saved.u, saved.v, terms_of(shape_->features));
  return features;
}

void Head::features_backward(Tensor du, Tensor dv, const Tensor& dfeatures, const HeadActivations& saved) {
  switch (shape_->features) {
    case Features::kSingle: backend_->copy(du, dfeatures); break;
    case Features::kCosine: backend_->cosine_backward(du, dv, dfeatures, saved.u, saved.v); break;
    case Features::kPair:
    case Features::kPairDifference:
    case Features::kPairComparison:
      backend_->pair_features_backward(du, dv, dfeatures, saved.u, saved.v, terms_of(shape_->features));
      break;
  }
  const Dropout dropout = dropout_of(saved.dropout);
  if (!dropout) return;
  backend_->dropout(du, du, saved.u_rows.view, dropout);
  if (dv) backend_->dropout(dv, dv, saved.v_rows.view, dropout);
}

}  // namespace minbert
