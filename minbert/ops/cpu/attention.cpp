// Self-attention. Each sentence and head is one task, small enough for the cache of a core. Scores exist for a block of queries at
// a time; backward recomputes them from the maximum and the sum of each row. So memory is linear in the length.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "minbert/ops/cpu/cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "minbert/ops/cpu/attention.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "minbert/ops/cpu/dropout-inl.h"
#include "minbert/ops/cpu/small_product-inl.h"
#include "minbert/ops/cpu/transpose-inl.h"
#include "minbert/ops/cpu/vector-inl.h"

#ifndef MINBERT_OPS_CPU_ATTENTION_ARGUMENTS_
#define MINBERT_OPS_CPU_ATTENTION_ARGUMENTS_
namespace minbert::cpu {

/// Queries whose scores are held at once.
inline constexpr std::int64_t kQueryBlock = 32;

struct AttentionArguments {
  Tensor out, saved, q, k, v;
  Tensor dq, dk, dv, dout;  // backward only
  const AttentionShape* shape;
  std::int64_t head_size, max_keys;
};

/// What backward needs of a query's softmax: probability = exp(score - max) * inverse_sum. The saved buffer holds them by head, then query.
struct SoftmaxRow {
  float max, inverse_sum;
};

}  // namespace minbert::cpu
#endif  // MINBERT_OPS_CPU_ATTENTION_ARGUMENTS_

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

/// The padded sizes of one task's matrices.
struct Sizes {
  std::int64_t head, keys;    // D, and the length of the longest sequence
  std::int64_t width, depth;  // both rounded up to whole vectors

  explicit Sizes(const AttentionArguments& a)
      : head(a.head_size), keys(a.max_keys), width(round_up(head, kLanes)), depth(padded_keys(keys)) {}
  static std::int64_t padded_keys(std::int64_t n) { return round_up(n, std::max<std::int64_t>(kLanes, kTileRows)); }
};

struct ForwardScratch {
  float *k_transposed, *v, *q, *scores, *out;
  std::uint16_t* lanes;
  std::int64_t bytes;
  ForwardScratch(std::byte* memory, const Sizes& s) {
    Carver carver(memory);
    const auto take = [&](std::int64_t rows, std::int64_t cols) { return carver.take<float>(rows * cols); };
    k_transposed = take(s.head, s.depth);
    v = take(s.keys, s.width);
    q = take(kQueryBlock, s.width);
    scores = take(kQueryBlock, s.depth);
    out = take(kQueryBlock, s.width);
    lanes = carver.take<std::uint16_t>(round_up(s.depth, kMaskLanes));
    bytes = carver.bytes();
  }
};

struct BackwardScratch {
  float *k_transposed, *v_transposed, *k, *q, *dout, *probabilities, *dscores, *dq, *dk, *dv;
  std::uint16_t* lanes;
  std::int64_t bytes;
  BackwardScratch(std::byte* memory, const Sizes& s) {
    Carver carver(memory);
    const auto take = [&](std::int64_t rows, std::int64_t cols) { return carver.take<float>(rows * cols); };
    k_transposed = take(s.head, s.depth);
    v_transposed = take(s.head, s.depth);
    k = take(s.keys, s.width);
    q = take(kQueryBlock, s.width);
    dout = take(kQueryBlock, s.width);
    probabilities = take(kQueryBlock, s.depth);
    dscores = take(kQueryBlock, s.depth);
    dq = take(kQueryBlock, s.width);
    dk = take(s.depth, s.width);
    dv = take(s.depth, s.width);
    lanes = carver.take<std::uint16_t>(round_up(s.depth, kMaskLanes));
    bytes = carver.bytes();
  }
};

