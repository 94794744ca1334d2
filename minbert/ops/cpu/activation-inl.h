// Activation functions and their derivatives over vectors.
#if defined(MINBERT_OPS_CPU_ACTIVATION_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MINBERT_OPS_CPU_ACTIVATION_INL_H_
#undef MINBERT_OPS_CPU_ACTIVATION_INL_H_
#else
#define MINBERT_OPS_CPU_ACTIVATION_INL_H_
#endif

#include <type_traits>

#include "minbert/ops/backend.h"
#include "minbert/ops/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

/// The standard normal distribution at x: its integral, and its density times sqrt(2 pi).
struct Normal {
  V integral, bell;
};
/// The tail exp(-x^2/2) t p(t), t = 1 / (1 + 0.3 |x|), is Abramowitz & Stegun's form 7.1.26 with more terms, fitted on
/// [0, 14] to a relative error of 1.5e-7. Negative x take the tail itself, without cancellation.
HWY_INLINE Normal normal(V x) {
  const V bell = exp_nonpositive(hn::Mul(hn::Mul(x, x), set(-0.5)));
  const V t = hn::Div(set(1), hn::MulAdd(hn::Abs(x), set(0.3), set(1)));
  V p = set(0.03567479418);
  p = hn::MulAdd(p, t, set(-0.1572031624));
  p = hn::MulAdd(p, t, set(0.2063536359));
  p = hn::MulAdd(p, t, set(-0.05368375562));
  p = hn::MulAdd(p, t, set(0.1285616811));
  p = hn::MulAdd(p, t, set(0.099913477));
  p = hn::MulAdd(p, t, set(0.1207539582));
  p = hn::MulAdd(p, t, set(0.1196292987));
  const V tail = hn::Mul(hn::Mul(bell, t), p);
  return {hn::IfThenElse(hn::Lt(x, set(0)), tail, hn::Sub(set(1), tail)), bell};
}

/// 2^x for x in [-125, 0], to a relative error of 8e-5.
HWY_INLINE V rough_exp2(V x) {
  const V n = hn::Round(x), f = hn::Sub(x, n);
  V p = set(0.05517177);
  p = hn::MulAdd(p, f, set(0.24261137));
  p = hn::MulAdd(p, f, set(0.69326097));
  p = hn::MulAdd(p, f, set(0.99992803));
  return hn::BitCast(kF32, hn::Add(hn::BitCast(kI32, p), hn::ShiftLeft<23>(hn::ConvertTo(kI32, n))));
}

/// normal(x) for results in bf16, to a relative error of 6e-4, which is a third of that of their rounding. The logarithm of the tail is
/// close to a parabola: the polynomial has the smallest maximal error on [0, 12.8]; larger |x| counts as 12.8, at which both are below
/// 1e-35.
HWY_INLINE Normal rough_normal(V x) {
  const V a = hn::Min(hn::Abs(x), set(12.8));
  V p = set(-3.5445369140e-07);
  p = hn::MulAdd(p, a, set(1.9264627889e-05));
  p = hn::MulAdd(p, a, set(-4.4178106949e-04));
  p = hn::MulAdd(p, a, set(5.6400735133e-03));
  p = hn::MulAdd(p, a, set(-4.5143211548e-02));
  p = hn::MulAdd(p, a, set(-4.7156840289e-01));
  p = hn::MulAdd(p, a, set(-1.1438781784));
  p = hn::MulAdd(p, a, set(-1.0006784185));
  const V tail = rough_exp2(p);
  return {hn::IfThenElse(hn::Lt(x, set(0)), tail, hn::Sub(set(1), tail)), rough_exp2(hn::Mul(hn::Mul(a, a), set(-0.72134752)))};
}

/// T is the type that the results are stored as.
template <class T>
struct Gelu {
  static HWY_INLINE Normal at(V x) {
    if constexpr (std::is_same_v<T, float>)
      return normal(x);
    else
      return rough_normal(x);
  }
  HWY_INLINE V value(V x) const { return hn::Mul(x, at(x).integral); }
  HWY_INLINE V slope(V x) const {
    const Normal at = Gelu::at(x);
    return hn::MulAdd(hn::Mul(x, set(0.398942280401432678)), at.bell, at.integral);
  }
};

/// 0.5 x (1 + tanh(u)) = x sigmoid(2u), u = sqrt(2/pi) (x + 0.044715 x^3).
struct GeluNew {
  HWY_INLINE V twice_u(V x) const {
    return hn::Mul(hn::Mul(x, set(1.59576912160573071)), hn::MulAdd(hn::Mul(x, x), set(0.044715), set(1)));
  }
  HWY_INLINE V value(V x) const { return hn::Mul(x, sigmoid(twice_u(x)).value); }
  HWY_INLINE V slope(V x) const {
    const Sigmoid s = sigmoid(twice_u(x));
    const V rate = hn::Mul(set(1.59576912160573071), hn::MulAdd(hn::Mul(x, x), set(3 * 0.044715), set(1)));
    return hn::MulAdd(hn::Mul(x, rate), hn::Mul(s.value, s.rest), s.value);
  }
};

struct Relu {
  HWY_INLINE V value(V x) const { return hn::IfThenZeroElse(hn::Lt(x, set(0)), x); }
  HWY_INLINE V slope(V x) const { return hn::IfThenElseZero(hn::Gt(x, set(0)), set(1)); }
};

struct Silu {
  HWY_INLINE V value(V x) const { return hn::Mul(x, sigmoid(x).value); }
  HWY_INLINE V slope(V x) const {
    const Sigmoid s = sigmoid(x);
    return hn::Mul(s.value, hn::MulAdd(x, s.rest, set(1)));
  }
};

struct Tanh {
  HWY_INLINE V value(V x) const {
    // Below 0.625 the series x + x^3 p(x^2) (Cephes tanhf) is used, because 1 - 2 / (e^2x + 1) cancels there.
    const V a = hn::Abs(x), e = exp_nonpositive(hn::Mul(a, set(-2)));
    const V large = hn::CopySign(hn::Div(hn::Sub(set(1), e), hn::Add(set(1), e)), x);
    const V z = hn::Mul(x, x);
    V p = set(-5.70498872745e-3);
    p = hn::MulAdd(p, z, set(2.06390887954e-2));
    p = hn::MulAdd(p, z, set(-5.37397155531e-2));
    p = hn::MulAdd(p, z, set(1.33314422036e-1));
    p = hn::MulAdd(p, z, set(-3.33332819422e-1));
    return hn::IfThenElse(hn::Lt(a, set(0.625)), hn::MulAdd(hn::Mul(p, z), x, x), large);
  }
  HWY_INLINE V slope(V x) const {
    const Sigmoid s = sigmoid(hn::Add(x, x));
    return hn::Mul(set(4), hn::Mul(s.value, s.rest));
  }
};

/// Calls body(f) with the function object for `kind`, whose results are stored as T.
template <class T, class Body>
HWY_INLINE void with_activation(Activation kind, const Body& body) {
  switch (kind) {
    case Activation::kGelu: return body(Gelu<T>{});
    case Activation::kGeluNew: return body(GeluNew{});
    case Activation::kRelu: return body(Relu{});
    case Activation::kSilu: return body(Silu{});
    case Activation::kTanh: return body(Tanh{});
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#endif  // MINBERT_OPS_CPU_ACTIVATION_INL_H_
