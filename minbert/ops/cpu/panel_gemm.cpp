// Computes dst (M,N) = a (M,K) b (K,N) in the manner of BLIS. a is packed into panels of 6 or 14 rows, b into panels of two vectors of
// columns, and one tile of dst stays in registers while a block of k is summed. a is packed once for all threads. Each panel of b is
// packed by the thread that uses it, into that thread's own cache, so that packing weights, which change in every step, costs no memory
// traffic. A bf16 panel stores the values at k = 2i and 2i + 1 in one float-sized word i; only the innermost loop and the packing of
// matrices that are not dense along k differ from f32. The loop is dot_tile.h's, or it multiplies floats: then a is widened to floats when
// it is packed, and b, of which a tile reads more, when it is loaded into registers. AMX (amx_tile.h) takes panels of 32 rows, has an
// order of words of its own, and reads whole panels of rows where they are; a word may hold four 8-bit numbers there.
#include "minbert/ops/cpu/panel_gemm.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <type_traits>
#include <vector>

#include "minbert/base/check.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "minbert/ops/cpu/panel_gemm.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "minbert/ops/cpu/amx_tile.h"
#include "minbert/ops/cpu/dot_tile.h"
#include "minbert/ops/cpu/transpose-inl.h"
#include "minbert/ops/cpu/vector-inl.h"

#ifndef MINBERT_OPS_CPU_PANEL_GEMM_ARGUMENTS_
#define MINBERT_OPS_CPU_PANEL_GEMM_ARGUMENTS_
namespace minbert::cpu {

/// A sum over k into an f32 dst is made in blocks of equal size (the last one may be shorter), at most this many words each. The size
/// depends on K and the dtype, but not on the instruction set's tiles, so that these do not change the sum. A bf16 dst has one block,
/// because its sums leave the registers only when they are complete. So has a product by AMX, up to a larger size, in whole steps.
inline constexpr std::int64_t kMaxDepth = 256;
struct DepthBlocks {
  std::int64_t depth, size, count;  // in words: floats, pairs of bf16 or four 8-bit numbers
  DepthBlocks(std::int64_t words, std::int64_t most, std::int64_t step) : depth(words), size(0), count(divide_up(words, most)) {
    size = round_up(divide_up(depth, count), step);
  }
  std::int64_t begin(std::int64_t block) const { return block * size; }
  std::int64_t length(std::int64_t block) const { return std::min(size, depth - begin(block)); }
};

/// Tile sizes of the chosen instruction set.
struct PanelSizes {
  std::int64_t rows, row_stride, cols;
};

/// Floats that a word of packed a becomes: two where bf16 is widened.
inline std::int64_t floats_per_word(const PanelProduct& p) { return p.math == PanelMath::kFloat && p.a.dtype == DType::kBF16 ? 2 : 1; }

/// A piece of the product, and memory for its packed a: the rows of dst [first_row, first_row + rows), summed over the blocks of k
/// [first_block, first_block + block_count).
struct PanelTask {
  const PanelProduct* product;
  Matrix a, b;  // the product's; a matrix of whole words along k is seen as a matrix of floats
  DepthBlocks blocks;
  std::int64_t first_row, rows, first_block, block_count;
  float* packed_a;
  std::int64_t groups;         // the row panels are cut into this many groups; one group with one panel of b is a task
  std::int64_t row_panels;     // the number of a's panels
  std::int64_t read_in_place;  // so many of them, the first ones, are not packed

  bool amx() const { return product->math == PanelMath::kAmx; }
  std::int64_t floats_per_word() const { return cpu::floats_per_word(*product); }
  bool widened() const { return floats_per_word() == 2; }
  /// Rows are divided evenly, 16 into 8 and 8, not 14 and 2. With AMX few rows take as long as a whole panel: only the last has fewer.
  std::int64_t row_of(std::int64_t panel) const { return amx() ? std::min(rows, panel * kAmxRows) : rows * panel / row_panels; }
};

}  // namespace minbert::cpu
#endif  // MINBERT_OPS_CPU_PANEL_GEMM_ARGUMENTS_

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

