// Matrix: the operand of products; UsePiece: what takes their sums.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <utility>

#include "minbert/base/tensor.h"

namespace minbert::cpu {

/// A matrix with both strides, so that a transpose is a view too. One of the strides is 1.
struct Matrix {
  void* data = nullptr;
  DType dtype = DType::kF32;
  std::int64_t rows = 0, cols = 0;
  std::int64_t row_stride = 0, col_stride = 1;

  Matrix() = default;
  explicit Matrix(const Tensor& x) : data(x.raw()), dtype(x.dtype()), rows(x.rows()), cols(x.cols()), row_stride(x.row_stride()) {}
  Matrix transposed() const {
    Matrix t = *this;
    std::swap(t.rows, t.cols);
    std::swap(t.row_stride, t.col_stride);
    return t;
  }
  /// Rows [row, row + n) and columns [col, col + m).
  Matrix part(std::int64_t row, std::int64_t n, std::int64_t col, std::int64_t m) const {
    Matrix p = *this;
    p.data = static_cast<std::byte*>(data) + (row * row_stride + col * col_stride) * static_cast<std::int64_t>(dtype_size(dtype));
    p.rows = n;
    p.cols = m;
    return p;
  }
};

/// Called with one block of a product (i32), whose first element is (row, col) of the whole.
using UsePiece = std::function<void(const Matrix& sums, std::int64_t row, std::int64_t col)>;

}  // namespace minbert::cpu
