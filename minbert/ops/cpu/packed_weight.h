// CpuPackedWeight: a weight in the layout that forward products read fastest, in its compute dtype or rounded to 8 bits.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "minbert/base/tensor.h"
#include "minbert/ops/backend.h"
#include "minbert/ops/cpu/gemm.h"

namespace minbert::cpu {

/// The packed form of a weight w (O, I).
struct CpuPackedWeight final : PackedWeight {
  std::shared_ptr<PackedMatrix> product;  ///< w^T (I, O); null for an empty weight
  // kForwardInt8 only: w rounded by Int8Range::of_weight is scales[o] times whole numbers.
  std::vector<float> scales;       ///< (O)
  std::vector<std::int32_t> sums;  ///< (O) the sum of each row's whole numbers: what an input's zero adds to a product
};

/// Overwrites `packed`, which is new or of the same shape, with w = master rounded to 8 bits (int8.cpp).
void pack_int8(Gemm& gemm, CpuPackedWeight& packed, const Tensor& master);

}  // namespace minbert::cpu