// With this many rows, a tile's sums (two vectors a row), two vectors of b and one element of a in all lanes need 31 of the 32
// registers of AVX-512, or 15 of the 16 of AVX2.
constexpr std::int64_t kRows = HWY_TARGET <= HWY_AVX3 ? 14 : 6;
constexpr std::int64_t kCols = 2 * static_cast<std::int64_t>(kLanes);
constexpr std::int64_t kRowStride = round_up(kRows, kLanes);

static_assert(HWY_TARGET != HWY_AVX3 || (kRows == kDotRows && kCols == kDotCols && kRowStride == kDotRowStride && kCols == kAmxCols));

PanelSizes panel_sizes(PanelMath math) {
  return math == PanelMath::kAmx ? PanelSizes{kAmxRows, kAmxRows, kAmxCols} : PanelSizes{kRows, kRowStride, kCols};
}

/// The bf16 numbers of words, widened: those at even k, and those at odd k.
HWY_INLINE V low_half(V words) { return hn::BitCast(kF32, hn::ShiftLeft<16>(hn::BitCast(kU32, words))); }
HWY_INLINE V high_half(V words) { return hn::And(words, hn::BitCast(kF32, hn::Set(kU32, 0xffff0000))); }

/// c (R, kCols) = a b + bias, or c += a b with kAdd, for packed a and b (depth, kCols); a null bias is 0. With B = float, a is (depth,
/// kRowStride). With B = BFloat16, b's words are pairs, and a is (2 depth, kRowStride), widened. Meanwhile it fetches the
/// first half of a panel like b, from `next` on, into the second cache.
template <class B, class T, bool kAdd, int R>
void tile(const float* a, const float* b, std::int64_t depth, T* c, std::int64_t stride, const float* bias, const float* next) {
  V sums[R][2];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    sums[r][0] = !kAdd && bias != nullptr ? load(bias) : set(0);
    sums[r][1] = !kAdd && bias != nullptr ? load(bias + kLanes) : set(0);
    hwy::Prefetch(c + r * stride);
    hwy::Prefetch(c + r * stride + kLanes);
  }
  const auto add_products = [&](const float* factors, V left, V right) HWY_ATTR __attribute__((always_inline)) {
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const V factor = hn::Set(kF32, factors[r]);
      sums[r][0] = hn::MulAdd(factor, left, sums[r][0]);
      sums[r][1] = hn::MulAdd(factor, right, sums[r][1]);
    }
  };
  for (std::int64_t k = 0; k < depth; ++k, b += kCols, next += kCols / 2) {
    __builtin_prefetch(next, 0, 2);
    const V left = load(b), right = load(b + kLanes);
    if constexpr (std::is_same_v<B, float>) {
      add_products(a, left, right);
      a += kRowStride;
    } else {
      add_products(a, low_half(left), low_half(right));
      add_products(a + kRowStride, high_half(left), high_half(right));
      a += 2 * kRowStride;
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    T* p = c + r * stride;
    store(kAdd ? hn::Add(load(p), sums[r][0]) : sums[r][0], p);
    store(kAdd ? hn::Add(load(p + kLanes), sums[r][1]) : sums[r][1], p + kLanes);
  }
}

template <class T>
using TileFunction = void (*)(const float*, const float*, std::int64_t, T*, std::int64_t, const float*, const float*);

/// The functions tile<B, T, kAdd, R> for R = 1 to kRows.
template <class B, class T, bool kAdd, int... R>
constexpr std::array<TileFunction<T>, sizeof...(R)> tile_table(std::integer_sequence<int, R...>) {
  return {&tile<B, T, kAdd, R + 1>...};
}
template <class B, class T, bool kAdd>
TileFunction<T> tile_function(std::int64_t rows) {
  static constexpr auto kTable = tile_table<B, T, kAdd>(std::make_integer_sequence<int, static_cast<int>(kRows)>());
  return kTable[static_cast<std::size_t>(rows - 1)];
}