/// The sentence and head of a task, and its rows. Heads vary slowest, so that each thread gets tasks of every sentence.
struct Task {
  std::int64_t sentence, head, first_query, queries, first_key, keys, column;
  Task(const AttentionArguments& a, std::int64_t index) {
    const auto q = a.shape->q_offsets.host, k = a.shape->k_offsets.host;
    const std::int64_t sentences = std::ssize(q) - 1;
    head = index / sentences;
    sentence = index % sentences;
    const auto b = static_cast<std::size_t>(sentence);
    first_query = q[b];
    queries = q[b + 1] - q[b];
    first_key = k[b];
    keys = k[b + 1] - k[b];
    column = head * a.head_size;
  }
};

template <class T>
HWY_INLINE T* cell(const Tensor& x, std::int64_t row, std::int64_t col) {
  return x.data<T>() + row * x.row_stride() + col;
}

/// The byte at which the saved buffer holds the SoftmaxRow of a query; the buffer may have any alignment.
HWY_INLINE std::size_t saved_at(const AttentionArguments& a, std::int64_t head, std::int64_t query) {
  return static_cast<std::size_t>(head * a.q.rows() + query) * sizeof(SoftmaxRow);
}

/// to (rows, stride) = scale * from; columns beyond `cols` become zero up to a whole vector.
template <class T>
HWY_INLINE void pack(float* to, std::int64_t stride, const T* from, std::int64_t from_stride, std::int64_t rows, std::int64_t cols,
                     float scale) {
  const V factor = set(scale);
  for (std::int64_t row = 0; row < rows; ++row) {
    for_lanes(static_cast<std::size_t>(cols), [&](std::size_t i, auto extent) HWY_ATTR {
      store(hn::Mul(load(extent, from + row * from_stride + i), factor), to + row * stride + i);
    });
  }
}

/// to (cols, stride) = from^T; columns beyond `rows` become zero up to padded_keys(rows).
template <class T>
HWY_INLINE void pack_keys(float* to, std::int64_t stride, const T* from, std::int64_t from_stride, std::int64_t rows, std::int64_t cols) {
  pack_transposed(to, stride, from, from_stride, rows, cols);
  for (std::int64_t col = 0; col < cols; ++col) std::fill(to + col * stride + rows, to + col * stride + Sizes::padded_keys(rows), 0.0f);
}

/// to (rows, cols) = scale * from.
template <class T>
HWY_INLINE void unpack(T* to, std::int64_t to_stride, const float* from, std::int64_t stride, std::int64_t rows, std::int64_t cols,
                       float scale) {
  const V factor = set(scale);
  for (std::int64_t row = 0; row < rows; ++row) {
    for_lanes(static_cast<std::size_t>(cols), [&](std::size_t i, auto extent) HWY_ATTR {
      store(extent, hn::Mul(load(from + row * stride + i), factor), to + row * to_stride + i);
    });
  }
}

/// Draws the random bits of one query's keys, in whole blocks of kMaskLanes.
HWY_INLINE void draw_mask(const AttentionShape& shape, std::int64_t query, std::int64_t head, std::int64_t keys, std::uint16_t* lanes) {
  const MaskRow row(shape.dropout, shape.q_rows.host[static_cast<std::size_t>(query)], static_cast<std::uint32_t>(head));
  for (std::size_t begin = 0; begin < static_cast<std::size_t>(keys); begin += kMaskLanes)
    mask_lanes(shape.dropout, row, begin, lanes + begin);
}

/// Turns scores[0, keys) into exp(score - max) and the padding behind them into 0.
HWY_INLINE SoftmaxRow softmax_row(float* scores, std::int64_t keys) {
  const V lowest = set(-std::numeric_limits<float>::infinity());
  V max = lowest, sum = set(0);
  for_lanes(static_cast<std::size_t>(keys), [&](std::size_t i, auto extent) HWY_ATTR {
    const V score = fill_rest(extent, load(scores + i), lowest);
    store(score, scores + i);
    max = hn::Max(max, score);
  });
  SoftmaxRow row{.max = hn::GetLane(hn::MaxOfLanes(kF32, max)), .inverse_sum = 0};
  const V shift = set(row.max);
  for_lanes(static_cast<std::size_t>(keys), [&](std::size_t i, auto) HWY_ATTR {
    const V e = exp_nonpositive(hn::Sub(load(scores + i), shift));
    sum = hn::Add(sum, e);
    store(e, scores + i);
  });
  row.inverse_sum = 1.0f / sum_lanes(sum);
  return row;
}

