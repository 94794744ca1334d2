// The machine's best speeds, measured in the same run as the figures that are compared with them.
#pragma once

#include "minbert/ops/backend.h"
#include "minbert/pipeline/text_model.h"

namespace minbert {

/// The Compute for `dtype`. kI8 means products of 8-bit integers, with activations in bf16 where there are bf16 products, else in f32.
Compute compute_in(const Backend& backend, DType dtype);

/// GFLOP/s of one large square product with a packed weight on all threads, the best of several.
double measure_gemm_peak(Backend& backend, DType dtype);

/// GB/s of an optimizer's access pattern (four streams read, three written back) over memory larger than any cache.
double measure_bandwidth();

}  // namespace minbert
