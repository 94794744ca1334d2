// Tensor: shapes, slices and descriptions.
#include "minbert/base/tensor.h"

#include <algorithm>

namespace minbert {

std::size_t dtype_size(DType dtype) {
  switch (dtype) {
    case DType::kF32: return 4;
    case DType::kBF16: return 2;
    case DType::kF64: return 8;
    case DType::kC128: return 16;
    case DType::kI32: return 4;
    case DType::kI8: return 1;
    case DType::kU8: return 1;
  }
  return 0;
}

std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "f32";
    case DType::kBF16: return "bf16";
    case DType::kF64: return "f64";
    case DType::kC128: return "c128";
    case DType::kI32: return "i32";
    case DType::kI8: return "i8";
    case DType::kU8: return "u8";
  }
  return "?";
}

Tensor::Tensor(void* data, DType dtype, std::initializer_list<std::int64_t> shape)
    : Tensor(data, dtype, std::span<const std::int64_t>(shape.begin(), shape.size())) {}

Tensor::Tensor(void* data, DType dtype, std::span<const std::int64_t> shape)
    : data_(data), dtype_(dtype), rank_(static_cast<int>(shape.size())) {
  MINBERT_CHECK(shape.size() <= shape_.size(), "rank {} is over {}", shape.size(), shape_.size());
  std::copy(shape.begin(), shape.end(), shape_.begin());
  for (int i = 0; i < rank_; ++i) {
    MINBERT_CHECK(dim(i) >= 0, "negative dimension {}", dim(i));
    if (i > 0) cols_ *= dim(i);
  }
  row_stride_ = cols_;
}

Tensor Tensor::slice_rows(std::int64_t begin, std::int64_t end) const {
  MINBERT_CHECK(rank_ >= 1 && 0 <= begin && begin <= end && end <= rows(), "rows [{}, {}) of {}", begin, end, describe());
  Tensor t = *this;
  t.shape_[0] = end - begin;
  t.data_ = static_cast<std::byte*>(data_) + static_cast<std::size_t>(begin * row_stride_) * dtype_size(dtype_);
  return t;
}

Tensor Tensor::slice_cols(std::int64_t begin, std::int64_t end) const {
  MINBERT_CHECK(rank_ == 2 && 0 <= begin && begin <= end && end <= cols_, "columns [{}, {}) of {}", begin, end, describe());
  Tensor t = *this;
  t.shape_[1] = end - begin;
  t.cols_ = end - begin;
  t.data_ = static_cast<std::byte*>(data_) + static_cast<std::size_t>(begin) * dtype_size(dtype_);
  return t;
}

Tensor Tensor::reshape(std::initializer_list<std::int64_t> shape) const {
  MINBERT_CHECK(contiguous(), "reshape of a strided tensor {}", describe());
  Tensor t(data_, dtype_, shape);
  MINBERT_CHECK(t.numel() == numel(), "reshape of {} to {}", describe(), t.describe());
  return t;
}

bool Tensor::same_shape(const Tensor& other) const {
  return rank_ == other.rank_ && std::equal(shape().begin(), shape().end(), other.shape().begin());
}

std::string Tensor::describe() const { return fmt::format("{} ({})", dtype_name(dtype_), fmt::join(shape(), ", ")); }

}  // namespace minbert
