// Matrix products: f32 by our own kernel (panel_gemm.h), bf16 and 8-bit ones by oneDNN with a cache of primitives.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "minbert/ops/cpu/matrix.h"

namespace minbert::cpu {

/// Process-wide cap of oneDNN's instruction set, by the names of BackendOptions. Throws Error(kUsage) when oneDNN has
/// already computed with a better one.
void cap_gemm_isa(std::string_view isa);
/// Whether instructions of AVX512_BF16 may be used here, by the processor and the cap.
bool has_avx512_bf16();
/// The instruction set that oneDNN uses, and its version: "oneDNN 2.6.3 avx512_bf16".
std::string gemm_description();

/// A matrix in the layout that products read fastest, made by Gemm::pack().
struct PackedMatrix;

/// Not thread-safe: one thread at a time calls it, and all OpenMP threads work.
class Gemm {
 public:
  Gemm();
  ~Gemm();
  Gemm(const Gemm&) = delete;
  Gemm& operator=(const Gemm&) = delete;

  /// dst (M,N) = a (M,K) b (K,N) + bias (N) or none; with `accumulate` dst += a b. a and b share a dtype; bias is f32.
  void multiply(const Matrix& dst, const Matrix& a, const Matrix& b, const float* bias = nullptr, bool accumulate = false);

  /// A copy of the matrix b (f32; i8 for dtype kI8), as `dtype`, in the layout that products read fastest; null for an empty matrix.
  std::shared_ptr<PackedMatrix> pack(const Matrix& b, DType dtype);
  /// Copies b, of the same shape as before, into `packed`.
  void repack(PackedMatrix& packed, const Matrix& b);
  /// dst = a b + bias. When b is i8, a is u8, dst i32 and bias null, and the sums are exact.
  void multiply_packed(const Matrix& dst, const Matrix& a, const PackedMatrix& b, const float* bias);

  /// Whether products of bf16 matrices exist here.
  bool supports_bf16();
  /// Whether 8-bit products are exact here: older instructions saturate at 16 bits.
  bool supports_int8() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace minbert::cpu