/// to[i * step + c] = the pair x(2 (k + i), col + c) and x(2 (k + i) + 1, col + c), for c < cols and i < depth. x counts as zero beyond its
/// last row. Where x is not dense along its columns, an odd number of its rows or columns keeps pairs from being words; only small layers
/// are like that.
void pack_pairs(float* to, std::int64_t step, const Matrix& x, std::int64_t col, std::int64_t cols, std::int64_t k, std::int64_t depth) {
  const BFloat16* from = static_cast<const BFloat16*>(x.data) + 2 * k * x.row_stride + col * x.col_stride;
  if (x.col_stride != 1) {
    for (std::int64_t i = 0; i < depth; ++i) {
      for (std::int64_t c = 0; c < cols; ++c) {
        BFloat16 pair[2] = {from[2 * i * x.row_stride + c * x.col_stride], BFloat16(0.0f)};
        if (2 * (k + i) + 1 < x.rows) pair[1] = from[(2 * i + 1) * x.row_stride + c * x.col_stride];
        std::memcpy(to + i * step + c, pair, sizeof pair);
      }
    }
    return;
  }
  for (std::int64_t i = 0; i < depth; ++i, from += 2 * x.row_stride, to += step) {
    const bool alone = 2 * (k + i) + 1 == x.rows;
    for_lanes(static_cast<std::size_t>(cols), [&](std::size_t c, auto extent) HWY_ATTR {
      const auto low = hn::ShiftRight<16>(hn::BitCast(kU32, load(extent, from + c)));
      const auto high = alone ? hn::Zero(kU32) : hn::BitCast(kU32, load(extent, from + x.row_stride + c));
      store(extent, hn::BitCast(kF32, hn::Or(high, low)), to + c);
    });
  }
}

/// Packs rows [row, row + rows) of a over the words [k, k + depth): to[i * kRowStride + r] = word k + i of row r. The rest is undefined.
void pack_a_words(float* to, const Matrix& a, std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t depth) {
  if (a.dtype == DType::kBF16) {
    // Reads whole vectors where they stay inside the matrix: a vector may reach past its row's end into the next row.
    const bool whole = row + kRowStride <= a.rows || (2 * (k + depth) < a.cols && a.col_stride >= kRowStride);
    pack_pairs(to, kRowStride, a.transposed(), row, whole ? kRowStride : rows, k, depth);
    return;
  }
  const float* from = static_cast<const float*>(a.data) + row * a.row_stride + k * a.col_stride;
  if (a.col_stride == 1) {
    pack_transposed(to, kRowStride, from, a.row_stride, rows, depth);
    return;
  }
  for (std::int64_t i = 0; i < depth; ++i) {
    const float* p = from + i * a.col_stride;
    // Reads whole vectors where they stay inside the matrix: a vector may reach past its row's end into the next row.
    if (row + kRowStride <= a.rows || (k + i + 1 < a.cols && a.col_stride >= kRowStride)) {
      for (std::int64_t r = 0; r < kRowStride; r += static_cast<std::int64_t>(kLanes)) store(load(p + r), to + i * kRowStride + r);
    } else {
      std::copy(p, p + rows, to + i * kRowStride);
    }
  }
}

/// pack_a_words, but to[2 i * kRowStride + r] and to[(2 i + 1) * kRowStride + r] are the two bf16 numbers of word k + i, as floats.
void pack_a_widened(float* to, const Matrix& a, std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t depth) {
  float* words = to + depth * kRowStride;  // overwritten only where they have been read
  pack_a_words(words, a, row, rows, k, depth);
  for (std::int64_t i = 0; i < depth; ++i, words += kRowStride, to += 2 * kRowStride) {
    for (std::int64_t r = 0; r < kRowStride; r += static_cast<std::int64_t>(kLanes)) {
      const V word = load(words + r);
      store(low_half(word), to + r);
      store(high_half(word), to + kRowStride + r);
    }
  }
}

/// Packs rows [row, row + rows) of a over the words [k, k + depth) as tiles: to[(i / 16 * 32 + r) * 16 + i % 16] = word k + i of row r.
/// Zeros follow up to whole steps. Other rows of the panel are undefined.
void pack_a_tiles(float* to, const Matrix& a, std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t depth) {
  if (a.dtype != DType::kBF16) {
    for (std::int64_t r = 0; r < rows; ++r, to += kAmxStep) {
      const float* from = static_cast<const float*>(a.data) + (row + r) * a.row_stride + k;
      std::int64_t i = 0;
      for (; i + kAmxStep <= depth; i += kAmxStep)
        for_lanes(kAmxStep, [&](std::size_t c, auto extent) HWY_ATTR { store(extent, load(extent, from + i + c), to + i * kAmxRows + c); });
      if (i < depth) std::fill(std::copy(from + i, from + depth, to + i * kAmxRows), to + i * kAmxRows + kAmxStep, 0.0f);
    }
    return;
  }
  float words[kAmxStep * kAmxStep] = {};
  for (std::int64_t i = 0; i < depth; i += kAmxStep, to += kAmxRows * kAmxStep) {
    const std::int64_t n = std::min(kAmxStep, depth - i);
    std::fill(words + n * kAmxStep, words + kAmxStep * kAmxStep, 0.0f);
    for (std::int64_t r = 0; r < rows; r += kAmxStep) {
      pack_pairs(words, kAmxStep, a.transposed(), row + r, std::min(kAmxStep, rows - r), k + i, n);
      pack_transposed(to + r * kAmxStep, kAmxStep, words, kAmxStep, kAmxStep, kAmxStep);
    }
  }
}

