// Vectors of floats for all kernels: loads and stores of f32 and bf16, partial vectors, exp. Compiled once for each
// instruction set (Highway's "-inl" convention).
#if defined(MINBERT_OPS_CPU_VECTOR_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MINBERT_OPS_CPU_VECTOR_INL_H_
#undef MINBERT_OPS_CPU_VECTOR_INL_H_
#else
#define MINBERT_OPS_CPU_VECTOR_INL_H_
#endif

#include <hwy/highway.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "minbert/base/tensor.h"
#include "minbert/ops/cpu/bf16_rounding.h"

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

using F32 = hn::ScalableTag<float>;
using V = hn::Vec<F32>;
constexpr F32 kF32;
constexpr hn::RebindToUnsigned<F32> kU32;
constexpr hn::RebindToSigned<F32> kI32;
constexpr hn::Rebind<std::uint16_t, F32> kU16;
/// Floats in a vector. It is a constant, because this folder's CMakeLists.txt disables targets without a fixed vector size.
constexpr std::size_t kLanes = hn::MaxLanes(F32());

HWY_INLINE V set(double value) { return hn::Set(kF32, static_cast<float>(value)); }

HWY_INLINE V load(const float* p) { return hn::LoadU(kF32, p); }
HWY_INLINE V load(const BFloat16* p) {
  const auto bits = hn::LoadU(kU16, reinterpret_cast<const std::uint16_t*>(p));
  return hn::BitCast(kF32, hn::ShiftLeft<16>(hn::PromoteTo(kU32, bits)));
}

HWY_INLINE void store(V v, float* p) { hn::StoreU(v, kF32, p); }
/// Rounds to nearest even as BFloat16 does; NaN stays NaN. The instruction makes denormals 0, as kernels do anyhow.
HWY_INLINE void store(V v, BFloat16* p) {
#if HWY_TARGET == HWY_AVX3
  if (rounds_by_instruction.load(std::memory_order_relaxed)) {
    __m256i halves;  // assembly, because Highway 1.0 lacks it and compiles this target for processors without it
    asm("vcvtneps2bf16 %1, %0" : "=v"(halves) : "v"(v.raw));
    return _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), halves);
  }
#endif
  const auto bits = hn::BitCast(kU32, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(kU32, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(kU32, 0x7fff))), quiet = hn::Or(bits, hn::Set(kU32, 0x400000));
  const auto half = hn::ShiftRight<16>(hn::IfThenElse(hn::RebindMask(kU32, hn::IsNaN(v)), quiet, rounded));
  hn::StoreU(hn::TruncateTo(kU16, half), kU16, reinterpret_cast<std::uint16_t*>(p));
}

/// The extent of a load or store: a whole vector, or its first n lanes at the end of a row. Other lanes load as 0 and are not stored.
struct Whole {};
struct Part {
  std::size_t n;
};

template <class T>
HWY_INLINE V load(Whole, const T* p) {
  return load(p);
}
template <class T>
HWY_INLINE V load(Part part, const T* p) {
  T lanes[kLanes] = {};
  std::memcpy(lanes, p, part.n * sizeof(T));
  return load(lanes);
}
template <class T>
HWY_INLINE void store(Whole, V v, T* p) {
  store(v, p);
}
template <class T>
HWY_INLINE void store(Part part, V v, T* p) {
  T lanes[kLanes];
  store(v, lanes);
  std::memcpy(p, lanes, part.n * sizeof(T));
}

/// v, with `fill` in the lanes beyond the part.
HWY_INLINE V fill_rest(Whole, V v, V) { return v; }
HWY_INLINE V fill_rest(Part part, V v, V fill) { return hn::IfThenElse(hn::FirstN(kF32, part.n), v, fill); }

/// Calls body(i, extent) for i = 0, kLanes, ... below n; extent is Whole, or Part for the last vector.
template <class Body>
HWY_INLINE void for_lanes(std::size_t n, const Body& body) {
  std::size_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, Whole{});
  if (i < n) body(i, Part{n - i});
}

HWY_INLINE float sum_lanes(V v) { return hn::GetLane(hn::SumOfLanes(kF32, v)); }

/// exp(x) for x <= 0, within 2 ulp; 0 below -87.3, where the result would be denormal.
HWY_INLINE V exp_nonpositive(V x) {
  const V n = hn::Round(hn::Mul(x, set(1.44269504088896341)));
  V r = hn::MulAdd(n, set(-0.693145751953125), x);  // ln 2 in two parts; the first has trailing zeros, so that n times it is exact
  r = hn::MulAdd(n, set(-1.42860682030941723212e-6), r);
  // e^r = 1 + r + r^2 q(r) on |r| <= ln 2 / 2. q was fitted by least squares, to nearly the minimax error of 3e-9.
  V q = set(0.001381461248);
  q = hn::MulAdd(q, r, set(0.008368709896));
  q = hn::MulAdd(q, r, set(0.04166838738));
  q = hn::MulAdd(q, r, set(0.1666652069));
  q = hn::MulAdd(q, r, set(0.4999999345));
  const V y = hn::MulAdd(hn::Mul(r, r), q, hn::Add(r, set(1)));
  const auto power = hn::ShiftLeft<23>(hn::Add(hn::ConvertTo(kI32, n), hn::Set(kI32, 127)));
  return hn::IfThenZeroElse(hn::Lt(x, set(-87.3)), hn::Mul(y, hn::BitCast(kF32, power)));
}

/// value = 1 / (1 + exp(-x)) and rest = 1 - value, both without cancellation.
struct Sigmoid {
  V value, rest;
};
HWY_INLINE Sigmoid sigmoid(V x) {
  const V e = exp_nonpositive(hn::Neg(hn::Abs(x)));
  const V large = hn::Div(set(1), hn::Add(set(1), e)), small = hn::Mul(e, large);
  const auto negative = hn::Lt(x, set(0));
  return {hn::IfThenElse(negative, small, large), hn::IfThenElse(negative, large, small)};
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#endif  // MINBERT_OPS_CPU_VECTOR_INL_H_