HWY_INLINE void apply_mask(float* x, std::int64_t keys, const std::uint16_t* lanes, const MaskFactors& factors) {
  for (std::int64_t i = 0; i < keys; i += static_cast<std::int64_t>(kLanes)) store(hn::Mul(load(x + i), factors(lanes + i)), x + i);
}

template <class T>
void attention_forward(const AttentionArguments& a, std::int64_t index, std::byte* memory) {
  const Task t(a, index);
  const Sizes s(a);
  const ForwardScratch w(memory, s);
  const MaskFactors factors(a.shape->dropout);
  const float scale = 1.0f / std::sqrt(static_cast<float>(s.head));
  pack_keys(w.k_transposed, s.depth, cell<T>(a.k, t.first_key, t.column), a.k.row_stride(), t.keys, s.head);
  pack(w.v, s.width, cell<T>(a.v, t.first_key, t.column), a.v.row_stride(), t.keys, s.head, 1);
  for (std::int64_t begin = 0; begin < t.queries; begin += kQueryBlock) {
    const std::int64_t rows = std::min(kQueryBlock, t.queries - begin), tiles = round_up(rows, kTileRows), first = t.first_query + begin;
    pack(w.q, s.width, cell<T>(a.q, first, t.column), a.q.row_stride(), rows, s.head, scale);
    small_product<false>(w.scores, s.depth, {w.q, s.width, 1}, w.k_transposed, s.depth, tiles, Sizes::padded_keys(t.keys), s.head);
    SoftmaxRow stats[kQueryBlock];
    for (std::int64_t r = 0; r < rows; ++r) {
      stats[r] = softmax_row(w.scores + r * s.depth, t.keys);
      if (!a.shape->dropout) continue;
      draw_mask(*a.shape, first + r, t.head, t.keys, w.lanes);
      apply_mask(w.scores + r * s.depth, t.keys, w.lanes, factors);
    }
    small_product<false>(w.out, s.width, {w.scores, s.depth, 1}, w.v, s.width, tiles, s.width, t.keys);
    for (std::int64_t r = 0; r < rows; ++r) {
      const float inverse = t.keys > 0 ? stats[r].inverse_sum : 0.0f;
      unpack(cell<T>(a.out, first + r, t.column), a.out.row_stride(), w.out + r * s.width, s.width, 1, s.head, inverse);
    }
    if (a.saved)
      std::memcpy(a.saved.data<std::uint8_t>() + saved_at(a, t.head, first), stats, static_cast<std::size_t>(rows) * sizeof(SoftmaxRow));
  }
}

/// One row of the softmax's backward, in place: `scores` become the probabilities after dropout, and `gradient` turns from the gradient
/// of those into the gradient of the scores. `lanes` is null without dropout.
HWY_INLINE void softmax_backward_row(float* scores, float* gradient, std::int64_t keys, SoftmaxRow row, const std::uint16_t* lanes,
                                     const MaskFactors& factors) {
  const V shift = set(row.max), inverse = set(row.inverse_sum);
  V dot = set(0);
  for_lanes(static_cast<std::size_t>(keys), [&](std::size_t i, auto extent) HWY_ATTR {
    const V p = fill_rest(extent, hn::Mul(exp_nonpositive(hn::Sub(load(scores + i), shift)), inverse), set(0));
    const V d = lanes != nullptr ? hn::Mul(load(gradient + i), factors(lanes + i)) : load(gradient + i);
    store(p, scores + i);
    store(d, gradient + i);
    dot = hn::MulAdd(p, d, dot);
  });
  const V mean = hn::SumOfLanes(kF32, dot);
  for_lanes(static_cast<std::size_t>(keys), [&](std::size_t i, auto) HWY_ATTR {
    const V p = load(scores + i);
    store(hn::Mul(p, hn::Sub(load(gradient + i), mean)), gradient + i);
    if (lanes != nullptr) store(hn::Mul(p, factors(lanes + i)), scores + i);
  });
}

