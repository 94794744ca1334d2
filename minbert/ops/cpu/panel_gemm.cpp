// Computes dst (M,N) = a (M,K) b (K,N) in the manner of BLIS. a is packed into panels of 6 or 14 rows, b into panels of two vectors of
// columns, and one tile of dst stays in registers while a block of k is summed. a is packed once for all threads. Each panel of b is
// packed by the thread that uses it, into that thread's own cache, so that packing weights, which change in every step, costs no memory
// traffic. A bf16 panel stores the values at k = 2i and 2i + 1 in one float-sized word i; only the innermost loop (dot_tile.h) and the
// packing of matrices that are not dense along k differ from f32.
#include "minbert/ops/cpu/panel_gemm.h"

#include <algorithm>
#include <array>
#include <cstring>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "minbert/ops/cpu/panel_gemm.cpp"
#include <hwy/cache_control.h>
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "minbert/ops/cpu/dot_tile.h"
#include "minbert/ops/cpu/transpose-inl.h"
#include "minbert/ops/cpu/vector-inl.h"

#ifndef MINBERT_OPS_CPU_PANEL_GEMM_ARGUMENTS_
#define MINBERT_OPS_CPU_PANEL_GEMM_ARGUMENTS_
namespace minbert::cpu {

/// A sum over k into an f32 dst is made in blocks of equal size (the last one may be shorter), at most this many words each. The size
/// depends on K and the dtype, but not on the instruction set's tiles, so that these do not change the sum. A bf16 dst has one block,
/// because its sums leave the registers only when they are complete.
inline constexpr std::int64_t kMaxDepth = 256;
struct DepthBlocks {
  std::int64_t depth, size, count;  // in words: floats, or pairs of bf16
  DepthBlocks(std::int64_t words, std::int64_t most) : depth(words), size(0), count(divide_up(words, most)) {
    size = divide_up(depth, count);
  }
  std::int64_t begin(std::int64_t block) const { return block * size; }
  std::int64_t length(std::int64_t block) const { return std::min(size, depth - begin(block)); }
};

/// Tile sizes of the chosen instruction set.
struct PanelSizes {
  std::int64_t rows, row_stride, cols;
};

/// A piece of the product, and memory for its packed a: the rows of dst [first_row, first_row + rows), summed over the blocks of k
/// [first_block, first_block + block_count).
struct PanelTask {
  const PanelProduct* product;
  Matrix a, b;  // the product's; a bf16 matrix that is dense along k is seen as a matrix of float-sized words
  DepthBlocks blocks;
  std::int64_t first_row, rows, first_block, block_count;
  float* packed_a;
  std::int64_t groups;      // the row panels are cut into this many groups; one group with one panel of b is a task
  std::int64_t row_panels;  // the number of a's panels, among which rows are divided evenly: 16 rows make 8 and 8, not 14 and 2

