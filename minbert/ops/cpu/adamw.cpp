// AdamW in one sweep over memory, and the gradient norm.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "minbert/ops/cpu/cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "minbert/ops/cpu/adamw.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "minbert/ops/cpu/vector-inl.h"

#ifndef MINBERT_OPS_CPU_ADAMW_ARGUMENTS_
#define MINBERT_OPS_CPU_ADAMW_ARGUMENTS_
namespace minbert::cpu {

/// An update in the form theta = keep theta - step m / (root_scale sqrt(v) + eps); see adamw_factors.
struct AdamWFactors {
  float beta1, beta2, gradient_scale;
  float step, root_scale, eps;
  float keep_before, keep_after;  // weight decay: one is 1 - lr wd, where the form decays, and the other is 1
};

/// squared_norm adds in this many lanes. The number is fixed, so that threads, cuts and instruction sets do not change the result.
inline constexpr std::int64_t kNormLanes = 16;

}  // namespace minbert::cpu
#endif  // MINBERT_OPS_CPU_ADAMW_ARGUMENTS_

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

void adamw_range(const AdamWSegment& s, const AdamWFactors& f, std::int64_t begin, std::int64_t end) {
  float *value = s.value.data<float>() + begin, *m = s.m.data<float>() + begin, *v = s.v.data<float>() + begin;
  float* gradient = s.gradient ? s.gradient.data<float>() + begin : nullptr;
  BFloat16* copy = s.copy ? s.copy.data<BFloat16>() + begin : nullptr;
  const V beta1 = set(f.beta1), rest1 = set(1.0f - f.beta1), beta2 = set(f.beta2), rest2 = set(1.0f - f.beta2);
  const V gradient_scale = set(f.gradient_scale), step = set(-f.step), root_scale = set(f.root_scale), eps = set(f.eps);
  const V keep_before = set(f.keep_before), keep_after = set(f.keep_after);
  for_lanes(static_cast<std::size_t>(end - begin), [&](std::size_t i, auto extent) HWY_ATTR {
    const V g = gradient != nullptr ? hn::Mul(load(extent, gradient + i), gradient_scale) : hn::Zero(kF32);
    const V new_m = hn::MulAdd(beta1, load(extent, m + i), hn::Mul(rest1, g));
    const V new_v = hn::MulAdd(beta2, load(extent, v + i), hn::Mul(rest2, hn::Mul(g, g)));
    const V ratio = hn::Div(new_m, hn::MulAdd(root_scale, hn::Sqrt(new_v), eps));
    const V theta = hn::Mul(hn::MulAdd(step, ratio, hn::Mul(load(extent, value + i), keep_before)), keep_after);
    store(extent, new_m, m + i);
    store(extent, new_v, v + i);
    store(extent, theta, value + i);
    if (gradient != nullptr) store(extent, hn::Zero(kF32), gradient + i);
    if (copy != nullptr) store(extent, theta, copy + i);
  });
}

