// Matrix products: by our own kernel (panel_gemm.h) or by oneDNN with a cache of primitives, as dtype and processor decide.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "minbert/ops/cpu/matrix.h"

namespace minbert::cpu {

/// Caps oneDNN's instruction set for the whole process; `isa` is a name of BackendOptions. Throws Error(kUsage) when oneDNN has
/// already computed with a larger one.
void cap_gemm_isa(std::string_view isa);
/// Whether the processor has AVX512_BF16 and the cap allows it.
bool has_avx512_bf16();
/// The instruction set that oneDNN uses, and its version: "oneDNN 2.6.3 avx512_bf16".
std::string gemm_description();

/// A matrix in the layout that products read fastest, made by Gemm::pack().
struct PackedMatrix;

/// Not thread-safe: one thread at a time calls it, and each product runs on num_threads() threads.
class Gemm {
 public:
  Gemm();
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  /// dst (M,N) = a (M,K) b (K,N) + bias (N) or none; with `accumulate` dst += a b. a and b share a dtype; bias is f32.
  void multiply(const Matrix& dst, const Matrix& a, const Matrix& b, const float* bias = nullptr, bool accumulate = false);

  /// A copy of b, converted from f32 to `dtype` (kI8: b is i8), in the layout that products read fastest; null for an empty matrix.
  std::shared_ptr<PackedMatrix> pack(const Matrix& b, DType dtype);
  /// Copies b, of the same shape as before, into `packed`.
  void repack(PackedMatrix& packed, const Matrix& b);
  /// dst = a b + bias, for b in f32 or bf16.
  void multiply_packed(const Matrix& dst, const Matrix& a, const PackedMatrix& b, const float* bias);
  /// Exact sums of a b, for a dense a in u8 and b in i8, piece by piece. Each call of `use` is made on the thread that computed its piece,
  /// several at a time; the piece lasts as long as the call.
  void multiply_int8(const Matrix& a, const PackedMatrix& b, const UsePiece& use);

  /// Whether products of bf16 matrices exist here.
  bool supports_bf16();
  /// Whether 8-bit products are exact here. Older instructions are not: they saturate at 16 bits.
  bool supports_int8() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minbert::cpu
