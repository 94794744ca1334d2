// Products of matrices that fit the first caches, for attention: without packing or threads, always in the same order of sums.
#if defined(MINBERT_OPS_CPU_SMALL_PRODUCT_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MINBERT_OPS_CPU_SMALL_PRODUCT_INL_H_
#undef MINBERT_OPS_CPU_SMALL_PRODUCT_INL_H_
#else
#define MINBERT_OPS_CPU_SMALL_PRODUCT_INL_H_
#endif

#include <cstdint>

#include "minbert/ops/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

/// Rows that are computed together. Padded matrices have a multiple of it.
constexpr std::int64_t kTileRows = 4;

/// The left factor: element (i, k) at data[i * row_stride + k * col_stride], so that a transpose costs nothing.
struct Left {
  const float* data;
  std::int64_t row_stride, col_stride;
};

/// kTileRows rows by kVectors vectors of c, held in registers over the whole sum.
template <int kVectors, bool kAdd>
HWY_INLINE void product_tile(float* c, std::int64_t c_stride, Left a, const float* b, std::int64_t b_stride, std::int64_t depth) {
  V sums[kTileRows][kVectors];
  for (int r = 0; r < kTileRows; ++r)
    for (int j = 0; j < kVectors; ++j)
      sums[r][j] = kAdd ? hn::LoadU(kF32, c + r * c_stride + j * static_cast<std::int64_t>(kLanes)) : set(0);
  for (std::int64_t k = 0; k < depth; ++k) {
    V row[kVectors];
    for (int j = 0; j < kVectors; ++j) row[j] = hn::LoadU(kF32, b + k * b_stride + j * static_cast<std::int64_t>(kLanes));
    for (int r = 0; r < kTileRows; ++r) {
      const V left = hn::Set(kF32, a.data[r * a.row_stride + k * a.col_stride]);
      for (int j = 0; j < kVectors; ++j) sums[r][j] = hn::MulAdd(left, row[j], sums[r][j]);
    }
  }
  for (int r = 0; r < kTileRows; ++r)
    for (int j = 0; j < kVectors; ++j) hn::StoreU(sums[r][j], kF32, c + r * c_stride + j * static_cast<std::int64_t>(kLanes));
}

/// c (rows, cols) = a (rows, depth) b (depth, cols), or += with kAdd. rows is a multiple of kTileRows, cols of kLanes.
template <bool kAdd>
HWY_INLINE void small_product(float* c, std::int64_t c_stride, Left a, const float* b, std::int64_t b_stride, std::int64_t rows,
                              std::int64_t cols, std::int64_t depth) {
  constexpr auto kStep = static_cast<std::int64_t>(kLanes);
  constexpr int kWide = HWY_TARGET <= HWY_AVX3 ? 4 : 2;  // as many as the registers hold
  for (std::int64_t i = 0; i < rows; i += kTileRows) {
    const Left tile{a.data + i * a.row_stride, a.row_stride, a.col_stride};
    float* out = c + i * c_stride;
    std::int64_t j = 0;
    for (; j + kWide * kStep <= cols; j += kWide * kStep) product_tile<kWide, kAdd>(out + j, c_stride, tile, b + j, b_stride, depth);
    for (; j + 2 * kStep <= cols; j += 2 * kStep) product_tile<2, kAdd>(out + j, c_stride, tile, b + j, b_stride, depth);
    if (j < cols) product_tile<1, kAdd>(out + j, c_stride, tile, b + j, b_stride, depth);
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#endif  // MINBERT_OPS_CPU_SMALL_PRODUCT_INL_H_
