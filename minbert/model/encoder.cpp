// Forward and backward of the BERT encoder, side by side.
#include "minbert/model/encoder.h"

#include <algorithm>
#include <utility>

namespace minbert {
namespace {

// Fills wanted_offsets (B + 1) and wanted_ids (M) from wanted_rows (M): sentence b has the wanted rows with numbers from wanted_offsets[b]
// up to but not including wanted_offsets[b + 1].
void locate_wanted(EncoderActivations& pass) {
  const TokenBatch& batch = pass.batch;
  const std::vector<std::int32_t>& wanted = pass.wanted_rows.values;
  std::vector<std::int32_t>& offsets = pass.wanted_offsets.values;
  offsets.assign(1, 0);
  auto at = wanted.begin();
  for (std::size_t b = 1; b < batch.offsets.size(); ++b) {
    at = std::lower_bound(at, wanted.end(), batch.offsets[b]);
    offsets.push_back(static_cast<std::int32_t>(at - wanted.begin()));
  }
  MINBERT_CHECK(at == wanted.end() && std::is_sorted(wanted.begin(), wanted.end()), "wanted rows must ascend and lie in the batch");
  std::vector<RowId>& ids = pass.wanted_ids.values;
  ids.clear();
  if (!batch.rows.empty())
    for (const std::int32_t row : wanted) ids.push_back(batch.rows[static_cast<std::size_t>(row)]);
}

}  // namespace

Encoder::Encoder(Backend& backend, Params& params)
    : backend_(backend),
      params_(params),
      word_index_(params.index("embeddings.word_embeddings.weight")),
      position_index_(params.index("embeddings.position_embeddings.weight")),
      type_index_(params.index("embeddings.token_type_embeddings.weight")),
      embedding_norm_(params.norm("embeddings.LayerNorm")),
      embedding_span_{word_index_, embedding_norm_.index + 2} {
  const std::int64_t L = params.config().num_hidden_layers;
  for (std::int64_t l = 0; l < L; ++l) {
    const auto name = [&](std::string_view part) { return fmt::format("encoder.layer.{}.{}", l, part); };
    Layer& layer = layers_.emplace_back();
    layer.qkv = params.linear(name("attention.self.query"), 3);
    if (l == L - 1) {
      layer.query = params.linear(name("attention.self.query"));
      layer.key_value = params.linear(name("attention.self.key"), 2);
    }
    layer.attention_output = params.linear(name("attention.output.dense"));
    layer.attention_norm = params.norm(name("attention.output.LayerNorm"));
    layer.intermediate = params.linear(name("intermediate.dense"));
    layer.output = params.linear(name("output.dense"));
    layer.output_norm = params.norm(name("output.LayerNorm"));
    layer.span = {layer.qkv.weight_index, layer.output_norm.index + 2};
  }
}

Tensor Encoder::forward(Arena& arena, EncoderActivations* saved, const TokenBatch& batch, std::span<const std::int32_t> wanted_rows,
                        const DropoutState& dropout) {
  const ModelConfig& config = params_.config();
  const std::int64_t N = batch.tokens(), C = config.hidden_size, L = config.num_hidden_layers;
  MINBERT_CHECK(batch.type_ids.size() == batch.ids.size() && batch.positions.size() == batch.ids.size(), "ragged token batch");

  EncoderActivations unsaved;
  EncoderActivations& pass = saved != nullptr ? *saved : unsaved;
  pass.batch = batch;
  pass.tokens = upload(arena, batch);
  pass.dropout = dropout;
  pass.wanted_rows.values.assign(wanted_rows.begin(), wanted_rows.end());
  if (!wanted_rows.empty()) {
    locate_wanted(pass);
    pass.wanted_rows.upload(backend_, arena);
    pass.wanted_offsets.upload(backend_, arena);
    pass.wanted_ids.upload(backend_, arena);
  }
  const std::int64_t M = wanted_rows.empty() ? N : std::ssize(wanted_rows);

  const Tensor result = arena.allocate(params_.compute(), {M, C});
  if (saved != nullptr) {
    pass.layers.assign(static_cast<std::size_t>(L), {});
    Tensor x = embed(arena, pass, true);
    for (std::int64_t l = 0; l < L; ++l) {
      LayerActivations& a = pass.layers[static_cast<std::size_t>(l)];
      a.x = x;
      x = layer_forward(arena, l, a, pass, true, l == L - 1 ? result : Tensor());
    }
    return result;
  }

  // Without a backward pass, only a layer's output is needed later. Each layer reads one of two (N, C) buffers and writes the other, so
  // that rewind() can free all else that it allocated.
  Tensor next = arena.allocate(params_.compute(), {N, C});
  Tensor x = embed(arena, pass, false);
  for (std::int64_t l = 0; l < L; ++l) {
    const Arena::Mark mark = arena.mark();
    LayerActivations a;
    a.x = x;
    layer_forward(arena, l, a, pass, false, l == L - 1 ? result : next);
    std::swap(x, next);
    arena.rewind(mark);
  }
  return result;
}

TokenIndices Encoder::upload(Arena& arena, const TokenBatch& batch) {
  return {backend_.upload(arena, batch.ids), backend_.upload(arena, batch.type_ids), backend_.upload(arena, batch.positions),
          backend_.upload(arena, batch.offsets), backend_.upload(arena, batch.rows)};
}

AttentionShape Encoder::attention_shape(std::int64_t l, const EncoderActivations& pass) const {
  const bool partial = is_partial(l, pass);
  return {.q_offsets = partial ? pass.wanted_offsets.view : pass.tokens.offsets,
          .k_offsets = pass.tokens.offsets,
          .heads = params_.config().num_attention_heads,
          .q_rows = partial ? pass.wanted_ids.view : pass.tokens.rows,
          .dropout = pass.dropout.site(pass.dropout.attention, attention_site(l))};
}

// Computes the input of the first layer (N, C): dropout(LayerNorm(word + position + type embeddings)).
Tensor Encoder::embed(Arena& arena, EncoderActivations& pass, bool save) {
  const ModelConfig& config = params_.config();
  const TokenIndices& tokens = pass.tokens;
  const DropoutState& dropout = pass.dropout;
  const std::int64_t N = pass.batch.tokens(), C = config.hidden_size;
  const Tensor out = arena.allocate(params_.compute(), {N, C});
  const Tensor sum = save ? arena.allocate(params_.compute(), {N, C}) : out;
  const Tensor stats = save ? arena.allocate(params_.dtype(), {N, 2}) : Tensor();
  backend_.embedding(sum, words(pass.batch), params_.value(position_index_), params_.value(type_index_), tokens.ids, tokens.positions,
                     tokens.type_ids);
  backend_.layernorm(out, stats, sum, embedding_norm_.gamma, embedding_norm_.beta, config.layer_norm_eps);
  if (dropout.hidden > 0) backend_.dropout(out, out, tokens.rows, dropout.site(dropout.hidden, kEmbeddingSite));
  if (save) {
    pass.embedding_sum = sum;
    pass.embedding_stats = stats;
  }
  return out;
}

// Computes one layer: attention, add & norm, feed-forward, add & norm. Reads a.x (N, C) and fills the rest of `a`. Returns `out` (M, C),
// which it allocates if it is empty.
Tensor Encoder::layer_forward(Arena& arena, std::int64_t l, LayerActivations& a, const EncoderActivations& pass, bool save, Tensor out) {
  const ModelConfig& config = params_.config();
  const Layer& layer = layers_[static_cast<std::size_t>(l)];
  const DropoutState& dropout = pass.dropout;
  const bool partial = is_partial(l, pass);
  const AttentionShape shape = attention_shape(l, pass);
  const RowIds rows = shape.q_rows;
  const std::int64_t N = pass.batch.tokens(), C = config.hidden_size, F = config.intermediate_size;
  const std::int64_t M = partial ? std::ssize(pass.wanted_rows.values) : N;
  const DType compute = params_.compute(), full = params_.dtype();
  const auto allocate = [&](std::int64_t n, std::int64_t c) { return arena.allocate(compute, {n, c}); };
  const auto when_saving = [&](DType dtype, std::int64_t n, std::int64_t c) { return save ? arena.allocate(dtype, {n, c}) : Tensor(); };

  if (partial) {
    a.x_wanted = allocate(M, C);
    backend_.gather_rows(a.x_wanted, a.x, pass.wanted_rows.view);
    a.q = allocate(M, C);
    const Tensor kv = allocate(N, 2 * C);
    backend_.linear(a.q, a.x_wanted, *layer.query.weight, layer.query.bias);
    backend_.linear(kv, a.x, *layer.key_value.weight, layer.key_value.bias);
    a.k = kv.slice_cols(0, C);
    a.v = kv.slice_cols(C, 2 * C);
  } else {
    a.x_wanted = a.x;
    const Tensor qkv = allocate(N, 3 * C);
    backend_.linear(qkv, a.x, *layer.qkv.weight, layer.qkv.bias);
    a.q = qkv.slice_cols(0, C);
    a.k = qkv.slice_cols(C, 2 * C);
    a.v = qkv.slice_cols(2 * C, 3 * C);
  }

  a.context = allocate(M, C);
  if (save) a.attention_saved = arena.allocate(DType::kU8, {static_cast<std::int64_t>(backend_.attention_saved_bytes(shape, compute))});
  backend_.attention(a.context, a.attention_saved, a.q, a.k, a.v, shape);

  const Tensor projected = allocate(M, C);
  backend_.linear(projected, a.context, *layer.attention_output.weight, layer.attention_output.bias);
  a.h = allocate(M, C);
  a.attention_sum = save ? projected : Tensor();
  a.attention_stats = when_saving(full, M, 2);
  backend_.dropout_add_layernorm(a.h, a.attention_sum, a.attention_stats, projected, a.x_wanted, layer.attention_norm.gamma,
                                 layer.attention_norm.beta, config.layer_norm_eps, rows,
                                 dropout.site(dropout.hidden, attention_output_site(l)));

  a.ffn_pre = when_saving(compute, M, F);
  a.ffn_act = allocate(M, F);
  backend_.linear_activation(a.ffn_act, a.ffn_pre, a.h, *layer.intermediate.weight, layer.intermediate.bias, config.hidden_act);
  const Tensor narrowed = allocate(M, C);
  backend_.linear(narrowed, a.ffn_act, *layer.output.weight, layer.output.bias);
  if (!out) out = allocate(M, C);
  a.ffn_sum = save ? narrowed : Tensor();
  a.ffn_stats = when_saving(full, M, 2);
  backend_.dropout_add_layernorm(out, a.ffn_sum, a.ffn_stats, narrowed, a.h, layer.output_norm.gamma, layer.output_norm.beta,
                                 config.layer_norm_eps, rows, dropout.site(dropout.hidden, ffn_output_site(l)));
  return out;
}

void Encoder::backward(Arena& arena, Gradients& gradients, Tensor dout, const EncoderActivations& saved, const GradReady& on_grad_ready) {
  const auto trains_below = [&](std::size_t end) { return gradients.trainable({embedding_span_.begin, end}); };
  const Arena::Mark mark = arena.mark();
  for (std::int64_t l = std::ssize(layers_) - 1; l >= 0; --l) {
    const ParamSpan span = layers_[static_cast<std::size_t>(l)].span;
    if (!trains_below(span.end)) break;
    dout = layer_backward(arena, l, gradients, dout, saved, trains_below(span.begin));
    if (on_grad_ready) on_grad_ready(span);
  }
  if (trains_below(embedding_span_.end)) {
    embed_backward(arena, gradients, dout, saved);
    if (on_grad_ready) on_grad_ready(embedding_span_);
  }
  arena.rewind(mark);
}

// Computes the gradients of layer_forward from dout (M, C). Returns dx (N, C) if need_dx, which says that a parameter of an earlier layer
// or of the embeddings trains, else an empty tensor.
Tensor Encoder::layer_backward(Arena& arena, std::int64_t l, Gradients& gradients, Tensor dout, const EncoderActivations& saved,
                               bool need_dx) {
  const ModelConfig& config = params_.config();
  const Layer& layer = layers_[static_cast<std::size_t>(l)];
  const LayerActivations& a = saved.layers[static_cast<std::size_t>(l)];
  const DropoutState& dropout = saved.dropout;
  const AttentionShape shape = attention_shape(l, saved);
  const RowIds rows = shape.q_rows;
  const std::int64_t N = saved.batch.tokens(), C = config.hidden_size, F = config.intermediate_size, M = dout.rows();
  const auto allocate = [&](std::int64_t n, std::int64_t c) { return arena.allocate(params_.compute(), {n, c}); };
  const auto linear_params = [&](const LinearParams& p, const Tensor& x, const Tensor& dy) {
    backend_.linear_backward_params(gradients.joined(p.weight_index, p.count), gradients.joined(p.bias_index, p.count), x, dy);
  };

  // Without dropout dx equals dresidual, and one tensor serves as both.
  const auto norm_backward = [&](const NormParams& p, const Tensor& dy, const Tensor& sum, const Tensor& stats, std::uint16_t site) {
    const Dropout d = dropout.site(dropout.hidden, site);
    const Tensor dresidual = allocate(M, C), dx = d ? allocate(M, C) : Tensor();
    backend_.dropout_add_layernorm_backward(dx, dresidual, gradients[p.index], gradients[p.index + 1], dy, sum, stats, p.gamma, rows, d);
    return std::pair(d ? dx : dresidual, dresidual);
  };

  Tensor dx = need_dx ? allocate(N, C) : Tensor();  // allocated before the mark, because it outlives this layer's other tensors
  const Arena::Mark mark = arena.mark();

  const auto [dnarrowed, dh_residual] = norm_backward(layer.output_norm, dout, a.ffn_sum, a.ffn_stats, ffn_output_site(l));
  linear_params(layer.output, a.ffn_act, dnarrowed);
  const Tensor dffn = allocate(M, F);
  backend_.linear_backward_input(dffn, dnarrowed, *layer.output.weight);
  backend_.activation_backward(dffn, dffn, a.ffn_pre, config.hidden_act);
  linear_params(layer.intermediate, a.h, dffn);
  const Tensor dh = allocate(M, C);
  backend_.linear_backward_input(dh, dffn, *layer.intermediate.weight);
  backend_.add(dh, dh, dh_residual);

  const auto [dprojected, dx_residual] =
      norm_backward(layer.attention_norm, dh, a.attention_sum, a.attention_stats, attention_output_site(l));
  linear_params(layer.attention_output, a.context, dprojected);
  const Tensor dcontext = allocate(M, C);
  backend_.linear_backward_input(dcontext, dprojected, *layer.attention_output.weight);

  if (is_partial(l, saved)) {
    const Tensor dq = allocate(M, C), dkv = allocate(N, 2 * C);
    backend_.attention_backward(dq, dkv.slice_cols(0, C), dkv.slice_cols(C, 2 * C), dcontext, a.attention_saved, a.q, a.k, a.v, shape);
    linear_params(layer.query, a.x_wanted, dq);
    linear_params(layer.key_value, a.x, dkv);
    if (need_dx) {
      const Tensor dx_wanted = allocate(M, C), scattered = allocate(N, C);
      backend_.linear_backward_input(dx_wanted, dq, *layer.query.weight);
      backend_.add(dx_wanted, dx_wanted, dx_residual);
      backend_.gather_rows_backward(scattered, dx_wanted, saved.wanted_rows.view);
      backend_.linear_backward_input(dx, dkv, *layer.key_value.weight);
      backend_.add(dx, dx, scattered);
    }
  } else {
    const Tensor dqkv = allocate(N, 3 * C);
    backend_.attention_backward(dqkv.slice_cols(0, C), dqkv.slice_cols(C, 2 * C), dqkv.slice_cols(2 * C, 3 * C), dcontext,
                                a.attention_saved, a.q, a.k, a.v, shape);
    linear_params(layer.qkv, a.x, dqkv);
    if (need_dx) {
      backend_.linear_backward_input(dx, dqkv, *layer.qkv.weight);
      backend_.add(dx, dx, dx_residual);
    }
  }
  arena.rewind(mark);
  return dx;
}

void Encoder::embed_backward(Arena& arena, Gradients& gradients, Tensor dout, const EncoderActivations& saved) {
  const TokenIndices& tokens = saved.tokens;
  const DropoutState& dropout = saved.dropout;
  if (dropout.hidden > 0) backend_.dropout(dout, dout, tokens.rows, dropout.site(dropout.hidden, kEmbeddingSite));
  const Tensor dsum = arena.allocate(params_.compute(), {saved.batch.tokens(), params_.config().hidden_size});
  backend_.layernorm_backward(dsum, gradients[embedding_norm_.index], gradients[embedding_norm_.index + 1], dout, saved.embedding_sum,
                              saved.embedding_stats, embedding_norm_.gamma);
  backend_.embedding_backward(saved.batch.vectors ? saved.batch.dvectors : gradients[word_index_], gradients[position_index_],
                              gradients[type_index_], dsum, tokens.ids, tokens.positions, tokens.type_ids);
}

}  // namespace minbert
