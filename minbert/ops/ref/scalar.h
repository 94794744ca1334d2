// Elementary functions over double and complex double. In complex-step checks the imaginary part carries a derivative. So
// functions with corners branch on the real part, and all others are analytic.
#pragma once

#include <cmath>
#include <complex>
#include <numbers>

namespace minbert::ref {

using Complex = std::complex<double>;

/// Exact to first order in the imaginary part, which is all that a complex step of 1e-50 needs.
inline Complex erf(Complex z) {
  const double slope = 2 * std::numbers::inv_sqrtpi * std::exp(-z.real() * z.real());
  return {std::erf(z.real()), z.imag() * slope};
}
inline double erf(double x) { return std::erf(x); }

inline Complex log1p(Complex z) { return std::log(1.0 + z); }
inline double log1p(double x) { return std::log1p(x); }

template <class S>
double sign(S x) {
  return std::real(x) > 0 ? 1 : std::real(x) < 0 ? -1 : 0;
}
template <class S>
S absolute(S x) {  // not abs: std::abs of a complex number is its modulus
  return std::real(x) < 0 ? -x : x;
}
template <class S>
S positive_part(S x) {
  return std::real(x) > 0 ? x : S(0);
}

/// 1 / (1 + exp(-x)) without overflow.
template <class S>
S sigmoid(S x) {
  const S e = std::exp(-absolute(x));
  return std::real(x) >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

}  // namespace minbert::ref