/// lanes[(first + i) % kNormLanes] += x[i]^2 for i in order. Squares of floats are exact in double.
void add_squares(const float* x, std::int64_t count, std::int64_t first, double* lanes) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> half;
  constexpr std::int64_t kStep = hn::MaxLanes(decltype(d)()), kVectors = kNormLanes / kStep;
  std::int64_t i = 0;
  for (; i < count && (first + i) % kNormLanes != 0; ++i)
    lanes[(first + i) % kNormLanes] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  hn::Vec<decltype(d)> sums[kVectors];
  for (std::int64_t k = 0; k < kVectors; ++k) sums[k] = hn::LoadU(d, lanes + k * kStep);
  for (; i + kNormLanes <= count; i += kNormLanes) {
    for (std::int64_t k = 0; k < kVectors; ++k) {
      const auto value = hn::PromoteTo(d, hn::LoadU(half, x + i + k * kStep));
      sums[k] = hn::MulAdd(value, value, sums[k]);
    }
  }
  for (std::int64_t k = 0; k < kVectors; ++k) hn::StoreU(sums[k], d, lanes + k * kStep);
  for (; i < count; ++i) lanes[(first + i) % kNormLanes] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace minbert::cpu {

HWY_EXPORT(adamw_range);
HWY_EXPORT(add_squares);

namespace {

/// With c1 = 1 - b1^t and c2 = 1 - b2^t, kPaper moves by lr sqrt(c2) / c1 m / (sqrt(v) + eps), and kTorch by
/// lr / c1 m / (sqrt(v) / sqrt(c2) + eps).
AdamWFactors adamw_factors(const AdamWSegment& s, const AdamWOptions& o) {
  const auto t = static_cast<double>(s.step);
  const double c1 = 1.0 - std::pow(static_cast<double>(o.beta1), t), c2 = 1.0 - std::pow(static_cast<double>(o.beta2), t);
  const double lr = static_cast<double>(s.lr);
  const auto keep = static_cast<float>(1.0 - lr * static_cast<double>(s.weight_decay));
  const bool paper = o.form == AdamWForm::kPaper;
  return {.beta1 = o.beta1,
          .beta2 = o.beta2,
          .gradient_scale = o.gradient_scale,
          .step = static_cast<float>(paper ? lr * std::sqrt(c2) / c1 : lr / c1),
          .root_scale = static_cast<float>(paper ? 1.0 : 1.0 / std::sqrt(c2)),
          .eps = o.eps,
          .keep_before = paper ? 1.0f : keep,
          .keep_after = paper ? keep : 1.0f};
}

/// Calls body(index, begin, end) for the part of each tensor that lies in [begin, end) of their concatenation.
template <class Sizes, class Body>
void for_concatenated(std::size_t count, const Sizes& size, std::int64_t begin, std::int64_t end, const Body& body) {
  std::int64_t start = 0;
  for (std::size_t i = 0; i < count && start < end; start += size(i), ++i) {
    const std::int64_t from = std::max(begin, start), to = std::min(end, start + size(i));
    if (from < to) body(i, from - start, to - start);
  }
}

}  // namespace

void CpuBackend::adamw(std::span<const AdamWSegment> segments, const AdamWOptions& options) {
  const auto size = [&](std::size_t i) { return segments[i].value.numel(); };
  std::int64_t total = 0;
  double moved = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const AdamWSegment& s = segments[i];
    for (const Tensor* t : {&s.gradient, &s.m, &s.v})
      if (t != &s.gradient || *t) shapes::same(*t, s.value, "adamw");
    MINBERT_CHECK(!s.copy || s.copy.numel() == size(i), "adamw: {} copied to {}", s.value.describe(), s.copy.describe());
    for (const Tensor* t : {&s.value, &s.gradient, &s.m, &s.v, &s.copy})
      MINBERT_CHECK(!*t || t->contiguous(), "adamw: strided {}", t->describe());
    total += size(i);
    moved += 24.0 * static_cast<double>(size(i)) + 2 * bytes_of({&s.gradient}) + bytes_of({&s.copy});
  }
  const OpScope scope(*this, "adamw", 14.0 * static_cast<double>(total), moved, {});
  // Parts end at multiples of a cache line, so that two threads never write one.
  constexpr std::int64_t kLine = 32;
  for_ranges(divide_up(total, kLine), kGrain / kLine, [&](std::int64_t begin, std::int64_t end) {
    for_concatenated(segments.size(), size, begin * kLine, std::min(total, end * kLine),
                     [&](std::size_t i, std::int64_t from, std::int64_t to) {
                       HWY_DYNAMIC_DISPATCH(adamw_range)(segments[i], adamw_factors(segments[i], options), from, to);
                     });
  });
}

double CpuBackend::squared_norm(std::span<const Tensor> tensors) {
  constexpr std::int64_t kChunk = 1 << 16;
  const auto size = [&](std::size_t i) { return tensors[i].numel(); };
  std::int64_t total = 0;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    MINBERT_CHECK(tensors[i].contiguous(), "squared_norm: strided {}", tensors[i].describe());
    total += size(i);
  }
  const OpScope scope(*this, "squared_norm", 2.0 * static_cast<double>(total), 4.0 * static_cast<double>(total), {});
  const std::int64_t chunks = divide_up(total, kChunk);
  double* sums = scratch_.get<double>(chunks);
  for_ranges(chunks, 1, [&](std::int64_t first, std::int64_t last) {
    alignas(64) double lanes[kNormLanes] = {};
    std::int64_t chunk = first, filled = 0;
    const auto finish_chunk = [&] {
      sums[chunk++] = std::accumulate(lanes, lanes + kNormLanes, 0.0);
      std::fill(lanes, lanes + kNormLanes, 0.0);
      filled = 0;
    };
    for_concatenated(tensors.size(), size, first * kChunk, last * kChunk, [&](std::size_t i, std::int64_t from, std::int64_t to) {
      while (from < to) {
        const std::int64_t count = std::min(to - from, kChunk - filled);
        HWY_DYNAMIC_DISPATCH(add_squares)(tensors[i].data<float>() + from, count, filled, lanes);
        from += count;
        filled += count;
        if (filled == kChunk) finish_chunk();
      }
    });
    if (filled > 0) finish_chunk();
  });
  return std::accumulate(sums, sums + chunks, 0.0);
}

}  // namespace minbert::cpu
#endif  // HWY_ONCE
