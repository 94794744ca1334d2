// Forward and backward of the BERT encoder, side by side.
#include "minbert/model/encoder.h"

#include <algorithm>

namespace minbert {
namespace {

std::string layer_name(std::int64_t layer, std::string_view name) { return fmt::format("encoder.layer.{}.{}", layer, name); }

// How many of the wanted rows lie in each sentence, as offsets; and their ids.
void locate_wanted(EncoderActivations& pass) {
  const TokenBatch& batch = pass.batch;
  pass.wanted_offsets.assign(1, 0);
  auto at = pass.wanted_rows.begin();
  for (std::size_t b = 1; b < batch.offsets.size(); ++b) {
    at = std::lower_bound(at, pass.wanted_rows.end(), batch.offsets[b]);
    pass.wanted_offsets.push_back(static_cast<std::int32_t>(at - pass.wanted_rows.begin()));
  }
  MINBERT_CHECK(at == pass.wanted_rows.end() && std::is_sorted(pass.wanted_rows.begin(), pass.wanted_rows.end()),
                "wanted rows must ascend and lie in the batch");
  pass.wanted_ids.clear();
  if (!batch.rows.empty())
    for (const std::int32_t row : pass.wanted_rows) pass.wanted_ids.push_back(batch.rows[static_cast<std::size_t>(row)]);
}

}  // namespace

Encoder::Encoder(Backend& backend, Params& params) : backend_(backend), params_(params) {}

Tensor Encoder::param(std::int64_t layer, std::string_view name) const { return params_.value(layer_name(layer, name)); }

Tensor Encoder::forward(Arena& arena, EncoderActivations* saved, const TokenBatch& batch, std::span<const std::int32_t> wanted_rows,
                        const DropoutState& dropout) {
  const ModelConfig& config = params_.config();
  const std::int64_t N = batch.tokens(), C = config.hidden_size, L = config.num_hidden_layers;
  MINBERT_CHECK(batch.type_ids.size() == batch.ids.size() && batch.positions.size() == batch.ids.size(), "ragged token batch");

  EncoderActivations unsaved;
  EncoderActivations& pass = saved != nullptr ? *saved : unsaved;
  pass.batch = batch;
  pass.dropout = dropout;
  pass.wanted_rows.assign(wanted_rows.begin(), wanted_rows.end());
  if (!wanted_rows.empty()) locate_wanted(pass);
  const std::int64_t M = wanted_rows.empty() ? N : std::ssize(wanted_rows);

  const Tensor result = arena.allocate(params_.compute(), {M, C});
  if (saved != nullptr) {
    pass.layers.assign(static_cast<std::size_t>(L), {});
    Tensor x = embed(arena, &pass, batch, dropout);
    for (std::int64_t l = 0; l < L; ++l) {
      LayerActivations& a = pass.layers[static_cast<std::size_t>(l)];
      a.x = x;
      x = layer_forward(arena, l, a, pass, l == L - 1, true, l == L - 1 ? result : Tensor());
    }
    return result;
  }

  // Without backward, a layer's memory is free again once its output stands in the other of two buffers.
  Tensor next = arena.allocate(params_.compute(), {N, C});
  Tensor x = embed(arena, nullptr, batch, dropout);
  for (std::int64_t l = 0; l < L; ++l) {
    const Arena::Mark mark = arena.mark();
    LayerActivations a;
    a.x = x;
    layer_forward(arena, l, a, pass, l == L - 1, false, l == L - 1 ? result : next);
    std::swap(x, next);
    arena.rewind(mark);
  }
  return result;
}

// embeddings: LayerNorm(word + position + segment), then dropout.
Tensor Encoder::embed(Arena& arena, EncoderActivations* saved, const TokenBatch& batch, const DropoutState& dropout) {
  const ModelConfig& config = params_.config();
  const std::int64_t N = batch.tokens(), C = config.hidden_size;
  const Tensor out = arena.allocate(params_.compute(), {N, C});
  const Tensor sum = saved != nullptr ? arena.allocate(params_.compute(), {N, C}) : out;
  const Tensor stats = saved != nullptr ? arena.allocate(params_.dtype(), {N, 2}) : Tensor();
  backend_.embedding(sum, params_.value("embeddings.word_embeddings.weight"), params_.value("embeddings.position_embeddings.weight"),
                     params_.value("embeddings.token_type_embeddings.weight"), batch.ids, batch.positions, batch.type_ids);
  backend_.layernorm(out, stats, sum, params_.value("embeddings.LayerNorm.weight"), params_.value("embeddings.LayerNorm.bias"),
                     config.layer_norm_eps);
  if (dropout.hidden > 0) backend_.dropout(out, out, batch.rows, dropout.site(dropout.hidden, kEmbeddingSite));
  if (saved != nullptr) {
    saved->embedding_sum = sum;
    saved->embedding_stats = stats;
  }
  return out;
}

// One layer: attention, add & norm, feed-forward, add & norm. a.x is given; the rest of `a` is filled.
Tensor Encoder::layer_forward(Arena& arena, std::int64_t l, LayerActivations& a, const EncoderActivations& pass, bool last, bool save,
                              Tensor out) {
  const ModelConfig& config = params_.config();
  const TokenBatch& batch = pass.batch;
  const DropoutState& dropout = pass.dropout;
  const bool some = last && !pass.wanted_rows.empty();
  const std::int64_t N = batch.tokens(), C = config.hidden_size, F = config.intermediate_size;
  const std::int64_t M = some ? std::ssize(pass.wanted_rows) : N;
  const std::span<const RowId> rows = some ? std::span<const RowId>(pass.wanted_ids) : batch.rows;
  const DType compute = params_.compute(), full = params_.dtype();
  const auto allocate = [&](std::int64_t n, std::int64_t c) { return arena.allocate(compute, {n, c}); };
  const auto when_saving = [&](DType dtype, std::int64_t n, std::int64_t c) { return save ? arena.allocate(dtype, {n, c}) : Tensor(); };

  if (some) {
    a.x_wanted = allocate(M, C);
    backend_.gather_rows(a.x_wanted, a.x, pass.wanted_rows);
    a.q = allocate(M, C);
    const Tensor kv = allocate(N, 2 * C);
    backend_.linear(a.q, a.x_wanted, params_.weight(layer_name(l, "attention.self.query.weight")), param(l, "attention.self.query.bias"));
    backend_.linear(kv, a.x, params_.weight(layer_name(l, "attention.self.key.weight"), 2),
                    params_.joined(layer_name(l, "attention.self.key.bias"), 2));
    a.k = kv.slice_cols(0, C);
    a.v = kv.slice_cols(C, 2 * C);
  } else {
    a.x_wanted = a.x;
    const Tensor qkv = allocate(N, 3 * C);
    backend_.linear(qkv, a.x, params_.weight(layer_name(l, "attention.self.query.weight"), 3),
                    params_.joined(layer_name(l, "attention.self.query.bias"), 3));
    a.q = qkv.slice_cols(0, C);
    a.k = qkv.slice_cols(C, 2 * C);
    a.v = qkv.slice_cols(2 * C, 3 * C);
  }

  const AttentionShape shape{some ? std::span<const std::int32_t>(pass.wanted_offsets) : batch.offsets, batch.offsets,
                             config.num_attention_heads, rows, dropout.site(dropout.attention, attention_site(l))};
  a.context = allocate(M, C);
  if (save)
    a.attention_saved = arena.allocate(DType::kU8, {static_cast<std::int64_t>(backend_.attention_saved_bytes(shape, compute))});
  backend_.attention(a.context, a.attention_saved, a.q, a.k, a.v, shape);

  const Tensor projected = allocate(M, C);
  backend_.linear(projected, a.context, params_.weight(layer_name(l, "attention.output.dense.weight")),
                  param(l, "attention.output.dense.bias"));
  a.h = allocate(M, C);
  a.attention_sum = save ? projected : Tensor();
  a.attention_stats = when_saving(full, M, 2);
  backend_.dropout_add_layernorm(a.h, a.attention_sum, a.attention_stats, projected, a.x_wanted,
                                 param(l, "attention.output.LayerNorm.weight"), param(l, "attention.output.LayerNorm.bias"),
                                 config.layer_norm_eps, rows, dropout.site(dropout.hidden, attention_output_site(l)));

  a.ffn_pre = when_saving(compute, M, F);
  a.ffn_act = allocate(M, F);
  backend_.linear_activation(a.ffn_act, a.ffn_pre, a.h, params_.weight(layer_name(l, "intermediate.dense.weight")),
                             param(l, "intermediate.dense.bias"), config.hidden_act);
  const Tensor narrowed = allocate(M, C);
  backend_.linear(narrowed, a.ffn_act, params_.weight(layer_name(l, "output.dense.weight")), param(l, "output.dense.bias"));
  if (!out) out = allocate(M, C);
  a.ffn_sum = save ? narrowed : Tensor();
  a.ffn_stats = when_saving(full, M, 2);
  backend_.dropout_add_layernorm(out, a.ffn_sum, a.ffn_stats, narrowed, a.h, param(l, "output.LayerNorm.weight"),
                                 param(l, "output.LayerNorm.bias"), config.layer_norm_eps, rows,
                                 dropout.site(dropout.hidden, ffn_output_site(l)));
  return out;
}

void Encoder::backward(Arena& arena, Gradients& gradients, Tensor dout, const EncoderActivations& saved, const GradReady& on_grad_ready) {
  const std::int64_t L = params_.config().num_hidden_layers;
  const auto trains = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i < end; ++i)
      if (gradients.trainable(i)) return true;
    return false;
  };
  const auto layer_begin = [&](std::int64_t l) { return params_.index(layer_name(l, "attention.self.query.weight")); };
  const auto layer_end = [&](std::int64_t l) { return params_.index(layer_name(l, "output.LayerNorm.bias")) + 1; };
  const std::size_t embeddings_end = params_.index("embeddings.LayerNorm.bias") + 1;

  const Arena::Mark mark = arena.mark();
  for (std::int64_t l = L - 1; l >= 0; --l) {
    if (!trains(0, layer_end(l))) break;
    const bool need_dx = trains(0, layer_begin(l));
    dout = layer_backward(arena, l, gradients, dout, saved, l == L - 1, need_dx);
    if (on_grad_ready) on_grad_ready({layer_begin(l), layer_end(l)});
  }
  if (trains(0, embeddings_end)) {
    embed_backward(arena, gradients, dout, saved);
    if (on_grad_ready) on_grad_ready({0, embeddings_end});
  }
  arena.rewind(mark);
}

