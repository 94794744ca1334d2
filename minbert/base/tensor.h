// Tensor: a typed, shaped view of memory that an arena, a file mapping or a caller owns.
#pragma once

#include <array>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "minbert/base/bfloat16.h"
#include "minbert/base/check.h"

namespace minbert {

/// Element types. kC128 (complex double) exists for complex-step gradient checks on the ref backend.
enum class DType : std::uint8_t { kF32, kBF16, kF64, kC128, kI32, kI8, kU8 };

/// Bytes of one element.
std::size_t dtype_size(DType dtype);
/// "f32", "bf16", ...
std::string_view dtype_name(DType dtype);

template <class T>
constexpr DType dtype_of();
template <>
constexpr DType dtype_of<float>() {
  return DType::kF32;
}
template <>
constexpr DType dtype_of<BFloat16>() {
  return DType::kBF16;
}
template <>
constexpr DType dtype_of<double>() {
  return DType::kF64;
}
template <>
constexpr DType dtype_of<std::complex<double>>() {
  return DType::kC128;
}
template <>
constexpr DType dtype_of<std::int32_t>() {
  return DType::kI32;
}
template <>
constexpr DType dtype_of<std::int8_t>() {
  return DType::kI8;
}
template <>
constexpr DType dtype_of<std::uint8_t>() {
  return DType::kU8;
}

/// Up to four dimensions, row-major. Dimension 0 may be strided (a block of columns of a wider matrix); the rest is dense.
/// Copying a Tensor copies the view. An empty Tensor (`!t`) stands for "absent" where an argument is optional.
class Tensor {
 public:
  Tensor() = default;
  Tensor(void* data, DType dtype, std::initializer_list<std::int64_t> shape);
  Tensor(void* data, DType dtype, std::span<const std::int64_t> shape);

  /// View of a vector or array of T with the given shape; the element count must fit in `values`.
  template <class T>
  static Tensor of(std::span<T> values, std::initializer_list<std::int64_t> shape) {
    Tensor t(const_cast<std::remove_const_t<T>*>(values.data()), dtype_of<std::remove_const_t<T>>(), shape);
    MINBERT_CHECK(t.numel() <= static_cast<std::int64_t>(values.size()), "{} elements in a span of {}", t.numel(), values.size());
    return t;
  }

  explicit operator bool() const { return data_ != nullptr; }
  DType dtype() const { return dtype_; }
  int rank() const { return rank_; }
  /// Size of dimension i; 1 beyond the rank.
  std::int64_t dim(int i) const { return i < rank_ ? shape_[static_cast<std::size_t>(i)] : 1; }
  std::span<const std::int64_t> shape() const { return {shape_.data(), static_cast<std::size_t>(rank_)}; }
  /// First dimension (1 for a scalar).
  std::int64_t rows() const { return dim(0); }
  /// Elements in one row: the product of the dimensions after the first.
  std::int64_t cols() const { return cols_; }
  /// Elements between the starts of two rows; cols() when dense.
  std::int64_t row_stride() const { return row_stride_; }
  std::int64_t numel() const { return rows() * cols_; }
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * dtype_size(dtype_); }
  bool contiguous() const { return row_stride_ == cols_ || rows() <= 1; }

  void* raw() const { return data_; }
  /// Typed pointer to element (0, 0); the dtype must match.
  template <class T>
  T* data() const {
    MINBERT_CHECK(dtype_of<std::remove_const_t<T>>() == dtype_, "tensor is {}", dtype_name(dtype_));
    return static_cast<T*>(data_);
  }
  /// All elements; the tensor must be contiguous.
  template <class T>
  std::span<T> span() const {
    MINBERT_CHECK(contiguous(), "strided tensor {}", describe());
    return {data<T>(), static_cast<std::size_t>(numel())};
  }

  /// Rows [begin, end).
  Tensor slice_rows(std::int64_t begin, std::int64_t end) const;
  /// Columns [begin, end) of a matrix: a strided (rows, end - begin) view.
  Tensor slice_cols(std::int64_t begin, std::int64_t end) const;
  /// The same elements in another shape; the tensor must be contiguous and the counts equal.
  Tensor reshape(std::initializer_list<std::int64_t> shape) const;

  bool same_shape(const Tensor& other) const;
  /// "f32 (8, 384)"
  std::string describe() const;

 private:
  void* data_ = nullptr;
  DType dtype_ = DType::kF32;
  int rank_ = 0;
  std::array<std::int64_t, 4> shape_{};
  std::int64_t cols_ = 1;
  std::int64_t row_stride_ = 1;
};

}  // namespace minbert
