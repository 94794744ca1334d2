// Products by our own kernel: of f32 matrices everywhere, of bf16 ones where the processor has AVX512_BF16 and nothing better. It sums
// over k in one order whatever the threads and the instruction set's tiling of rows and columns, and it packs (out, in) weights on its
// way, which oneDNN's plain products are slow at.
#pragma once

#include <cstdint>

#include "minbert/ops/cpu/matrix.h"
#include "minbert/ops/cpu/sweep.h"

namespace minbert::cpu {

/// dst (M,N) = a (M,K) b (K,N) + bias (N) or none; with `accumulate` dst += a b. All f32; or a and b bf16 (not packed) and dst either,
/// not accumulated to when bf16.
struct PanelProduct {
  Matrix dst, a, b;
  const float* packed_b = nullptr;  ///< b packed by pack_panels, then b.data is not read
  const float* bias = nullptr;
  bool accumulate = false;
};

/// A bf16 product with a bf16 dst is of no more pairs along k than this.
inline constexpr std::int64_t kMaxPanelPairs = 2048;

void panel_multiply(const PanelProduct& product, Scratch& scratch);

/// Floats that a packed b (f32) takes.
std::int64_t packed_panels_size(const Matrix& b);
void pack_panels(float* packed, const Matrix& b);

}  // namespace minbert::cpu
