// The innermost loop of bf16 products on processors with AVX512_BF16, whose instruction Highway 1.0 does not know.
#pragma once

#include <cstdint>

#include "minbert/base/tensor.h"

namespace minbert::cpu {

/// Rows and columns of a tile, and the distance of packed a from one k to the next.
inline constexpr std::int64_t kDotRows = 14, kDotCols = 32, kDotRowStride = 16;

/// c (rows, kDotCols), f32 or bf16, = a b + bias, or c += a b (f32 only); a null bias is 0. Packed a (depth, kDotRowStride) and packed b
/// (depth, kDotCols) hold pairs of bf16, of 2 k and 2 k + 1, as the words of floats. Sums are f32; denormals count as 0.
using DotTile = void (*)(const float* a, const float* b, std::int64_t depth, void* c, std::int64_t stride, const float* bias);

/// The tile for 1 to kDotRows rows of T, float or BFloat16 (which none adds to); only where the processor has AVX512_BF16.
template <class T>
DotTile dot_tile(std::int64_t rows, bool add);
template <>
DotTile dot_tile<float>(std::int64_t rows, bool add);
template <>
DotTile dot_tile<BFloat16>(std::int64_t rows, bool add);

}  // namespace minbert::cpu
