// Linear layers: products by Gemm, bias gradients, prepared weights, and the product fused with its activation.
#include <algorithm>

#include "minbert/ops/cpu/cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "minbert/ops/cpu/linear.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "minbert/ops/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

/// sums[col] += the sum of column col of x, for col in [begin, end). It adds up blocks of rows, which keeps rounding errors small,
/// always in the same order.
void add_column_sums(float* sums, const Tensor& x, std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t kRows = 64;
  const std::int64_t rows = x.rows();
  with_type(x.dtype(), [&]<class T>(T) HWY_ATTR {
    for_lanes(static_cast<std::size_t>(end - begin), [&](std::size_t i, auto extent) HWY_ATTR {
      const T* column = x.data<T>() + begin + i;
      V total = load(extent, sums + begin + i);
      for (std::int64_t first = 0; first < rows; first += kRows) {
        V block = set(0);
        for (std::int64_t row = first; row < std::min(rows, first + kRows); ++row)
          block = hn::Add(block, load(extent, column + row * x.row_stride()));
        total = hn::Add(total, block);
      }
      store(extent, total, sums + begin + i);
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace minbert::cpu {

HWY_EXPORT(add_column_sums);

namespace {

double product_flops(const Tensor& x, std::int64_t out_features) {
  return 2.0 * static_cast<double>(x.numel()) * static_cast<double>(out_features);
}

const Tensor& plain_value(const PreparedWeight& w) {
  MINBERT_CHECK(static_cast<bool>(w.value), "a packed weight {} serves forward only", w.master.describe());
  return w.value;
}

}  // namespace

PreparedWeight CpuBackend::prepare(const Tensor& master, DType compute, WeightUse use, const std::uint64_t* clock, Tensor copy) {
  MINBERT_CHECK(master.dtype() == DType::kF32 && (compute == DType::kF32 || compute == DType::kBF16), "{} prepared for {}",
                master.describe(), dtype_name(compute));
  PreparedWeight weight;
  weight.master = master;
  weight.use = use;
  weight.clock = clock;
  weight.version = clock != nullptr ? *clock : 0;
  // Packing pays only where the weight rarely changes: packing again in every training step costs twice what products gain.
  if (use == WeightUse::kForwardInt8 || (use == WeightUse::kForward && master.numel() > 0)) {
    const auto packed = std::make_shared<CpuPackedWeight>();
    if (use == WeightUse::kForwardInt8)
      pack_int8(gemm_, *packed, master);
    else
      packed->product = gemm_.pack(Matrix(master).transposed(), compute);
    weight.packed = packed;
    return weight;
  }
  if (compute == DType::kF32) {
    weight.value = master;
    return weight;
  }
  if (copy) {
    shapes::same(copy, master, "weight copy");
    weight.value = copy;
  } else {
    const std::size_t bytes = static_cast<std::size_t>(master.numel()) * sizeof(BFloat16);
    weight.storage = std::shared_ptr<void>(memory_.allocate(bytes), [bytes](void* data) { HostMemory().release(data, bytes); });
    weight.value = Tensor(weight.storage.get(), DType::kBF16, master.shape());
  }
  cast(weight.value, master);
  return weight;
}

void CpuBackend::refresh(PreparedWeight& weight) {
  weight.version = weight.clock != nullptr ? *weight.clock : 0;
  if (weight.use == WeightUse::kForwardInt8) {
    pack_int8(gemm_, weight.packed_as<CpuPackedWeight>(), weight.master);
  } else if (weight.packed != nullptr) {
    gemm_.repack(*weight.packed_as<CpuPackedWeight>().product, Matrix(weight.master).transposed());
  } else if (weight.value.raw() != weight.master.raw()) {
    cast(weight.value, weight.master);
  }
}

void CpuBackend::linear(Tensor out, const Tensor& x, const PreparedWeight& w, const Tensor& bias) {
  checked_linear(out, x, w, bias, nullptr);
}

void CpuBackend::checked_linear(Tensor out, const Tensor& x, const PreparedWeight& w, const Tensor& bias, const Activation* kind) {
  shapes::weight(w, x);
  shapes::matrix(x, x.rows(), w.in_features(), "linear input");
  shapes::matrix(out, x.rows(), w.out_features(), "linear output");
  shapes::optional_matrix(bias, w.out_features(), 1, "bias");
  const OpScope scope(*this, "linear", product_flops(x, w.out_features()), bytes_of({&out, &x, &w.value}), {out});
  const float* b = bias ? bias.data<float>() : nullptr;
  if (w.use == WeightUse::kForwardInt8) {
    int8_linear(out, x, w.packed_as<CpuPackedWeight>(), bias, kind);
  } else if (w.packed != nullptr) {
    gemm_.multiply_packed(Matrix(out), Matrix(x), *w.packed_as<CpuPackedWeight>().product, b);
  } else {
    gemm_.multiply(Matrix(out), Matrix(x), Matrix(w.value).transposed(), b);
  }
}

void CpuBackend::linear_backward_input(Tensor dx, const Tensor& dy, const PreparedWeight& w) {
  shapes::weight(w, dy);
  shapes::matrix(dy, dy.rows(), w.out_features(), "linear output gradient");
  shapes::matrix(dx, dy.rows(), w.in_features(), "linear input gradient");
  const OpScope scope(*this, "linear_backward_input", product_flops(dy, w.in_features()), bytes_of({&dx, &dy, &w.value}), {dx});
  gemm_.multiply(Matrix(dx), Matrix(dy), Matrix(plain_value(w)));
}

void CpuBackend::linear_backward_params(Tensor dw, Tensor dbias, const Tensor& x, const Tensor& dy) {
  MINBERT_CHECK(x.rows() == dy.rows(), "x {} against dy {}", x.describe(), dy.describe());
  shapes::optional_matrix(dw, dy.cols(), x.cols(), "weight gradient");
  shapes::optional_matrix(dbias, dy.cols(), 1, "bias gradient");
  const OpScope scope(*this, "linear_backward_params", dw ? product_flops(x, dy.cols()) : 0.0, bytes_of({&dw, &dw, &x, &dy}), {dw, dbias});
  if (dw) gemm_.multiply(Matrix(dw), Matrix(dy).transposed(), Matrix(x), nullptr, true);
  if (!dbias) return;
  for_ranges(dy.cols(), std::max<std::int64_t>(64, kGrain / std::max<std::int64_t>(1, dy.rows())),
             [&](std::int64_t begin, std::int64_t end) {
               HWY_DYNAMIC_DISPATCH(add_column_sums)
               (dbias.data<float>(), dy, begin, end);
             });
}

}  // namespace minbert::cpu
#endif  // HWY_ONCE
