// Products by our own kernel: f32 matrices everywhere, bf16 ones where the processor has AVX-512 but no AMX. The order of sums over k
// depends neither on threads nor on how an instruction set tiles rows and columns. It packs (out, in) weights as it goes, at which
// oneDNN's plain products are slow.
#pragma once

#include <cstdint>

#include "minbert/ops/cpu/matrix.h"
#include "minbert/ops/cpu/sweep.h"

namespace minbert::cpu {

/// dst (M,N) = a (M,K) b (K,N) + bias (N) or none; with `accumulate` dst += a b. Either all are f32, or a and b are bf16 and
/// dst is f32 or bf16; a bf16 dst does not accumulate.
struct PanelProduct {
  Matrix dst, a, b;
  const float* packed_b = nullptr;  ///< b as packed by pack_panels; then b.data is not read
  const float* bias = nullptr;
  bool accumulate = false;
  bool widened = true;  ///< bf16: as sums of f32 products; else by the dot product of AVX512_BF16, which the processor must have
};

/// The most pairs along k of a product with a bf16 dst, or with a packed bf16 b.
inline constexpr std::int64_t kMaxPanelPairs = 2048;

void panel_multiply(const PanelProduct& product, Scratch& scratch);

/// Floats that b takes once packed as `dtype`, f32 or bf16.
std::int64_t packed_panels_size(const Matrix& b, DType dtype);
/// Packs b (f32), rounded to `dtype`.
void pack_panels(float* packed, const Matrix& b, DType dtype);

}  // namespace minbert::cpu
