// Matrix: conversion from and to every floating dtype.
#include "minbert/ops/ref/matrix.h"

#include <type_traits>

namespace minbert::ref {
namespace {

// Calls body(row, index) for each row of x; `row` points to elements of x's dtype.
template <class S, class Body>
void for_each_row(const Tensor& x, const Body& body) {
  const auto rows_of = [&]<class T>(T* first) {
    for (std::int64_t r = 0; r < x.rows(); ++r) body(first + r * x.row_stride(), r);
  };
  switch (x.dtype()) {
    case DType::kF32: return rows_of(x.data<float>());
    case DType::kBF16: return rows_of(x.data<BFloat16>());
    case DType::kF64: return rows_of(x.data<double>());
    case DType::kC128:
      if constexpr (!std::is_same_v<S, double>) return rows_of(x.data<S>());
      break;
    default: break;
  }
  MINBERT_CHECK(false, "{} is not for this op", x.describe());
}

template <class S, class T>
S widen(T value) {
  if constexpr (std::is_same_v<T, BFloat16>)
    return static_cast<float>(value);
  else
    return value;
}

template <class T, class S>
T narrow(S value) {
  if constexpr (std::is_same_v<S, T>) {
    return value;
  } else if constexpr (std::is_same_v<S, double>) {
    if constexpr (std::is_same_v<T, BFloat16>)
      return BFloat16(static_cast<float>(value));
    else
      return static_cast<T>(value);
  } else {
    MINBERT_CHECK(false, "a complex result needs a c128 output");
  }
}

}  // namespace

template <class S>
Matrix<S>::Matrix(const Tensor& x) : Matrix(x.rows(), x.cols()) {
  for_each_row<S>(x, [&](const auto* row, std::int64_t r) {
    for (std::int64_t c = 0; c < cols_; ++c) (*this)(r, c) = widen<S>(row[c]);
  });
}

template <class S>
void Matrix<S>::store(const Tensor& out) const {
  MINBERT_CHECK(out.rows() == rows_ && out.cols() == cols_, "({}, {}) into {}", rows_, cols_, out.describe());
  for_each_row<S>(out, [&]<class T>(T* row, std::int64_t r) {
    for (std::int64_t c = 0; c < cols_; ++c) row[c] = narrow<T>((*this)(r, c));
  });
}

template <class S>
void Matrix<S>::add_to(const Tensor& out) const {
  if (!out) return;
  MINBERT_CHECK(out.rows() == rows_ && out.cols() == cols_, "({}, {}) into {}", rows_, cols_, out.describe());
  for_each_row<S>(out, [&]<class T>(T* row, std::int64_t r) {
    for (std::int64_t c = 0; c < cols_; ++c) row[c] = narrow<T>(widen<S>(row[c]) + (*this)(r, c));
  });
}

template class Matrix<double>;
template class Matrix<std::complex<double>>;

}  // namespace minbert::ref
