// The innermost loop of bf16 products on processors with AVX512_BF16, whose dot product Highway 1.0 lacks.
#pragma once

#include <cstdint>

#include "minbert/base/tensor.h"

namespace minbert::cpu {

/// Rows and columns of a tile, and words from one k of packed a to the next.
inline constexpr std::int64_t kDotRows = 14, kDotCols = 32, kDotRowStride = 16;

/// c (rows, kDotCols), f32 or bf16, = a b + bias, or c += a b (f32 only); a null bias is 0. A float-sized word of packed a
/// (depth, kDotRowStride) or packed b (depth, kDotCols) holds the bf16 values at 2 k and 2 k + 1. Sums are f32; denormals count as 0.
using DotTile = void (*)(const float* a, const float* b, std::int64_t depth, void* c, std::int64_t stride, const float* bias);

/// The tile for `rows` in 1..kDotRows and c of T, float or BFloat16; only float adds. The processor must have AVX512_BF16.
template <class T>
DotTile dot_tile(std::int64_t rows, bool add);
template <>
DotTile dot_tile<float>(std::int64_t rows, bool add);
template <>
DotTile dot_tile<BFloat16>(std::int64_t rows, bool add);

}  // namespace minbert::cpu