/// Packs columns [col, col + width) of b over the words [k, k + depth): to[i * width + c] = word k + i of column c. What lies beyond the
/// last column is finite.
template <std::int64_t width>
void pack_b_cols(float* to, const Matrix& b, std::int64_t col, std::int64_t k, std::int64_t depth) {
  const std::int64_t cols = std::clamp<std::int64_t>(b.cols - col, 0, width);
  if (cols < width) std::fill(to, to + depth * width, 0.0f);
  if (b.dtype == DType::kBF16) {
    pack_pairs(to, width, b, col, cols, k, depth);
    return;
  }
  const float* from = static_cast<const float*>(b.data) + k * b.row_stride + col * b.col_stride;
  if (b.row_stride == 1) {
    pack_transposed(to, width, from, b.col_stride, cols, depth);
    return;
  }
  for (std::int64_t i = 0; i < depth; ++i) {
    const float* row = from + i * b.row_stride;
    if (cols == width) {
      for (std::int64_t c = 0; c < width; c += static_cast<std::int64_t>(kLanes)) store(load(row + c), to + i * width + c);
    } else {
      std::copy(row, row + cols, to + i * width);
    }
  }
}

/// Packs a panel of b: columns [col, col + kCols) over the words [k, k + depth); for AMX as AmxFactors::b, with zeros up to whole steps.
void pack_b(float* to, const Matrix& b, std::int64_t col, std::int64_t k, std::int64_t depth, bool amx) {
  if (!amx) return pack_b_cols<kCols>(to, b, col, k, depth);
  constexpr std::int64_t kHalf = kAmxCols / 2;
  for (std::int64_t i = 0; i < depth; i += kAmxStep) {
    const std::int64_t n = std::min(kAmxStep, depth - i);
    for (const std::int64_t half : {col, col + kHalf}) {
      pack_b_cols<kHalf>(to, b, half, k + i, n);
      std::fill(to + n * kHalf, to + kAmxStep * kHalf, 0.0f);
      to += kAmxStep * kHalf;
    }
  }
}

/// A tile of T whose products are made of floats; B is the dtype of a and b.
template <class B, class T>
struct FloatTile {
  using Dst = T;
  static void run(std::int64_t rows, bool add, const float* a, const float* b, std::int64_t depth, T* c, std::int64_t stride,
                  const float* bias, const float* next) {
    if constexpr (std::is_same_v<T, float>) {
      if (add) return tile_function<B, T, true>(rows)(a, b, depth, c, stride, bias, next);
    }
    tile_function<B, T, false>(rows)(a, b, depth, c, stride, bias, next);
  }
};
/// A tile of T by the dot product of pairs of bf16. It fetches nothing: no packed b comes here.
template <class T>
struct DotProductTile {
  using Dst = T;
  static void run(std::int64_t rows, bool add, const float* a, const float* b, std::int64_t depth, T* c, std::int64_t stride,
                  const float* bias, const float*) {
    dot_tile<T>(rows, add)(a, b, depth, c, stride, bias);
  }
};

