// Linear layers with 8-bit integers. int8_linear rounds its inputs to 8 bits, Gemm multiplies them by the rounded weight into exact
// 32-bit sums, piece by piece, and one pass over a piece, while it is in the cache, scales the sums, adds the bias and applies the
// activation, if there is one.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>

#include "minbert/ops/cpu/cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "minbert/ops/cpu/int8.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "minbert/ops/cpu/activation-inl.h"
#include "minbert/ops/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

constexpr hn::Rebind<std::uint8_t, F32> kU8;

/// Rounds row `row` of x (N, I) to q (I), and returns the scale and zero that it used.
Int8Range quantize_row(std::uint8_t* q, const Tensor& x, std::int64_t row) {
  const auto n = static_cast<std::size_t>(x.cols());
  Int8Range range;
  with_type(x.dtype(), [&]<class T>(T) HWY_ATTR {
    const T* p = x.data<T>() + row * x.row_stride();
    V low = set(0), high = set(0);
    for_lanes(n, [&](std::size_t i, auto extent) HWY_ATTR {
      const V v = load(extent, p + i);  // lanes beyond the row load as 0, which is always in the range
      low = hn::Min(low, v);
      high = hn::Max(high, v);
    });
    range = Int8Range::of_input(hn::GetLane(hn::MinOfLanes(kF32, low)), hn::GetLane(hn::MaxOfLanes(kF32, high)));
    const V inverse = hn::Set(kF32, range.inverse);
    const auto zero = hn::Set(kI32, range.zero);
    const auto quantize = [&](V v) HWY_ATTR { return hn::DemoteTo(kU8, hn::Add(hn::NearestInt(hn::Mul(v, inverse)), zero)); };
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) hn::StoreU(quantize(load(p + i)), kU8, q + i);
    if (i == n) return;
    std::uint8_t lanes[kLanes];
    hn::StoreU(quantize(load(Part{n - i}, p + i)), kU8, lanes);
    std::memcpy(q + i, lanes, n - i);
  });
  return range;
}

HWY_INLINE hn::Vec<decltype(kI32)> load_i32(Whole, const std::int32_t* p) { return hn::LoadU(kI32, p); }
HWY_INLINE hn::Vec<decltype(kI32)> load_i32(Part part, const std::int32_t* p) {
  std::int32_t lanes[kLanes] = {};
  std::memcpy(lanes, p, part.n * sizeof(*p));
  return hn::LoadU(kI32, lanes);
}

struct Identity {
  HWY_INLINE V value(V x) const { return x; }
};

/// Writes f(range.scale * weight.scales * (sums - range.zero * weight.sums) + bias), elementwise, to out (N, O) from (row, col) on. f is
/// the activation. `sums` are products with q; subtracting zero * weight.sums makes them products with q - zero.
template <class T, class Function>
void dequantize(const Function& f, const Tensor& out, const Matrix& sums, std::int64_t row, std::int64_t col, const Int8Range* ranges,
                const CpuPackedWeight& weight, const float* bias) {
  for_lanes(static_cast<std::size_t>(sums.cols), [&](std::size_t i, auto extent) HWY_ATTR {
    const auto first = static_cast<std::size_t>(col) + i;
    const V scales = load(extent, weight.scales.data() + first), shift = bias != nullptr ? load(extent, bias + first) : set(0);
    const auto weight_sums = load_i32(extent, weight.sums.data() + first);
    T* o = out.data<T>() + row * out.row_stride() + first;
    const auto* from = static_cast<const std::int32_t*>(sums.data) + i;
    for (std::int64_t r = 0; r < sums.rows; ++r, o += out.row_stride(), from += sums.row_stride) {
      const Int8Range& range = ranges[row + r];
      const auto exact = hn::Sub(load_i32(extent, from), hn::Mul(hn::Set(kI32, range.zero), weight_sums));
      store(extent, f.value(hn::MulAdd(hn::ConvertTo(kF32, exact), hn::Mul(hn::Set(kF32, range.scale), scales), shift)), o);
    }
  });
}