  std::int64_t row_of(std::int64_t panel) const { return rows * panel / row_panels; }
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

static_assert(HWY_TARGET != HWY_AVX3 || (kRows == kDotRows && kCols == kDotCols && kRowStride == kDotRowStride));

PanelSizes panel_sizes() { return {kRows, kRowStride, kCols}; }

/// c (R, kCols) = a b + bias, or c += a b with kAdd, for packed a (depth, kRowStride) and b (depth, kCols); a null bias is 0.
template <int R, bool kAdd>
void tile(const float* a, const float* b, std::int64_t depth, float* c, std::int64_t stride, const float* bias) {
  V sums[R][2];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    sums[r][0] = !kAdd && bias != nullptr ? load(bias) : set(0);
    sums[r][1] = !kAdd && bias != nullptr ? load(bias + kLanes) : set(0);
    hwy::Prefetch(c + r * stride);
    hwy::Prefetch(c + r * stride + kLanes);
  }
  for (std::int64_t k = 0; k < depth; ++k, a += kRowStride, b += kCols) {
    const V left = load(b), right = load(b + kLanes);
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const V factor = hn::Set(kF32, a[r]);
      sums[r][0] = hn::MulAdd(factor, left, sums[r][0]);
      sums[r][1] = hn::MulAdd(factor, right, sums[r][1]);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    float* p = c + r * stride;
    store(kAdd ? hn::Add(load(p), sums[r][0]) : sums[r][0], p);
    store(kAdd ? hn::Add(load(p + kLanes), sums[r][1]) : sums[r][1], p + kLanes);
  }
}

using TileFunction = void (*)(const float*, const float*, std::int64_t, float*, std::int64_t, const float*);

/// The functions tile<R, kAdd> for R = 1 to kRows.
template <bool kAdd, int... R>
constexpr std::array<TileFunction, sizeof...(R)> tile_table(std::integer_sequence<int, R...>) {
  return {&tile<R + 1, kAdd>...};
}
template <bool kAdd>
TileFunction tile_function(std::int64_t rows) {
  static constexpr auto kTable = tile_table<kAdd>(std::make_integer_sequence<int, static_cast<int>(kRows)>());
  return kTable[static_cast<std::size_t>(rows - 1)];
}

/// to[i * step + c] = the pair x(2 (k + i), col + c) and x(2 (k + i) + 1, col + c), for c < cols and i < depth. x is dense along its
/// columns and counts as zero beyond its last row.
void pack_pairs(float* to, std::int64_t step, const Matrix& x, std::int64_t col, std::int64_t cols, std::int64_t k, std::int64_t depth) {
  const BFloat16* from = static_cast<const BFloat16*>(x.data) + 2 * k * x.row_stride + col;
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
void pack_a(float* to, const Matrix& a, std::int64_t row, std::int64_t rows, std::int64_t k, std::int64_t depth) {
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

/// Packs columns [col, col + kCols) of b over the words [k, k + depth): to[i * kCols + c] = word k + i of column c, or 0 beyond the last.
void pack_b(float* to, const Matrix& b, std::int64_t col, std::int64_t k, std::int64_t depth) {
  const std::int64_t cols = std::min(kCols, b.cols - col);
  if (cols < kCols) std::fill(to, to + depth * kCols, 0.0f);
  if (b.dtype == DType::kBF16) {
    pack_pairs(to, kCols, b, col, cols, k, depth);
    return;
  }
  const float* from = static_cast<const float*>(b.data) + k * b.row_stride + col * b.col_stride;
  if (b.row_stride == 1) {
    pack_transposed(to, kCols, from, b.col_stride, cols, depth);
    return;
  }
  for (std::int64_t i = 0; i < depth; ++i) {
    if (cols == kCols) {
      store(load(from + i * b.row_stride), to + i * kCols);
      store(load(from + i * b.row_stride + kLanes), to + i * kCols + kLanes);
    } else {
      std::copy(from + i * b.row_stride, from + i * b.row_stride + cols, to + i * kCols);
    }
  }
}

struct FloatTile {
  using Dst = float;
  static void run(std::int64_t rows, bool add, const float* a, const float* b, std::int64_t depth, float* c, std::int64_t stride,
                  const float* bias) {
    (add ? tile_function<true>(rows) : tile_function<false>(rows))(a, b, depth, c, stride, bias);
  }
};
template <class T>
struct PairTile {
  using Dst = T;
  static void run(std::int64_t rows, bool add, const float* a, const float* b, std::int64_t depth, T* c, std::int64_t stride,
                  const float* bias) {
    dot_tile<T>(rows, add)(a, b, depth, c, stride, bias);
  }
};

/// Computes one tile of dst. A tile that reaches past dst's last column is computed in a buffer, and its real columns are copied.
template <class Tile>
void run_tile(const Matrix& dst, std::int64_t row, std::int64_t rows, std::int64_t col, const float* a, const float* b, std::int64_t depth,
              bool add, const float* bias) {
  using T = typename Tile::Dst;
  T* c = static_cast<T*>(dst.data) + row * dst.row_stride + col;
  const std::int64_t cols = std::min(kCols, dst.cols - col);
  if (cols == kCols) {
    Tile::run(rows, add, a, b, depth, c, dst.row_stride, bias != nullptr ? bias + col : nullptr);
    return;
  }
  T edge[kRows * kCols] = {};
  float edge_bias[kCols] = {};
  for (std::int64_t r = 0; add && r < rows; ++r) std::copy(c + r * dst.row_stride, c + r * dst.row_stride + cols, edge + r * kCols);
  if (bias != nullptr) std::copy(bias + col, bias + col + cols, edge_bias);
  Tile::run(rows, add, a, b, depth, edge, kCols, edge_bias);
  for (std::int64_t r = 0; r < rows; ++r) std::copy(edge + r * kCols, edge + r * kCols + cols, c + r * dst.row_stride);
}

/// The start of a packed panel of a. packed_a holds the panels of the first block of k, then those of the second, and so on.
HWY_INLINE float* packed_a_at(const PanelTask& t, std::int64_t block, std::int64_t panel) {
  return t.packed_a + (block * t.row_panels + panel) * t.blocks.size * kRowStride;
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
  for (std::int64_t index = begin; index < end; ++index) {
    const std::int64_t block = index / t.row_panels, panel = index % t.row_panels, row = t.row_of(panel), next = t.row_of(panel + 1);
    const std::int64_t k = t.blocks.begin(t.first_block + block), depth = t.blocks.length(t.first_block + block);
    PanelPrefetch(t.a.transposed(), t.first_row + next, kRows, k, depth).fetch(0, 1);
    pack_a(packed_a_at(t, block, panel), t.a, t.first_row + row, next - row, k, depth);
  }
}

/// Runs tasks [begin, end). Task number i multiplies row group i % groups by b's panel i / groups, so that a thread packs a panel of b once
/// for consecutive groups. `buffer` holds that packed panel.
template <class Tile>
void multiply_panels_by(const PanelTask& t, std::int64_t begin, std::int64_t end, float* buffer) {
  const PanelProduct& p = *t.product;
  const std::int64_t panels = t.row_panels;
  for (std::int64_t i = 0; i < t.block_count; ++i) {
    const std::int64_t block = t.first_block + i, k = t.blocks.begin(block), depth = t.blocks.length(block);
    std::int64_t packed_col = -1;
    for (std::int64_t index = begin; index < end; ++index) {
      const std::int64_t col = index / t.groups * kCols, group = index % t.groups;
      const float* b = buffer;
      if (p.packed_b != nullptr) {
        b = p.packed_b + (block * divide_up(t.b.cols, kCols) + col / kCols) * t.blocks.size * kCols;
      } else if (packed_col != col) {
        pack_b(buffer, t.b, col, k, depth);
        packed_col = col;
      }
      const PanelPrefetch next = p.packed_b != nullptr ? PanelPrefetch() : PanelPrefetch(t.b, col + kCols, kCols, k, depth);
      const bool add = p.accumulate || block > 0;
      for (std::int64_t panel = panels * group / t.groups; panel < panels * (group + 1) / t.groups; ++panel) {
        const std::int64_t row = t.row_of(panel);
        next.fetch(panel, panels);
        run_tile<Tile>(p.dst, t.first_row + row, t.row_of(panel + 1) - row, col, packed_a_at(t, i, panel), b, depth, add, p.bias);
      }
    }
  }
}

void multiply_panels(const PanelTask& t, std::int64_t begin, std::int64_t end, float* buffer) {
  if (t.product->a.dtype == DType::kF32) return multiply_panels_by<FloatTile>(t, begin, end, buffer);
  if (t.product->dst.dtype == DType::kF32) return multiply_panels_by<PairTile<float>>(t, begin, end, buffer);
  multiply_panels_by<PairTile<BFloat16>>(t, begin, end, buffer);
}

void pack_b_panels(float* packed, const Matrix& b, std::int64_t begin, std::int64_t end) {
  const DepthBlocks blocks(b.rows, kMaxDepth);
  const std::int64_t panels = divide_up(b.cols, kCols);
  for (std::int64_t index = begin; index < end; ++index) {
    const std::int64_t block = index / panels, panel = index % panels;
    pack_b(packed + index * blocks.size * kCols, b, panel * kCols, blocks.begin(block), blocks.length(block));
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

void multiply_block(PanelTask t, const PanelSizes& sizes, Scratch& scratch) {
  const std::int64_t row_panels = divide_up(t.rows, sizes.rows), col_panels = divide_up(t.product->dst.cols, sizes.cols);
  const std::int64_t panel_a = t.blocks.size * sizes.row_stride, panel_b = round_up(t.blocks.size * sizes.cols, 16);
  const std::int64_t size_a = round_up(t.block_count * row_panels * panel_a, 16);
  t.row_panels = row_panels;
  t.groups = row_groups(col_panels, row_panels);
  const std::int64_t tasks = col_panels * t.groups;
  t.packed_a = scratch.get<float>(size_a + num_threads() * panel_b);
  for_ranges(t.block_count * row_panels, std::max<std::int64_t>(1, kGrain / panel_a), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(pack_a_panels)(t, begin, end);
  });
  float* buffers = t.packed_a + size_a;
  for_ranges_by_thread(tasks, 1, [&](std::int64_t thread, std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(multiply_panels)(t, begin, end, buffers + thread * panel_b);
  });
}

}  // namespace

/// Returns a view of x: where x is bf16 with adjacent elements in each row, as float-sized words of two elements, otherwise as it is.
Matrix words_along_columns(const Matrix& x) {
  if (x.dtype != DType::kBF16 || x.col_stride != 1) return x;
  Matrix words = x;
  words.dtype = DType::kF32;
  words.cols = x.cols / 2;
  words.row_stride = x.row_stride / 2;
  return words;
}

void panel_multiply(const PanelProduct& product, Scratch& scratch) {
  const PanelSizes sizes = HWY_DYNAMIC_DISPATCH(panel_sizes)();
  const DepthBlocks blocks(product.a.dtype == DType::kF32 ? product.a.cols : divide_up(product.a.cols, 2),
                           product.dst.dtype == DType::kF32 ? kMaxDepth : kMaxPanelPairs);
  const Matrix a = words_along_columns(product.a), b = words_along_columns(product.b.transposed()).transposed();
  const std::int64_t rows_at_once =
      std::max(sizes.rows, kPackedA / std::min(blocks.depth, kBlocksAtOnce * blocks.size) / sizes.rows * sizes.rows);
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
                      .row_panels = 1},
                     sizes, scratch);
    }
  }
}

std::int64_t packed_panels_size(const Matrix& b) {
  const PanelSizes sizes = HWY_DYNAMIC_DISPATCH(panel_sizes)();
  const DepthBlocks blocks(b.rows, kMaxDepth);
  return blocks.count * blocks.size * round_up(b.cols, sizes.cols);
}

void pack_panels(float* packed, const Matrix& b) {
  const PanelSizes sizes = HWY_DYNAMIC_DISPATCH(panel_sizes)();
  const std::int64_t panels = DepthBlocks(b.rows, kMaxDepth).count * divide_up(b.cols, sizes.cols);
  for_ranges(panels, 1, [&](std::int64_t begin, std::int64_t end) { HWY_DYNAMIC_DISPATCH(pack_b_panels)(packed, b, begin, end); });
}

}  // namespace minbert::cpu
#endif  // HWY_ONCE