// The mirror of layer_forward. Returns dx (N, C), or nothing when no parameter below trains.
Tensor Encoder::layer_backward(Arena& arena, std::int64_t l, Gradients& gradients, Tensor dout, const EncoderActivations& saved, bool last,
                               bool need_dx) {
  const ModelConfig& config = params_.config();
  const LayerActivations& a = saved.layers[static_cast<std::size_t>(l)];
  const TokenBatch& batch = saved.batch;
  const DropoutState& dropout = saved.dropout;
  const bool some = last && !saved.wanted_rows.empty();
  const std::int64_t N = batch.tokens(), C = config.hidden_size, F = config.intermediate_size, M = dout.rows();
  const std::span<const RowId> rows = some ? std::span<const RowId>(saved.wanted_ids) : batch.rows;
  const auto grad = [&](std::string_view name, std::size_t count = 1) { return gradients.joined(params_, layer_name(l, name), count); };
  const auto allocate = [&](std::int64_t n, std::int64_t c) { return arena.allocate(params_.compute(), {n, c}); };
  const auto weight = [&](std::string_view name, std::size_t count = 1) -> const PreparedWeight& {
    return params_.weight(layer_name(l, name), count);
  };
  const auto linear_params = [&](std::string_view name, const Tensor& x, const Tensor& dy, std::size_t count = 1) {
    backend_.linear_backward_params(grad(fmt::format("{}.weight", name), count), grad(fmt::format("{}.bias", name), count), x, dy);
  };

  // A gradient without dropout is the residual's own: one tensor serves both.
  const auto norm_backward = [&](std::string_view name, const Tensor& dy, const Tensor& sum, const Tensor& stats, std::uint16_t site) {
    const Dropout d = dropout.site(dropout.hidden, site);
    const Tensor dresidual = allocate(M, C), dx = d ? allocate(M, C) : Tensor();
    backend_.dropout_add_layernorm_backward(dx, dresidual, grad(fmt::format("{}.weight", name)), grad(fmt::format("{}.bias", name)), dy, sum,
                                            stats, param(l, fmt::format("{}.weight", name)), rows, d);
    return std::pair(d ? dx : dresidual, dresidual);
  };

  Tensor dx = need_dx ? allocate(N, C) : Tensor();  // before the mark: it outlives this layer's scratch
  const Arena::Mark mark = arena.mark();

  const auto [dnarrowed, dh_residual] = norm_backward("output.LayerNorm", dout, a.ffn_sum, a.ffn_stats, ffn_output_site(l));
  linear_params("output.dense", a.ffn_act, dnarrowed);
  const Tensor dffn = allocate(M, F);
  backend_.linear_backward_input(dffn, dnarrowed, weight("output.dense.weight"));
  backend_.activation_backward(dffn, dffn, a.ffn_pre, config.hidden_act);
  linear_params("intermediate.dense", a.h, dffn);
  const Tensor dh = allocate(M, C);
  backend_.linear_backward_input(dh, dffn, weight("intermediate.dense.weight"));
  backend_.add(dh, dh, dh_residual);

  const auto [dprojected, dx_residual] =
      norm_backward("attention.output.LayerNorm", dh, a.attention_sum, a.attention_stats, attention_output_site(l));
  linear_params("attention.output.dense", a.context, dprojected);
  const Tensor dcontext = allocate(M, C);
  backend_.linear_backward_input(dcontext, dprojected, weight("attention.output.dense.weight"));

  const AttentionShape shape{some ? std::span<const std::int32_t>(saved.wanted_offsets) : batch.offsets, batch.offsets,
                             config.num_attention_heads, rows, dropout.site(dropout.attention, attention_site(l))};
  if (some) {
    const Tensor dq = allocate(M, C), dkv = allocate(N, 2 * C);
    backend_.attention_backward(dq, dkv.slice_cols(0, C), dkv.slice_cols(C, 2 * C), dcontext, a.attention_saved, a.q, a.k, a.v, shape);
    linear_params("attention.self.query", a.x_wanted, dq);
    backend_.linear_backward_params(grad("attention.self.key.weight", 2), grad("attention.self.key.bias", 2), a.x, dkv);
    if (need_dx) {
      const Tensor dx_wanted = allocate(M, C), scattered = allocate(N, C);
      backend_.linear_backward_input(dx_wanted, dq, weight("attention.self.query.weight"));
      backend_.add(dx_wanted, dx_wanted, dx_residual);
      backend_.gather_rows_backward(scattered, dx_wanted, saved.wanted_rows);
      backend_.linear_backward_input(dx, dkv, weight("attention.self.key.weight", 2));
      backend_.add(dx, dx, scattered);
    }
  } else {
    const Tensor dqkv = allocate(N, 3 * C);
    backend_.attention_backward(dqkv.slice_cols(0, C), dqkv.slice_cols(C, 2 * C), dqkv.slice_cols(2 * C, 3 * C), dcontext,
                                a.attention_saved, a.q, a.k, a.v, shape);
    backend_.linear_backward_params(grad("attention.self.query.weight", 3), grad("attention.self.query.bias", 3), a.x, dqkv);
    if (need_dx) {
      backend_.linear_backward_input(dx, dqkv, weight("attention.self.query.weight", 3));
      backend_.add(dx, dx, dx_residual);
    }
  }
  arena.rewind(mark);
  return dx;
}

void Encoder::embed_backward(Arena& arena, Gradients& gradients, Tensor dout, const EncoderActivations& saved) {
  const TokenBatch& batch = saved.batch;
  const DropoutState& dropout = saved.dropout;
  const auto grad = [&](std::string_view name) { return gradients[params_.index(name)]; };
  if (dropout.hidden > 0) backend_.dropout(dout, dout, batch.rows, dropout.site(dropout.hidden, kEmbeddingSite));
  const Tensor dsum = arena.allocate(params_.compute(), {batch.tokens(), params_.config().hidden_size});
  backend_.layernorm_backward(dsum, grad("embeddings.LayerNorm.weight"), grad("embeddings.LayerNorm.bias"), dout, saved.embedding_sum,
                              saved.embedding_stats, params_.value("embeddings.LayerNorm.weight"));
  backend_.embedding_backward(grad("embeddings.word_embeddings.weight"), grad("embeddings.position_embeddings.weight"),
                              grad("embeddings.token_type_embeddings.weight"), dsum, batch.ids, batch.positions, batch.type_ids);
}

}  // namespace minbert