/// dequantize for the piece `sums`; `ranges` (N).
void dequantize_piece(const Tensor& out, const Matrix& sums, std::int64_t row, std::int64_t col, const Int8Range* ranges,
                      const CpuPackedWeight& weight, const float* bias, const Activation* kind) {
  with_type(out.dtype(), [&]<class T>(T) HWY_ATTR {
    const auto write = [&](auto f) HWY_ATTR { dequantize<T>(f, out, sums, row, col, ranges, weight, bias); };
    if (kind == nullptr) return write(Identity{});
    with_activation<T>(*kind, write);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace minbert::cpu {

HWY_EXPORT(quantize_row);
HWY_EXPORT(dequantize_piece);

namespace {

/// The arrays that int8_linear fills in one step and reads in the next. With null memory only `bytes`, their total size, is of use.
struct Int8Scratch {
  Int8Range* ranges;     // (N)
  std::uint8_t* inputs;  // (N, I)
  std::int64_t bytes;
  Int8Scratch(std::byte* memory, std::int64_t N, std::int64_t I) {
    Carver carver(memory);
    ranges = carver.take<Int8Range>(N);
    inputs = carver.take<std::uint8_t>(N * I);
    bytes = carver.bytes();
  }
};

}  // namespace

void pack_int8(Gemm& gemm, CpuPackedWeight& packed, const Tensor& master) {
  const std::int64_t O = master.rows(), I = master.cols();
  packed.scales.resize(static_cast<std::size_t>(O));
  packed.sums.resize(static_cast<std::size_t>(O));
  std::vector<std::int8_t> rounded(static_cast<std::size_t>(O * I));
  for_rows(O, I, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::span<const float> values(master.data<float>() + row * master.row_stride(), static_cast<std::size_t>(I));
      float largest = 0;
      for (const float value : values) largest = std::max(largest, std::abs(value));
      const Int8Range range = Int8Range::of_weight(largest);
      std::int32_t sum = 0;
      for (std::size_t i = 0; i < values.size(); ++i) {
        const std::int32_t q = range.quantize(values[i]);
        rounded[static_cast<std::size_t>(row * I) + i] = static_cast<std::int8_t>(q);
        sum += q;
      }
      packed.scales[static_cast<std::size_t>(row)] = range.scale;
      packed.sums[static_cast<std::size_t>(row)] = sum;
    }
  });
  const Matrix transposed = Matrix(Tensor(rounded.data(), DType::kI8, master.shape())).transposed();
  if (packed.product == nullptr)
    packed.product = gemm.pack(transposed, DType::kI8);
  else
    gemm.repack(*packed.product, transposed);
}

void CpuBackend::int8_linear(Tensor out, const Tensor& x, const CpuPackedWeight& w, const Tensor& bias, const Activation* kind) {
  const std::int64_t N = x.rows(), I = x.cols();
  const Int8Scratch s(scratch_.get<std::byte>(Int8Scratch(nullptr, N, I).bytes), N, I);
  for_rows(N, I, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) s.ranges[row] = HWY_DYNAMIC_DISPATCH(quantize_row)(s.inputs + row * I, x, row);
  });
  const auto write = [&](const Matrix& sums, std::int64_t row, std::int64_t col) {
    const FlushDenormals flush;
    HWY_DYNAMIC_DISPATCH(dequantize_piece)(out, sums, row, col, s.ranges, w, bias ? bias.data<float>() : nullptr, kind);
  };
  if (w.product != nullptr) return gemm_.multiply_int8(Matrix(Tensor(s.inputs, DType::kU8, {N, I})), *w.product, std::ref(write));
  std::vector<std::int32_t> zeros(static_cast<std::size_t>(out.cols()));  // the sums of an empty weight
  for (std::int64_t row = 0; row < N; ++row) write(Matrix(Tensor(zeros.data(), DType::kI32, {1, out.cols()})), row, 0);
}

void CpuBackend::linear_activation(Tensor out, Tensor pre, const Tensor& x, const PreparedWeight& w, const Tensor& bias, Activation kind) {
  if (w.use != WeightUse::kForwardInt8 || pre) return Backend::linear_activation(out, pre, x, w, bias, kind);
  checked_linear(out, x, w, bias, &kind);
}

}  // namespace minbert::cpu
#endif  // HWY_ONCE
