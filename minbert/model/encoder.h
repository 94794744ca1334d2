// The BERT encoder (paper 3.1; transformers/models/bert/modeling_bert.py), forward and backward written out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "minbert/base/arena.h"
#include "minbert/model/params.h"
#include "minbert/ops/backend.h"

namespace minbert {

/// A batch of sentences as one packed row of tokens. It consists of views; who makes the batch owns the memory.
struct TokenBatch {
  std::span<const std::int32_t> ids;        ///< N, with [CLS] and [SEP]
  std::span<const std::int32_t> type_ids;   ///< N
  std::span<const std::int32_t> positions;  ///< N, from 0 in each sentence
  std::span<const std::int32_t> offsets;    ///< B + 1
  std::span<const RowId> rows;              ///< N; which example each token belongs to
  /// (N', C), which `ids` index in place of the word embeddings, and the tensor of that shape to which backward then adds the gradient;
  /// both empty for a batch of words.
  Tensor vectors = {}, dvectors = {};

  std::int64_t tokens() const { return std::ssize(ids); }
  std::int64_t sentences() const { return std::ssize(offsets) - 1; }
};

/// The lists of a TokenBatch, uploaded once for a forward pass and its backward.
struct TokenIndices {
  Indices ids, type_ids, positions, offsets;
  RowIds rows;
};

/// A list that the model makes itself for its ops: filled in host memory, then uploaded.
template <class T>
struct IndexList {
  std::vector<T> values;
  IndexView<T> view;  ///< of `values`, as they were when upload() was called

  IndexList() = default;
  IndexList(const IndexList&) = delete;
  IndexList& operator=(const IndexList&) = delete;
  void upload(Backend& backend, Arena& arena) { view = backend.upload(arena, std::span<const T>(values)); }
};

/// The dropout of one micro-step. The defaults mean no dropout, as in evaluation.
struct DropoutState {
  float hidden = 0, attention = 0;  ///< rates in the encoder
  bool heads = false;               ///< whether task heads drop, each at its own rate
  float mlm = 0;                    ///< rate before the MLM head
  std::uint64_t seed = 0;
  std::uint32_t step = 0;
  std::uint16_t micro_step = 0;

  Dropout site(float p, std::uint16_t number) const { return {p, seed, step, micro_step, number}; }
};

/// Dropout sites: fixed numbers, part of the checkpoint contract.
constexpr std::uint16_t kEmbeddingSite = 0;
constexpr std::uint16_t attention_site(std::int64_t layer) { return static_cast<std::uint16_t>(1 + 3 * layer); }
constexpr std::uint16_t attention_output_site(std::int64_t layer) { return static_cast<std::uint16_t>(2 + 3 * layer); }
constexpr std::uint16_t ffn_output_site(std::int64_t layer) { return static_cast<std::uint16_t>(3 + 3 * layer); }
constexpr std::uint16_t kMlmSite = 0xe000;
/// The site of a head; `task` is the index of its task in ModelShape::heads.
constexpr std::uint16_t head_site(std::size_t task) { return static_cast<std::uint16_t>(0xf000 + task); }

/// What backward needs of one layer. M = N, except in the last layer where only some rows are wanted.
struct LayerActivations {
  Tensor x;                               // (N, C) input
  Tensor x_wanted;                        // (M, C) the rows of x that are wanted
  Tensor q, k, v;                         // (M, C), (N, C), (N, C): columns of one or two products
  Tensor context, attention_saved;        // (M, C), and the op's own format
  Tensor attention_sum, attention_stats;  // (M, C), (M, 2): input and statistics of the first layernorm
  Tensor h;                               // (M, C) its output
  Tensor ffn_pre, ffn_act;                // (M, F) before and after the activation
  Tensor ffn_sum, ffn_stats;              // (M, C), (M, 2)
};

/// What backward needs of a whole forward pass. Tensors live in the arena that forward was given.
struct EncoderActivations {
  TokenBatch batch;
  TokenIndices tokens;  // the batch, uploaded
  DropoutState dropout;
  IndexList<std::int32_t> wanted_rows;     // (M) token indices; empty: all N
  IndexList<std::int32_t> wanted_offsets;  // (B + 1) of the wanted rows
  IndexList<RowId> wanted_ids;             // (M)
  Tensor embedding_sum, embedding_stats;   // (N, C), (N, 2)
  std::vector<LayerActivations> layers;
};

class Encoder {
 public:
  /// `params` must outlive this object and stay where they are.
  Encoder(Backend& backend, Params& params);
  Encoder(const Encoder&) = delete;
  Encoder& operator=(const Encoder&) = delete;

  /// All parameters of the encoder.
  ParamSpan span() const { return {embedding_span_.begin, layers_.back().span.end}; }

  /// Last hidden states (M, C) of `wanted_rows` (ascending token indices; empty: all N), in the compute dtype, allocated in
  /// `arena`. The last layer computes only what those rows need. Fills `saved` for backward when it is not null.
  Tensor forward(Arena& arena, EncoderActivations* saved, const TokenBatch& batch, std::span<const std::int32_t> wanted_rows,
                 const DropoutState& dropout);

  /// Called as soon as the gradients of a span of parameters are final and the backward pass has read their values for the last time. It
  /// may change both.
  using GradReady = std::function<void(ParamSpan)>;

  /// Accumulates into `gradients`; goes no deeper than the lowest layer that trains. dout (M, C) is overwritten.
  /// Calls `on_grad_ready` for each layer, last first, then for the embeddings.
  void backward(Arena& arena, Gradients& gradients, Tensor dout, const EncoderActivations& saved, const GradReady& on_grad_ready = {});

 private:
  /// The parameters of one layer.
  struct Layer {
    LinearParams qkv;
    LinearParams query, key_value;  // in the last layer only, where it computes wanted rows alone
    LinearParams attention_output, intermediate, output;
    NormParams attention_norm, output_norm;
    ParamSpan span;
  };
  Tensor embed(Arena& arena, EncoderActivations& pass, bool save);
  Tensor layer_forward(Arena& arena, std::int64_t l, LayerActivations& a, const EncoderActivations& pass, bool save, Tensor out);
  Tensor layer_backward(Arena& arena, std::int64_t l, Gradients& gradients, Tensor dout, const EncoderActivations& saved, bool need_dx);
  Tensor words(const TokenBatch& batch) const { return batch.vectors ? batch.vectors : params_.value(word_index_); }
  void embed_backward(Arena& arena, Gradients& gradients, Tensor dout, const EncoderActivations& saved);
  TokenIndices upload(Arena& arena, const TokenBatch& batch);
  /// Whether layer l computes wanted rows only.
  bool is_partial(std::int64_t l, const EncoderActivations& pass) const {
    return l == std::ssize(layers_) - 1 && !pass.wanted_rows.values.empty();
  }
  /// Which rows of layer l are queries and keys, and the dropout of its probabilities.
  AttentionShape attention_shape(std::int64_t l, const EncoderActivations& pass) const;

  Backend& backend_;
  Params& params_;
  std::size_t word_index_, position_index_, type_index_;
  NormParams embedding_norm_;
  ParamSpan embedding_span_;
  std::vector<Layer> layers_;
};

}  // namespace minbert
