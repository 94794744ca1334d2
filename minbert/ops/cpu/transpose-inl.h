// Transposes of four rows at a time, for packing matrices.
#if defined(MINBERT_OPS_CPU_TRANSPOSE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MINBERT_OPS_CPU_TRANSPOSE_INL_H_
#undef MINBERT_OPS_CPU_TRANSPOSE_INL_H_
#else
#define MINBERT_OPS_CPU_TRANSPOSE_INL_H_
#endif

#include <cstdint>
#include <cstring>

#include "minbert/ops/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

#if HWY_TARGET != HWY_SCALAR

/// Stores each block of four lanes at p, p + 4 step, p + 8 step, ...
template <class D>
HWY_INLINE void store_blocks(D d, hn::Vec<D> v, float* p, std::int64_t step) {
  if constexpr (hn::MaxLanes(D()) == 4) {
    hn::StoreU(v, d, p);
  } else {
    const hn::Half<D> half;
    constexpr auto kHalf = static_cast<std::int64_t>(hn::MaxLanes(hn::Half<D>()));
    store_blocks(half, hn::LowerHalf(half, v), p, step);
    store_blocks(half, hn::UpperHalf(half, v), p + kHalf * step, step);
  }
}

/// to[k * step + r] = row r [k], r < 4, k < kLanes.
HWY_INLINE void transpose_four(float* to, std::int64_t step, V r0, V r1, V r2, V r3) {
  // Within each block of four columns a 4 x 4 transpose: vector j then holds columns j, j + 4, j + 8, ... of the four rows.
  const V a = hn::InterleaveLower(kF32, r0, r2), b = hn::InterleaveUpper(kF32, r0, r2);
  const V c = hn::InterleaveLower(kF32, r1, r3), d = hn::InterleaveUpper(kF32, r1, r3);
  store_blocks(kF32, hn::InterleaveLower(kF32, a, c), to, step);
  store_blocks(kF32, hn::InterleaveUpper(kF32, a, c), to + step, step);
  store_blocks(kF32, hn::InterleaveLower(kF32, b, d), to + 2 * step, step);
  store_blocks(kF32, hn::InterleaveUpper(kF32, b, d), to + 3 * step, step);
}

#endif

/// to[k * step + r] = from[r * stride + k] for r < rows, k < depth. Also overwrites what follows each row of `to`, up to the
/// next multiple of four. `from` need not be aligned: pairs of bf16 numbers, which are moved as floats, begin at any of them.
template <class T>
HWY_INLINE void pack_transposed(float* to, std::int64_t step, const T* from, std::int64_t stride, std::int64_t rows, std::int64_t depth) {
  std::int64_t k = 0;
#if HWY_TARGET != HWY_SCALAR
  constexpr auto kStep = static_cast<std::int64_t>(kLanes);
  for (; k + kStep <= depth; k += kStep) {
    for (std::int64_t r = 0; r < rows; r += 4) {
      const T* p = from + r * stride + k;
      const auto row = [&](std::int64_t i) HWY_ATTR { return load(p + (r + i < rows ? i : 0) * stride); };
      transpose_four(to + k * step + r, step, row(0), row(1), row(2), row(3));
    }
  }
#endif
  for (; k < depth; ++k)
    for (std::int64_t r = 0; r < rows; ++r) {
      T value;
      std::memcpy(&value, from + r * stride + k, sizeof value);
      to[k * step + r] = static_cast<float>(value);
    }
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#endif  // MINBERT_OPS_CPU_TRANSPOSE_INL_H_
