// A tile has 14 rows and two vectors of columns, as in panel_gemm.cpp. Its 28 sums and two vectors of b fill the registers; the
// instruction itself broadcasts a's pairs from memory.
#include "minbert/ops/cpu/dot_tile.h"

#include <array>
#include <utility>

#include "minbert/base/check.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define MINBERT_DOT __attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16")))

namespace minbert::cpu {
namespace {

MINBERT_DOT inline __m512bh pairs(__m512i words) { return reinterpret_cast<__m512bh>(words); }

MINBERT_DOT inline void put(__m512 sums, float* c) { _mm512_storeu_ps(c, sums); }
MINBERT_DOT inline void put(__m512 sums, BFloat16* c) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(c), reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(sums)));
}

template <class T, bool kAdd, int R>
MINBERT_DOT void tile(const float* a, const float* b, std::int64_t depth, void* to, std::int64_t stride, const float* bias) {
  T* c = static_cast<T*>(to);
  __m512 sums[R][2];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    sums[r][0] = !kAdd && bias != nullptr ? _mm512_loadu_ps(bias) : _mm512_setzero_ps();
    sums[r][1] = !kAdd && bias != nullptr ? _mm512_loadu_ps(bias + 16) : _mm512_setzero_ps();
    __builtin_prefetch(c + r * stride, 1);
    __builtin_prefetch(c + r * stride + 16, 1);
  }
  for (std::int64_t k = 0; k < depth; ++k, a += kDotRowStride, b += kDotCols) {
    const __m512bh left = pairs(_mm512_loadu_si512(b)), right = pairs(_mm512_loadu_si512(b + 16));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const __m512bh factor = pairs(_mm512_castps_si512(_mm512_set1_ps(a[r])));
      sums[r][0] = _mm512_dpbf16_ps(sums[r][0], factor, left);
      sums[r][1] = _mm512_dpbf16_ps(sums[r][1], factor, right);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r) {
    T* p = c + r * stride;
    if constexpr (kAdd) {
      put(_mm512_add_ps(_mm512_loadu_ps(p), sums[r][0]), p);
      put(_mm512_add_ps(_mm512_loadu_ps(p + 16), sums[r][1]), p + 16);
    } else {
      put(sums[r][0], p);
      put(sums[r][1], p + 16);
    }
  }
}

template <class T, bool kAdd, int... R>
DotTile choose(std::int64_t rows, std::integer_sequence<int, R...>) {
  static constexpr std::array<DotTile, sizeof...(R)> kTiles = {&tile<T, kAdd, R + 1>...};
  return kTiles[static_cast<std::size_t>(rows - 1)];
}

using AllRows = std::make_integer_sequence<int, static_cast<int>(kDotRows)>;

}  // namespace

template <>
DotTile dot_tile<float>(std::int64_t rows, bool add) {
  return add ? choose<float, true>(rows, AllRows()) : choose<float, false>(rows, AllRows());
}

template <>
DotTile dot_tile<BFloat16>(std::int64_t rows, bool) {
  return choose<BFloat16, false>(rows, AllRows());
}

}  // namespace minbert::cpu

#else

namespace minbert::cpu {
template <>
DotTile dot_tile<float>(std::int64_t, bool) {
  MINBERT_CHECK(false, "no AVX512_BF16 here");
}
template <>
DotTile dot_tile<BFloat16>(std::int64_t, bool) {
  MINBERT_CHECK(false, "no AVX512_BF16 here");
}
}  // namespace minbert::cpu

#endif
