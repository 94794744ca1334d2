// Int8Weight: a weight rounded to 8 bits for forward products.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "minbert/base/tensor.h"
#include "minbert/ops/cpu/gemm.h"

namespace minbert::cpu {

/// Of a weight (O, I), by Int8Range::of_weight.
struct Int8Weight {
  std::shared_ptr<void> product;   ///< packed by Gemm; null for an empty weight
  std::vector<float> scales;       ///< (O)
  std::vector<std::int32_t> sums;  ///< (O) of each row's integers: what an input's zero adds to a product
};

std::shared_ptr<Int8Weight> make_int8_weight(Gemm& gemm, const Tensor& master);
/// Overwrites it with new values of the same shape.
void refresh_int8_weight(Gemm& gemm, Int8Weight& weight, const Tensor& master);

}  // namespace minbert::cpu
