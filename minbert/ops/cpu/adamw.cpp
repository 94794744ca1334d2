// AdamW in one sweep over memory, also for many steps without a gradient, and the gradient norm.
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

/// Steps without a gradient. After the step `calm`, each moves a parameter less far than the one before did, and from it on there is no
/// decay.
struct IdleSteps {
  std::span<const AdamWFactors> factors;
  std::size_t calm;
};

/// squared_norm adds in this many lanes. The number is fixed, so that threads, cuts and instruction sets do not change the result.
inline constexpr std::int64_t kNormLanes = 16;

}  // namespace minbert::cpu
#endif  // MINBERT_OPS_CPU_ADAMW_ARGUMENTS_

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

/// theta after a step with the moments m and v.
HWY_INLINE V moved(V theta, V m, V v, const AdamWFactors& f) {
  const V ratio = hn::Div(m, hn::MulAdd(set(f.root_scale), hn::Sqrt(v), set(f.eps)));
  return hn::Mul(hn::MulAdd(set(-f.step), ratio, hn::Mul(theta, set(f.keep_before))), set(f.keep_after));
}

void adamw_range(const AdamWSegment& s, const AdamWFactors& f, std::int64_t begin, std::int64_t end) {
  float *value = s.value.data<float>() + begin, *m = s.m.data<float>() + begin, *v = s.v.data<float>() + begin;
  float* gradient = s.gradient ? s.gradient.data<float>() + begin : nullptr;
  BFloat16* copy = s.copy ? s.copy.data<BFloat16>() + begin : nullptr;
  const V beta1 = set(f.beta1), rest1 = set(1.0f - f.beta1), beta2 = set(f.beta2), rest2 = set(1.0f - f.beta2);
  const V gradient_scale = set(f.gradient_scale);
  for_lanes(static_cast<std::size_t>(end - begin), [&](std::size_t i, auto extent) HWY_ATTR {
    const V g = gradient != nullptr ? hn::Mul(load(extent, gradient + i), gradient_scale) : hn::Zero(kF32);
    const V new_m = hn::MulAdd(beta1, load(extent, m + i), hn::Mul(rest1, g));
    const V new_v = hn::MulAdd(beta2, load(extent, v + i), hn::Mul(rest2, hn::Mul(g, g)));
    const V theta = moved(load(extent, value + i), new_m, new_v, f);
    store(extent, new_m, m + i);
    store(extent, new_v, v + i);
    store(extent, theta, value + i);
    if (gradient != nullptr) store(extent, hn::Zero(kF32), gradient + i);
    if (copy != nullptr) store(extent, theta, copy + i);
  });
}

/// Makes idle steps with N vectors at once, with the bits of adamw_range. Most steps need only two multiplications: once a step of the calm
/// ones is too small to change any theta, so are all later ones, and once m is zero, nothing but weight decay moves theta.
template <int N, class Extent>
void idle_vectors(const AdamWSegment& s, const IdleSteps& steps, std::size_t first, std::int64_t begin, Extent extent) {
  const auto at = [begin](const Tensor& x, int n) { return x.data<float>() + begin + n * static_cast<std::int64_t>(kLanes); };
  const V zero = hn::Zero(kF32), beta1 = set(steps.factors[first].beta1), beta2 = set(steps.factors[first].beta2);
  const std::size_t count = steps.factors.size();
  V theta[N], m[N], v[N];
  for (int n = 0; n < N; ++n) {
    theta[n] = load(extent, at(s.value, n));
    m[n] = load(extent, at(s.m, n));
    v[n] = load(extent, at(s.v, n));
  }
  const auto shrink = [&](V(&x)[N], V beta) HWY_ATTR __attribute__((always_inline)) {
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) x[n] = hn::MulAdd(beta, x[n], zero);
  };
  const auto m_is_zero = [&]() HWY_ATTR __attribute__((always_inline)) {
    auto all = hn::Eq(m[0], zero);
#pragma GCC unroll 4
    for (int n = 1; n < N; ++n) all = hn::And(all, hn::Eq(m[n], zero));
    return hn::AllTrue(kF32, all);
  };
  std::size_t t = first;
  bool stays = false;  // no later step changes theta
  for (bool is_done = false; t < count && !is_done; ++t) {
    shrink(m, beta1);
    shrink(v, beta2);
    bool same = true;
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const V next = moved(theta[n], m[n], v[n], steps.factors[t]);
      same = same && hn::AllTrue(kF32, hn::Eq(next, theta[n]));
      theta[n] = next;
    }
    stays = same && t >= steps.calm;
    is_done = stays || m_is_zero();
  }
  for (; t < count && !m_is_zero(); ++t) {
    shrink(m, beta1);
    shrink(v, beta2);
  }
  if (t < count) shrink(m, beta1);  // of a negative zero it makes zero
  for (std::size_t left = t; left < count; ++left) shrink(v, beta2);
  for (; t < count && !stays; ++t) {
    const V before = set(steps.factors[t].keep_before), after = set(steps.factors[t].keep_after);
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) theta[n] = hn::Mul(hn::Mul(theta[n], before), after);
  }
  for (int n = 0; n < N; ++n) {
    store(extent, theta[n], at(s.value, n));
    store(extent, m[n], at(s.m, n));
    store(extent, v[n], at(s.v, n));
    if (s.copy) store(extent, theta[n], s.copy.data<BFloat16>() + begin + n * static_cast<std::int64_t>(kLanes));
  }
}

