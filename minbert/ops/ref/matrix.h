// Matrix: a dense copy of a tensor in the scalar that the reference computes with.
#pragma once

#include <complex>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "minbert/base/tensor.h"

namespace minbert::ref {

/// (rows, cols) values of S = double or complex double. Narrower tensors are widened on the way in and rounded once on the way
/// out, so sums are in double whatever the tensors hold, strides do not matter, and an output may be an input.
template <class S>
class Matrix {
 public:
  /// Zeros.
  Matrix(std::int64_t rows, std::int64_t cols) : rows_(rows), cols_(cols), values_(static_cast<std::size_t>(rows * cols)) {}
  /// A copy of x: f32, bf16 or f64, and c128 where S is complex.
  explicit Matrix(const Tensor& x);
  /// A copy of an optional argument; (rows, cols) zeros where it is absent.
  static Matrix or_zeros(const Tensor& x, std::int64_t rows, std::int64_t cols) { return x ? Matrix(x) : Matrix(rows, cols); }

  std::int64_t rows() const { return rows_; }
  std::int64_t cols() const { return cols_; }
  S& operator()(std::int64_t row, std::int64_t col) { return values_[static_cast<std::size_t>(row * cols_ + col)]; }
  const S& operator()(std::int64_t row, std::int64_t col) const { return values_[static_cast<std::size_t>(row * cols_ + col)]; }
  /// Element i in row-major order; the natural index of a vector.
  S& operator[](std::int64_t i) { return values_[static_cast<std::size_t>(i)]; }
  const S& operator[](std::int64_t i) const { return values_[static_cast<std::size_t>(i)]; }
  std::int64_t size() const { return rows_ * cols_; }

  /// out = this. `out` is complex when and only when S is.
  void store(const Tensor& out) const;
  /// out += this, for gradients of parameters; does nothing where `out` is absent.
  void add_to(const Tensor& out) const;

 private:
  std::int64_t rows_, cols_;
  std::vector<S> values_;
};

extern template class Matrix<double>;
extern template class Matrix<std::complex<double>>;

/// Calls body.template operator()<S>() with the scalar for activations like x: complex double for c128, else double.
template <class Body>
void with_scalar(const Tensor& x, const Body& body) {
  if (x.dtype() == DType::kC128)
    body.template operator()<std::complex<double>>();
  else
    body.template operator()<double>();
}

}  // namespace minbert::ref