template <class T>
void attention_gradient(const AttentionArguments& a, std::int64_t index, std::byte* memory) {
  const Task t(a, index);
  const Sizes s(a);
  const BackwardScratch w(memory, s);
  const MaskFactors factors(a.shape->dropout);
  const float scale = 1.0f / std::sqrt(static_cast<float>(s.head));
  const std::int64_t keys = Sizes::padded_keys(t.keys);
  pack_keys(w.k_transposed, s.depth, cell<T>(a.k, t.first_key, t.column), a.k.row_stride(), t.keys, s.head);
  pack_keys(w.v_transposed, s.depth, cell<T>(a.v, t.first_key, t.column), a.v.row_stride(), t.keys, s.head);
  pack(w.k, s.width, cell<T>(a.k, t.first_key, t.column), a.k.row_stride(), t.keys, s.head, 1);
  std::fill(w.dk, w.dk + keys * s.width, 0.0f);
  std::fill(w.dv, w.dv + keys * s.width, 0.0f);
  for (std::int64_t begin = 0; begin < t.queries; begin += kQueryBlock) {
    const std::int64_t rows = std::min(kQueryBlock, t.queries - begin), tiles = round_up(rows, kTileRows), first = t.first_query + begin;
    pack(w.q, s.width, cell<T>(a.q, first, t.column), a.q.row_stride(), rows, s.head, scale);
    pack(w.dout, s.width, cell<T>(a.dout, first, t.column), a.dout.row_stride(), rows, s.head, 1);
    small_product<false>(w.probabilities, s.depth, {w.q, s.width, 1}, w.k_transposed, s.depth, tiles, keys, s.head);
    small_product<false>(w.dscores, s.depth, {w.dout, s.width, 1}, w.v_transposed, s.depth, tiles, keys, s.head);
    SoftmaxRow stats[kQueryBlock];
    std::memcpy(stats, a.saved.data<std::uint8_t>() + saved_at(a, t.head, first), static_cast<std::size_t>(rows) * sizeof(SoftmaxRow));
    for (std::int64_t r = 0; r < rows; ++r) {
      if (a.shape->dropout) draw_mask(*a.shape, first + r, t.head, t.keys, w.lanes);
      softmax_backward_row(w.probabilities + r * s.depth, w.dscores + r * s.depth, t.keys, stats[r], a.shape->dropout ? w.lanes : nullptr,
                           factors);
    }
    small_product<true>(w.dv, s.width, {w.probabilities, 1, s.depth}, w.dout, s.width, keys, s.width, rows);
    small_product<true>(w.dk, s.width, {w.dscores, 1, s.depth}, w.q, s.width, keys, s.width, rows);
    small_product<false>(w.dq, s.width, {w.dscores, s.depth, 1}, w.k, s.width, tiles, s.width, t.keys);
    unpack(cell<T>(a.dq, first, t.column), a.dq.row_stride(), w.dq, s.width, rows, s.head, scale);
  }
  unpack(cell<T>(a.dk, t.first_key, t.column), a.dk.row_stride(), w.dk, s.width, t.keys, s.head, 1);
  unpack(cell<T>(a.dv, t.first_key, t.column), a.dv.row_stride(), w.dv, s.width, t.keys, s.head, 1);
}

void attention_tasks(const AttentionArguments& a, bool backward, std::int64_t begin, std::int64_t end, std::byte* memory) {
  with_type(a.q.dtype(), [&]<class T>(T) HWY_ATTR {
    for (std::int64_t index = begin; index < end; ++index) {
      if (backward) {
        attention_gradient<T>(a, index, memory);
      } else {
        attention_forward<T>(a, index, memory);
      }
    }
  });
}