void idle_range(const AdamWIdle& idle, const IdleSteps& steps) {
  constexpr int kVectors = HWY_TARGET <= HWY_AVX3 ? 4 : 2;  // as many as registers hold
  constexpr auto kBlock = kVectors * static_cast<std::int64_t>(kLanes);
  const std::int64_t size = idle.segment.value.numel(), whole = size - size % kBlock;
  for (std::int64_t i = 0; i < whole; i += kBlock) idle_vectors<kVectors>(idle.segment, steps, idle.first, i, Whole{});
  for_lanes(static_cast<std::size_t>(size - whole), [&](std::size_t i, auto extent) HWY_ATTR {
    idle_vectors<1>(idle.segment, steps, idle.first, whole + static_cast<std::int64_t>(i), extent);
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
HWY_EXPORT(idle_range);
HWY_EXPORT(add_squares);

namespace {

/// With c1 = 1 - b1^t and c2 = 1 - b2^t, kPaper moves by lr sqrt(c2) / c1 m / (sqrt(v) + eps), and kTorch by
/// lr / c1 m / (sqrt(v) / sqrt(c2) + eps).
AdamWFactors adamw_factors(const AdamWStep& s, float weight_decay, const AdamWOptions& o) {
  const double lr = static_cast<double>(s.lr), c1 = s.correction1, c2 = s.correction2;
  const auto keep = static_cast<float>(1.0 - lr * static_cast<double>(weight_decay));
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

/// The first step after which each moves a parameter less far than the one before, whatever its moments are, if none has a gradient. A step
/// is at most .99 of the one before, which leaves room for rounding. The room is also enough where v falls below the smallest float, 1e-38,
/// and becomes zero: the denominator then falls by root_scale 1e-19, which is nothing beside the least eps.
std::size_t first_calm(std::span<const AdamWFactors> steps) {
  constexpr double kShrinks = 0.99, kLeastEps = 1e-12;
  std::size_t calm = steps.size();
  for (std::size_t t = steps.size(); t-- > 0; calm = t) {
    const AdamWFactors& now = steps[t];
    if (now.keep_before != 1.0f || now.keep_after != 1.0f || static_cast<double>(now.eps) < kLeastEps) break;
    if (t + 1 == steps.size()) continue;
    const AdamWFactors& next = steps[t + 1];
    const double root = std::sqrt(static_cast<double>(next.beta2)) * std::min(1.0, static_cast<double>(next.root_scale / now.root_scale));
    if (static_cast<double>(next.beta1) * static_cast<double>(next.step) > kShrinks * static_cast<double>(now.step) * root) break;
  }
  return calm;
}

/// CHECKs the shapes of a segment.
void check_segment(const AdamWSegment& s) {
  for (const Tensor* t : {&s.gradient, &s.m, &s.v})
    if (t != &s.gradient || *t) shapes::same(*t, s.value, "adamw");
  MINBERT_CHECK(!s.copy || s.copy.numel() == s.value.numel(), "adamw: {} copied to {}", s.value.describe(), s.copy.describe());
  for (const Tensor* t : {&s.value, &s.gradient, &s.m, &s.v, &s.copy})
    MINBERT_CHECK(!*t || t->contiguous(), "adamw: strided {}", t->describe());
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
    check_segment(s);
    total += size(i);
    moved += 24.0 * static_cast<double>(size(i)) + 2 * bytes_of({&s.gradient}) + bytes_of({&s.copy});
  }
  const OpScope scope(*this, "adamw", 14.0 * static_cast<double>(total), moved, {});
  // Parts end at multiples of a cache line, so that two threads never write one.
  constexpr std::int64_t kLine = 32;
  for_ranges(divide_up(total, kLine), kGrain / kLine, [&](std::int64_t begin, std::int64_t end) {
    for_concatenated(
        segments.size(), size, begin * kLine, std::min(total, end * kLine), [&](std::size_t i, std::int64_t from, std::int64_t to) {
          HWY_DYNAMIC_DISPATCH(adamw_range)(segments[i], adamw_factors(segments[i].step, segments[i].weight_decay, options), from, to);
        });
  });
}

void CpuBackend::adamw_idle(std::span<const AdamWIdle> idle, std::span<const AdamWStep> steps, const AdamWOptions& options) {
  std::size_t first = steps.size();
  double updates = 0, bytes = 0;
  for (const AdamWIdle& part : idle) {
    check_segment(part.segment);
    MINBERT_CHECK(part.first < steps.size() && part.segment.weight_decay == idle.front().segment.weight_decay,
                  "adamw_idle: step {} of {}, decay {} beside {}", part.first, steps.size(), part.segment.weight_decay,
                  idle.front().segment.weight_decay);
    first = std::min(first, part.first);
    updates += static_cast<double>(part.segment.value.numel()) * static_cast<double>(steps.size() - part.first);
    bytes += 24.0 * static_cast<double>(part.segment.value.numel()) + bytes_of({&part.segment.copy});
  }
  const OpScope scope(*this, "adamw_idle", 0, bytes, {});
  if (idle.empty()) return;
  const FlushDenormals flush;  // as where adamw() computes its factors
  const std::int64_t count = std::ssize(steps);
  AdamWFactors* factors = scratch_.get<AdamWFactors>(count);
  for (auto t = static_cast<std::int64_t>(first); t < count; ++t)
    factors[t] = adamw_factors(steps[static_cast<std::size_t>(t)], idle.front().segment.weight_decay, options);
  const std::span all(factors, steps.size());
  const IdleSteps shared{all, first + first_calm(all.subspan(first))};
  const double each = std::max(1.0, updates / static_cast<double>(idle.size()));
  for_ranges(std::ssize(idle), static_cast<std::int64_t>(std::ceil(static_cast<double>(kGrain) / each)),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t i = begin; i < end; ++i) HWY_DYNAMIC_DISPATCH(idle_range)(idle[static_cast<std::size_t>(i)], shared);
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
