// Products by our own kernel: f32 matrices everywhere, bf16 ones where the processor has AVX-512, 8-bit ones with AMX. The order of sums
// over k depends neither on threads nor on how an instruction set tiles rows and columns. It packs (out, in) weights as it goes, at which
// oneDNN's plain products are slow.
#pragma once

#include <cstdint>

#include "minbert/ops/cpu/matrix.h"
#include "minbert/ops/cpu/sweep.h"

namespace minbert::cpu {

/// The instructions that multiply.
enum class PanelMath : std::uint8_t {
  kFloat,  ///< those of f32; bf16 is widened
  kDot,    ///< bf16: the dot product of AVX512_BF16, which the processor must have
  kAmx,    ///< bf16 and 8 bits: AMX, which the processor must have
};

/// dst (M,N) = a (M,K) b (K,N) + bias (N) or none; with `accumulate` dst += a b. Either all are f32, or a and b are bf16 and
/// dst is f32 or bf16, which does not accumulate; or a is u8 and b i8, without bias, and `use` gets the sums piece by piece.
/// 8-bit matrices have whole words along k (has_whole_words of a and of b's transpose).
struct PanelProduct {
  Matrix dst, a, b;
  const float* packed_b = nullptr;  ///< b as packed by pack_panels; then b.data is not read
  const float* bias = nullptr;
  bool accumulate = false;
  PanelMath math = PanelMath::kFloat;
  const UsePiece* use = nullptr;  ///< 8 bits: called as Gemm::multiply_int8 does; dst has no data then
};

/// How many elements a word of 4 bytes holds.
inline std::int64_t elements_per_word(DType dtype) { return 4 / static_cast<std::int64_t>(dtype_size(dtype)); }
/// Whether each row of x is made of whole words, at whole words' distances.
inline bool has_whole_words(const Matrix& x) {
  const std::int64_t elements = elements_per_word(x.dtype);
  return x.col_stride == 1 && x.cols % elements == 0 && x.row_stride % elements == 0;
}

/// The most words along k of a product with a bf16 dst, or with a packed b of bf16 or 8 bits.
inline constexpr std::int64_t kMaxPanelWords = 2048;

void panel_multiply(const PanelProduct& product, Scratch& scratch);

/// Floats that b takes once packed as `dtype`, f32, bf16 or i8.
std::int64_t packed_panels_size(const Matrix& b, DType dtype, PanelMath math);
/// Packs b: f32, rounded to `dtype`, or i8 as it is.
void pack_panels(float* packed, const Matrix& b, DType dtype, PanelMath math);

}  // namespace minbert::cpu