/// Bytes of scratch memory that one thread needs.
std::int64_t attention_scratch(const AttentionArguments& a, bool backward) {
  const Sizes s(a);
  return backward ? BackwardScratch(nullptr, s).bytes : ForwardScratch(nullptr, s).bytes;
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace minbert::cpu {

HWY_EXPORT(attention_tasks);
HWY_EXPORT(attention_scratch);

namespace {

std::int64_t longest(std::span<const std::int32_t> offsets) {
  std::int64_t result = 0;
  for (std::size_t b = 1; b < offsets.size(); ++b) result = std::max<std::int64_t>(result, offsets[b] - offsets[b - 1]);
  return result;
}

/// Multiplications in q k^T: pairs of a query and a key, times the channels.
double pairs(const AttentionShape& shape, std::int64_t channels) {
  const auto q = shape.q_offsets.host, k = shape.k_offsets.host;
  double result = 0;
  for (std::size_t b = 1; b < q.size(); ++b) result += static_cast<double>(q[b] - q[b - 1]) * static_cast<double>(k[b] - k[b - 1]);
  return result * static_cast<double>(channels);
}

void run(const AttentionArguments& a, bool backward, Scratch& scratch) {
  for (const Tensor* t : {&a.k, &a.v, &a.out, &a.dq, &a.dk, &a.dv, &a.dout})
    MINBERT_CHECK(!*t || t->dtype() == a.q.dtype(), "attention over {} and {}", a.q.describe(), t->describe());
  const std::int64_t tasks = a.shape->heads * (std::ssize(a.shape->q_offsets.host) - 1);
  if (tasks == 0) return;
  const std::int64_t part_size = HWY_DYNAMIC_DISPATCH(attention_scratch)(a, backward);
  std::byte* memory = scratch.get<std::byte>(num_threads() * part_size);
  for_ranges_by_thread(tasks, 1, [&](std::int64_t thread, std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(attention_tasks)(a, backward, begin, end, memory + thread * part_size);
  });
}

}  // namespace

std::size_t CpuBackend::attention_saved_bytes(const AttentionShape& shape, DType) const {
  return sizeof(SoftmaxRow) * static_cast<std::size_t>(shape.heads) * static_cast<std::size_t>(shape.q_offsets.host.back());
}

void CpuBackend::attention(Tensor out, Tensor saved, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape) {
  shapes::attention(out, q, k, v, shape);
  MINBERT_CHECK(!saved || saved.bytes() >= attention_saved_bytes(shape, q.dtype()), "attention saves into {}", saved.describe());
  const OpScope scope(*this, "attention", 4.0 * pairs(shape, q.cols()), bytes_of({&out, &q, &k, &v}), {out});
  run({.out = out,
       .saved = saved,
       .q = q,
       .k = k,
       .v = v,
       .dq = {},
       .dk = {},
       .dv = {},
       .dout = {},
       .shape = &shape,
       .head_size = q.cols() / shape.heads,
       .max_keys = longest(shape.k_offsets.host)},
      false, scratch_);
}

void CpuBackend::attention_backward(Tensor dq, Tensor dk, Tensor dv, const Tensor& dout, const Tensor& saved, const Tensor& q,
                                    const Tensor& k, const Tensor& v, const AttentionShape& shape) {
  shapes::attention(dout, q, k, v, shape);
  shapes::same(dq, q, "attention dq");
  shapes::same(dk, k, "attention dk");
  shapes::same(dv, v, "attention dv");
  MINBERT_CHECK(saved && saved.bytes() >= attention_saved_bytes(shape, q.dtype()), "attention saved {}", saved.describe());
  const OpScope scope(*this, "attention_backward", 10.0 * pairs(shape, q.cols()), bytes_of({&dq, &dk, &dv, &dout, &q, &k, &v}),
                      {dq, dk, dv});
  run({.out = {},
       .saved = saved,
       .q = q,
       .k = k,
       .v = v,
       .dq = dq,
       .dk = dk,
       .dv = dv,
       .dout = dout,
       .shape = &shape,
       .head_size = q.cols() / shape.heads,
       .max_keys = longest(shape.k_offsets.host)},
      true, scratch_);
}

}  // namespace minbert::cpu
#endif  // HWY_ONCE