/// Computes one tile of dst. A tile that reaches past dst's last column is computed in a buffer, and its real columns are copied.
template <class Tile>
void run_tile(const Matrix& dst, std::int64_t row, std::int64_t rows, std::int64_t col, const float* a, const float* b, std::int64_t depth,
              bool add, const float* bias, const float* next) {
  using T = typename Tile::Dst;
  T* c = static_cast<T*>(dst.data) + row * dst.row_stride + col;
  const std::int64_t cols = std::min(kCols, dst.cols - col);
  if (cols == kCols) {
    Tile::run(rows, add, a, b, depth, c, dst.row_stride, bias != nullptr ? bias + col : nullptr, next);
    return;
  }
  T edge[kRows * kCols] = {};
  float edge_bias[kCols] = {};
  for (std::int64_t r = 0; add && r < rows; ++r) std::copy(c + r * dst.row_stride, c + r * dst.row_stride + cols, edge + r * kCols);
  if (bias != nullptr) std::copy(bias + col, bias + col + cols, edge_bias);
  Tile::run(rows, add, a, b, depth, edge, kCols, edge_bias, next);
  for (std::int64_t r = 0; r < rows; ++r) std::copy(edge + r * kCols, edge + r * kCols + cols, c + r * dst.row_stride);
}

/// The start of a packed panel of a. packed_a holds the panels of the first block of k, then those of the second, and so on.
HWY_INLINE float* packed_a_at(const PanelTask& t, std::int64_t block, std::int64_t panel) {
  const std::int64_t stride = t.amx() ? kAmxRows : kRowStride;
  return t.packed_a + (block * (t.row_panels - t.read_in_place) + panel - t.read_in_place) * t.blocks.size * t.floats_per_word() * stride;
}

/// While one panel is multiplied or packed, fetches the cache lines of the panel of b (or of a's transpose) that will be packed next,
/// because rows of a large matrix lie too far apart for the hardware's own prefetcher.
class PanelPrefetch {
 public:
  PanelPrefetch() = default;
  PanelPrefetch(const Matrix& b, std::int64_t col, std::int64_t most, std::int64_t k, std::int64_t depth) {
    if (col >= b.cols) return;
    const auto size = static_cast<std::int64_t>(dtype_size(b.dtype));
    const std::int64_t cols = std::min(most, b.cols - col), rows_of_word = b.dtype == DType::kBF16 ? 2 : 1;
    data_ = static_cast<const char*>(b.data) + (rows_of_word * k * b.row_stride + col * b.col_stride) * size;
    const bool along_k = b.row_stride == 1;
    rows_ = along_k ? cols : std::min(rows_of_word * depth, b.rows - rows_of_word * k);
    width_ = (along_k ? depth : cols) * size;
    stride_ = (along_k ? b.col_stride : b.row_stride) * size;
  }
  /// Cuts the panel into `shares` equal parts and fetches number `share`, from 0.
  HWY_INLINE void fetch(std::int64_t share, std::int64_t shares) const {
    constexpr std::int64_t kLine = 64;
    for (std::int64_t row = rows_ * share / shares; row < rows_ * (share + 1) / shares; ++row)
      for (std::int64_t i = 0; i < width_; i += kLine)
        __builtin_prefetch(data_ + row * stride_ + i, 0, 2);  // into the second cache, since the first one is in use
  }

 private:
  const char* data_ = nullptr;
  std::int64_t rows_ = 0, width_ = 0, stride_ = 0;
};

void pack_a_panels(const PanelTask& t, std::int64_t begin, std::int64_t end) {
  const std::int64_t packed = t.row_panels - t.read_in_place;
  for (std::int64_t index = begin; index < end; ++index) {
    const std::int64_t block = index / packed, panel = t.read_in_place + index % packed, row = t.row_of(panel), next = t.row_of(panel + 1);
    const std::int64_t k = t.blocks.begin(t.first_block + block), depth = t.blocks.length(t.first_block + block);
    PanelPrefetch(t.a.transposed(), t.first_row + next, t.amx() ? kAmxRows : kRows, k, depth).fetch(0, 1);
    const auto pack = t.amx() ? pack_a_tiles : t.widened() ? pack_a_widened : pack_a_words;
    pack(packed_a_at(t, block, panel), t.a, t.first_row + row, next - row, k, depth);
  }
}

/// Runs tasks [begin, end). Task number i multiplies row group i % groups by b's panel i / groups, so that a thread packs a panel of b once
/// for consecutive groups. `buffer` holds that packed panel.
/// run(block, panel, row, rows, col, b, depth, add, next) computes one tile of dst.
template <class Run>
void multiply_panels_by(const PanelTask& t, std::int64_t begin, std::int64_t end, float* buffer, const Run& run) {
  const PanelProduct& p = *t.product;
  const std::int64_t panels = t.row_panels, col_panels = divide_up(t.b.cols, kCols);
  const auto packed_panel = [&](std::int64_t block, std::int64_t index) {
    return p.packed_b + (block * col_panels + index / t.groups) * t.blocks.size * kCols;
  };
  for (std::int64_t i = 0; i < t.block_count; ++i) {
    const std::int64_t block = t.first_block + i, k = t.blocks.begin(block), depth = t.blocks.length(block);
    std::int64_t packed_col = -1;
    for (std::int64_t index = begin; index < end; ++index) {
      const std::int64_t col = index / t.groups * kCols, group = index % t.groups;
      const float* b = buffer;
      const float* next_b = nullptr;  // the packed panel to be read after this one
      if (p.packed_b != nullptr) {
        b = packed_panel(block, index);
        if (index + 1 == end)
          next_b = packed_panel(std::min(block + 1, t.blocks.count - 1), begin);
        else if ((index + 1) / t.groups != index / t.groups)
          next_b = packed_panel(block, index + 1);
      } else if (packed_col != col) {
        pack_b(buffer, t.b, col, k, depth, t.amx());
        packed_col = col;
      }
      const PanelPrefetch next = p.packed_b != nullptr ? PanelPrefetch() : PanelPrefetch(t.b, col + kCols, kCols, k, depth);
      const bool add = p.accumulate || block > 0;
      const std::int64_t first = panels * group / t.groups;
      for (std::int64_t panel = first; panel < panels * (group + 1) / t.groups; ++panel) {
        const std::int64_t row = t.row_of(panel), half = panel - first;
        next.fetch(panel, panels);
        // The first two tiles fetch the two halves of the next packed panel, the others what is in the cache anyway.
        const float* fetched = next_b != nullptr && half < 2 ? next_b + half * depth * kCols / 2 : b;
        run(i, panel, t.first_row + row, t.row_of(panel + 1) - row, col, b, depth, add, fetched);
      }
    }
  }
}

/// Multiplies panels by a kind of tile.
template <class Tile>
void multiply_by(const PanelTask& t, std::int64_t begin, std::int64_t end, float* buffer) {
  multiply_panels_by(t, begin, end, buffer,
                     [&](std::int64_t block, std::int64_t panel, std::int64_t row, std::int64_t rows, std::int64_t col, const float* b,
                         std::int64_t depth, bool add, const float* next) {
                       run_tile<Tile>(t.product->dst, row, rows, col, packed_a_at(t, block, panel), b, depth, add, t.product->bias, next);
                     });
}

/// Multiplies panels by AMX.
void multiply_by_amx(const PanelTask& t, std::int64_t begin, std::int64_t end, float* buffer) {
  const PanelProduct& p = *t.product;
  AmxTiles tiles;
  multiply_panels_by(t, begin, end, buffer,
                     [&](std::int64_t block, std::int64_t panel, std::int64_t row, std::int64_t rows, std::int64_t col, const float* b,
                         std::int64_t depth, bool add, const float* next) {
                       AmxFactors factors{.a = nullptr,
                                          .a_row = kAmxStep,
                                          .a_step = kAmxRows * kAmxStep,
                                          .b = b,
                                          .depth = round_up(depth, kAmxStep),
                                          .next = next == b ? nullptr : next};
                       if (panel < t.read_in_place) {
                         factors.a = static_cast<const float*>(t.a.data) + row * t.a.row_stride + t.blocks.begin(t.first_block + block);
                         factors.a_row = t.a.row_stride;
                         factors.a_step = kAmxStep;
                       } else {
                         factors.a = packed_a_at(t, block, panel);
                       }
                       const std::int64_t cols = std::min(kAmxCols, p.dst.cols - col);
                       if (p.use != nullptr) return tiles.multiply_bytes(*p.use, row, rows, col, cols, factors);
                       tiles.multiply(p.dst.part(row, rows, col, cols), add, factors, p.bias != nullptr && !add ? p.bias + col : nullptr);
                     });
  tiles.finish();
}

void multiply_panels(const PanelTask& t, std::int64_t begin, std::int64_t end, float* buffer) {
  const bool to_floats = t.product->dst.dtype == DType::kF32;
  if (t.amx()) return multiply_by_amx(t, begin, end, buffer);
  if (t.product->a.dtype == DType::kF32) return multiply_by<FloatTile<float, float>>(t, begin, end, buffer);
  if (t.widened())
    return to_floats ? multiply_by<FloatTile<BFloat16, float>>(t, begin, end, buffer)
                     : multiply_by<FloatTile<BFloat16, BFloat16>>(t, begin, end, buffer);
  return to_floats ? multiply_by<DotProductTile<float>>(t, begin, end, buffer)
                   : multiply_by<DotProductTile<BFloat16>>(t, begin, end, buffer);
}

/// Packs panels [begin, end) of b; as pairs where dtype is bf16.
void pack_b_panels(float* packed, const Matrix& b, DType dtype, PanelMath math, const DepthBlocks& blocks, std::int64_t begin,
                   std::int64_t end) {
  const std::int64_t panels = divide_up(b.cols, kCols);
  std::vector<float> floats;
  std::vector<BFloat16> rounded;
  for (std::int64_t index = begin; index < end; ++index) {
    const std::int64_t block = index / panels, panel = index % panels;
    const std::int64_t k = blocks.begin(block), depth = blocks.length(block);
    float* to = packed + index * blocks.size * kCols;
    if (dtype != DType::kBF16) {
      pack_b(to, b, panel * kCols, k, depth, math == PanelMath::kAmx);
      continue;
    }
    const std::int64_t rows = std::min(2 * depth, b.rows - 2 * k);
    floats.resize(static_cast<std::size_t>(rows * kCols));
    rounded.resize(floats.size());
    pack_b(floats.data(), b, panel * kCols, 2 * k, rows, false);
    for_lanes(floats.size(),
              [&](std::size_t i, auto extent) HWY_ATTR { store(extent, load(extent, floats.data() + i), rounded.data() + i); });
    Matrix panel_rows;
    panel_rows.data = rounded.data();
    panel_rows.dtype = DType::kBF16;
    panel_rows.rows = rows;
    panel_rows.cols = panel_rows.row_stride = kCols;
    pack_b(to, panel_rows, 0, 0, depth, math == PanelMath::kAmx);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace minbert::cpu {

HWY_EXPORT(panel_sizes);
HWY_EXPORT(pack_a_panels);
HWY_EXPORT(multiply_panels);
HWY_EXPORT(pack_b_panels);

namespace {

/// At most this many words of a are packed at a time (4 MiB), so that the last-level cache holds them beside b and dst.
constexpr std::int64_t kPackedA = 1 << 20;
/// At most this many blocks of k of a are packed at a time; a thread then goes through its tiles of dst once for each block.
constexpr std::int64_t kBlocksAtOnce = 8;

/// Into how many groups the row panels are cut, so that the number of tasks is a multiple of the threads or at least 16 times as large. It
/// is the smallest such number, or row_panels if that is smaller, because threads that take different groups of a panel of b
/// each pack that panel.
std::int64_t row_groups(std::int64_t col_panels, std::int64_t row_panels) {
  const std::int64_t threads = num_threads();
  std::int64_t groups = 1;
  while (groups < row_panels && (col_panels * groups) % threads != 0 && col_panels * groups < 16 * threads) ++groups;
  return groups;
}

/// How many panels of rows, the first ones, AMX reads where they are: a's words are adjacent, in whole steps, and 16 or 32 rows exist. If
/// many columns are multiplied with them, panels that fit the first cache without gaps are faster, even though packing takes time.
std::int64_t panels_in_place(const PanelTask& t) {
  constexpr std::int64_t kFewCols = 512;
  if (!t.amx() || t.a.dtype == DType::kBF16 || t.blocks.depth % kAmxStep != 0 || t.product->dst.cols > kFewCols) return 0;
  return t.row_panels - (t.rows % (kAmxRows / 2) == 0 ? 0 : 1);
}

void multiply_block(PanelTask t, const PanelSizes& sizes, Scratch& scratch) {
  t.row_panels = divide_up(t.rows, sizes.rows);
  t.read_in_place = panels_in_place(t);
  const std::int64_t col_panels = divide_up(t.product->dst.cols, sizes.cols);
  const std::int64_t packed_panels = t.block_count * (t.row_panels - t.read_in_place);
  const std::int64_t panel_a = t.blocks.size * t.floats_per_word() * sizes.row_stride, panel_b = round_up(t.blocks.size * sizes.cols, 16);
  const std::int64_t size_a = round_up(packed_panels * panel_a, 16);
  t.groups = row_groups(col_panels, t.row_panels);
  const std::int64_t tasks = col_panels * t.groups;
  t.packed_a = scratch.get<float>(size_a + num_threads() * panel_b);
  for_ranges(packed_panels, std::max<std::int64_t>(1, kGrain / panel_a), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(pack_a_panels)(t, begin, end);
  });
  float* buffers = t.packed_a + size_a;
  for_ranges_by_thread(tasks, 1, [&](std::int64_t thread, std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(multiply_panels)(t, begin, end, buffers + thread * panel_b);
  });
}

/// The blocks of a sum over `depth` elements of `dtype`; with `one_block` one, if the depth is at most kMaxPanelWords.
DepthBlocks depth_blocks(std::int64_t depth, DType dtype, PanelMath math, bool one_block) {
  const bool amx = math == PanelMath::kAmx;
  return {divide_up(depth, elements_per_word(dtype)), one_block || amx ? kMaxPanelWords : kMaxDepth, amx ? kAmxStep : 1};
}

}  // namespace

/// Returns a view of x: where its elements are smaller than words and each row is made of whole words, as words (f32), otherwise as it is.
Matrix words_along_columns(const Matrix& x) {
  const std::int64_t elements = elements_per_word(x.dtype);
  if (elements == 1 || !has_whole_words(x)) return x;
  Matrix words = x;
  words.dtype = DType::kF32;
  words.cols = x.cols / elements;
  words.row_stride = x.row_stride / elements;
  return words;
}

void panel_multiply(const PanelProduct& product, Scratch& scratch) {
  const PanelSizes sizes = HWY_DYNAMIC_DISPATCH(panel_sizes)(product.math);
  const bool words = product.a.dtype != DType::kF32;
  // Packed words have the blocks of the product that needs the fewest.
  const bool one_block = product.dst.dtype == DType::kBF16 || (words && product.packed_b != nullptr);
  const DepthBlocks blocks = depth_blocks(product.a.cols, product.a.dtype, product.math, one_block);
  MINBERT_CHECK(!one_block || blocks.count == 1, "a product in one piece over {} elements", product.a.cols);
  const Matrix a = words_along_columns(product.a), b = words_along_columns(product.b.transposed()).transposed();
  const std::int64_t rows_at_once = std::max(
      sizes.rows, kPackedA / floats_per_word(product) / std::min(blocks.depth, kBlocksAtOnce * blocks.size) / sizes.rows * sizes.rows);
  for (std::int64_t block = 0; block < blocks.count; block += kBlocksAtOnce) {
    for (std::int64_t row = 0; row < product.dst.rows; row += rows_at_once) {
      multiply_block({.product = &product,
                      .a = a,
                      .b = b,
                      .blocks = blocks,
                      .first_row = row,
                      .rows = std::min(rows_at_once, product.dst.rows - row),
                      .first_block = block,
                      .block_count = std::min(kBlocksAtOnce, blocks.count - block),
                      .packed_a = nullptr,
                      .groups = 1,
                      .row_panels = 1,
                      .read_in_place = 0},
                     sizes, scratch);
    }
  }
}

std::int64_t packed_panels_size(const Matrix& b, DType dtype, PanelMath math) {
  const PanelSizes sizes = HWY_DYNAMIC_DISPATCH(panel_sizes)(math);
  const DepthBlocks blocks = depth_blocks(b.rows, dtype, math, dtype != DType::kF32);
  return blocks.count * blocks.size * round_up(b.cols, sizes.cols);
}

void pack_panels(float* packed, const Matrix& b, DType dtype, PanelMath math) {
  const PanelSizes sizes = HWY_DYNAMIC_DISPATCH(panel_sizes)(math);
  const DepthBlocks blocks = depth_blocks(b.rows, dtype, math, dtype != DType::kF32);
  const Matrix words = words_along_columns(b.transposed()).transposed();
  for_ranges(blocks.count * divide_up(b.cols, sizes.cols), 1, [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(pack_b_panels)(packed, words, dtype, math, blocks, begin, end);
  });
}

}  // namespace minbert::cpu
#endif  // HWY_ONCE
