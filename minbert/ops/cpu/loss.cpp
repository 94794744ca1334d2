// Losses, one for each row. Cross-entropy is vectorised, because logits of masked-LM training have a column for each word piece.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "minbert/ops/cpu/cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "minbert/ops/cpu/loss.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "minbert/ops/cpu/vector-inl.h"

#ifndef MINBERT_OPS_CPU_LOSS_ARGUMENTS_
#define MINBERT_OPS_CPU_LOSS_ARGUMENTS_
namespace minbert::cpu {

struct SoftmaxSums {
  float max, sum;  // softmax(x) = exp(x - max) / sum
};

}  // namespace minbert::cpu
#endif  // MINBERT_OPS_CPU_LOSS_ARGUMENTS_

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

SoftmaxSums softmax_sums(const Tensor& logits, std::int64_t row) {
  SoftmaxSums result{};
  with_type(logits.dtype(), [&]<class T>(T) HWY_ATTR {
    const T* x = logits.data<T>() + row * logits.row_stride();
    const auto width = static_cast<std::size_t>(logits.cols());
    const V lowest = set(-std::numeric_limits<float>::infinity());
    V max = lowest;
    for_lanes(width, [&](std::size_t i, auto extent) HWY_ATTR { max = hn::Max(max, fill_rest(extent, load(extent, x + i), lowest)); });
    result.max = hn::GetLane(hn::MaxOfLanes(kF32, max));
    const V shift = set(result.max);
    V sum = set(0);
    for_lanes(width, [&](std::size_t i, auto extent)
                         HWY_ATTR { sum = hn::Add(sum, fill_rest(extent, exp_nonpositive(hn::Sub(load(extent, x + i), shift)), set(0))); });
    result.sum = sum_lanes(sum);
  });
  return result;
}

/// dlogits = scale (softmax(logits) - onehot(label)) for one row.
void softmax_gradient(const Tensor& dlogits, const Tensor& logits, std::int64_t row, std::int32_t label, float scale) {
  const SoftmaxSums sums = softmax_sums(logits, row);
  with_type(logits.dtype(), [&]<class T>(T) HWY_ATTR {
    const T* x = logits.data<T>() + row * logits.row_stride();
    T* d = dlogits.data<T>() + row * dlogits.row_stride();
    const float at_label = std::exp(static_cast<float>(x[label]) - sums.max) / sums.sum;
    const V shift = set(sums.max), factor = set(scale / sums.sum);
    for_lanes(static_cast<std::size_t>(logits.cols()), [&](std::size_t i, auto extent) HWY_ATTR {
      store(extent, hn::Mul(exp_nonpositive(hn::Sub(load(extent, x + i), shift)), factor), d + i);
    });
    d[label] = T(scale * (at_label - 1.0f));
  });
}

/// The loss of one row: the sum of targets times log(sum exp) minus the sum of targets times logits.
double soft_loss(const Tensor& logits, const Tensor& targets, std::int64_t row) {
  const SoftmaxSums sums = softmax_sums(logits, row);
  V weight = set(0), weighted = set(0);
  const float* y = targets.data<float>() + row * targets.row_stride();
  with_type(logits.dtype(), [&]<class T>(T) HWY_ATTR {
    const T* x = logits.data<T>() + row * logits.row_stride();
    const V shift = set(sums.max);
    for_lanes(static_cast<std::size_t>(logits.cols()), [&](std::size_t i, auto extent) HWY_ATTR {
      const V target = load(extent, y + i);
      weight = hn::Add(weight, fill_rest(extent, target, set(0)));
      weighted = hn::Add(weighted, fill_rest(extent, hn::Mul(target, hn::Sub(load(extent, x + i), shift)), set(0)));
    });
  });
  return static_cast<double>(sum_lanes(weight)) * std::log(static_cast<double>(sums.sum)) - static_cast<double>(sum_lanes(weighted));
}

/// dlogits = scale (softmax(logits) times the sum of targets - targets) for one row.
void soft_gradient(const Tensor& dlogits, const Tensor& logits, const Tensor& targets, std::int64_t row, float scale) {
  const SoftmaxSums sums = softmax_sums(logits, row);
  const auto width = static_cast<std::size_t>(logits.cols());
  const float* y = targets.data<float>() + row * targets.row_stride();
  V weight = set(0);
  for_lanes(width, [&](std::size_t i, auto extent) HWY_ATTR { weight = hn::Add(weight, fill_rest(extent, load(extent, y + i), set(0))); });
  const V shift = set(sums.max), factor = set(sum_lanes(weight) / sums.sum), scaled = set(scale);
  with_type(logits.dtype(), [&]<class T>(T) HWY_ATTR {
    const T* x = logits.data<T>() + row * logits.row_stride();
    T* d = dlogits.data<T>() + row * dlogits.row_stride();
    for_lanes(width, [&](std::size_t i, auto extent) HWY_ATTR {
      const V probability = hn::Mul(exp_nonpositive(hn::Sub(load(extent, x + i), shift)), factor);
      store(extent, hn::Mul(scaled, hn::Sub(probability, load(extent, y + i))), d + i);
    });
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace minbert::cpu {

HWY_EXPORT(softmax_sums);
HWY_EXPORT(softmax_gradient);
HWY_EXPORT(soft_loss);
HWY_EXPORT(soft_gradient);

namespace {

float value_at(const Tensor& x, std::int64_t row, std::int64_t col = 0) {
  float value = 0;
  with_type(x.dtype(), [&]<class T>(T) { value = static_cast<float>(x.data<T>()[row * x.row_stride() + col]); });
  return value;
}

void set_value(const Tensor& x, std::int64_t row, double value, std::int64_t col = 0) {
  with_type(x.dtype(), [&]<class T>(T) { x.data<T>()[row * x.row_stride() + col] = T(static_cast<float>(value)); });
}

/// out[b] = f(x[b], y[b]), computed in double.
template <class F>
void for_each_row(const Tensor& out, const Tensor& x, const Tensor& y, const F& f) {
  for (std::int64_t b = 0; b < x.rows(); ++b)
    set_value(out, b, f(static_cast<double>(value_at(x, b)), static_cast<double>(value_at(y, b))));
}

void check_bce(const Tensor& logits, const Tensor& targets, const Tensor& weights, const char* what) {
  shapes::matrix(targets, logits.rows(), logits.cols(), what);
  shapes::optional_matrix(weights, logits.rows(), logits.cols(), what);
}

/// The weight of one term; 1 without weights.
double weight_at(const Tensor& weights, std::int64_t row, std::int64_t col) {
  return weights ? static_cast<double>(value_at(weights, row, col)) : 1.0;
}

/// Overwrites p with the probabilities of one row of logits.
void probabilities(std::vector<double>& p, const Tensor& logits, std::int64_t row, LogitLink link) {
  p.resize(static_cast<std::size_t>(logits.cols()));
  double top = 0, sum = 1;
  if (link == LogitLink::kSoftmax) {
    const SoftmaxSums sums = HWY_DYNAMIC_DISPATCH(softmax_sums)(logits, row);
    top = static_cast<double>(sums.max);
    sum = static_cast<double>(sums.sum);
  }
  for (std::size_t k = 0; k < p.size(); ++k) {
    const auto x = static_cast<double>(value_at(logits, row, static_cast<std::int64_t>(k)));
    p[k] = link == LogitLink::kSoftmax ? std::exp(x - top) / sum : 1.0 / (1.0 + std::exp(-x));
  }
}

void check_labels(const Tensor& logits, std::span<const std::int32_t> labels) {
  MINBERT_CHECK(static_cast<std::int64_t>(labels.size()) == logits.rows(), "{} labels for {}", labels.size(), logits.describe());
  shapes::indices(labels, logits.cols(), "label");
}

}  // namespace

void CpuBackend::cross_entropy(Tensor losses, const Tensor& logits, Indices labels) {
  check_labels(logits, labels.host);
  shapes::matrix(losses, logits.rows(), 1, "losses");
  const OpScope scope(*this, "cross_entropy", 0, bytes_of({&logits}), {losses});
  for_rows(logits.rows(), logits.cols(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) {
      const SoftmaxSums sums = HWY_DYNAMIC_DISPATCH(softmax_sums)(logits, b);
      const std::int32_t label = labels.host[static_cast<std::size_t>(b)];
      const float at_label = value_at(logits, b, label);
      set_value(losses, b, std::log(static_cast<double>(sums.sum)) - (static_cast<double>(at_label) - static_cast<double>(sums.max)));
    }
  });
}

void CpuBackend::cross_entropy_backward(Tensor dlogits, const Tensor& logits, Indices labels, double scale) {
  check_labels(logits, labels.host);
  shapes::same(dlogits, logits, "dlogits");
  const OpScope scope(*this, "cross_entropy_backward", 0, bytes_of({&dlogits, &logits}), {dlogits});
  for_rows(logits.rows(), logits.cols(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b)
      HWY_DYNAMIC_DISPATCH(softmax_gradient)(dlogits, logits, b, labels.host[static_cast<std::size_t>(b)], static_cast<float>(scale));
  });
}

void CpuBackend::soft_cross_entropy(Tensor losses, const Tensor& logits, const Tensor& targets) {
  shapes::matrix(targets, logits.rows(), logits.cols(), "targets");
  shapes::matrix(losses, logits.rows(), 1, "losses");
  const OpScope scope(*this, "soft_cross_entropy", 0, bytes_of({&logits, &targets}), {losses});
  for_rows(logits.rows(), logits.cols(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) set_value(losses, b, HWY_DYNAMIC_DISPATCH(soft_loss)(logits, targets, b));
  });
}

void CpuBackend::soft_cross_entropy_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, double scale) {
  shapes::matrix(targets, logits.rows(), logits.cols(), "targets");
  shapes::same(dlogits, logits, "dlogits");
  const OpScope scope(*this, "soft_cross_entropy_backward", 0, bytes_of({&dlogits, &logits, &targets}), {dlogits});
  for_rows(logits.rows(), logits.cols(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t b = begin; b < end; ++b) HWY_DYNAMIC_DISPATCH(soft_gradient)(dlogits, logits, targets, b, static_cast<float>(scale));
  });
}

void CpuBackend::bce_with_logits(Tensor losses, const Tensor& logits, const Tensor& targets, const Tensor& weights) {
  check_bce(logits, targets, weights, "bce_with_logits");
  shapes::matrix(losses, logits.rows(), 1, "bce_with_logits: losses");
  const OpScope scope(*this, "bce_with_logits", 0, 0, {losses});
  for (std::int64_t b = 0; b < logits.rows(); ++b) {
    double sum = 0;
    for (std::int64_t k = 0; k < logits.cols(); ++k) {
      const double x = value_at(logits, b, k), y = value_at(targets, b, k);
      sum += weight_at(weights, b, k) * (std::max(x, 0.0) - x * y + std::log1p(std::exp(-std::abs(x))));
    }
    set_value(losses, b, sum);
  }
}

void CpuBackend::bce_with_logits_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, const Tensor& weights,
                                          double scale) {
  check_bce(logits, targets, weights, "bce_with_logits gradient");
  shapes::same(dlogits, logits, "dlogits");
  const OpScope scope(*this, "bce_with_logits_backward", 0, 0, {dlogits});
  for (std::int64_t b = 0; b < logits.rows(); ++b)
    for (std::int64_t k = 0; k < logits.cols(); ++k) {
      const double x = value_at(logits, b, k), y = value_at(targets, b, k);
      set_value(dlogits, b, scale * weight_at(weights, b, k) * (1.0 / (1.0 + std::exp(-x)) - y), k);
    }
}

void CpuBackend::mse(Tensor losses, const Tensor& predictions, const Tensor& targets) {
  shapes::columns(losses, predictions, targets, "mse");
  const OpScope scope(*this, "mse", 0, 0, {losses});
  for_each_row(losses, predictions, targets, [](double x, double y) { return (x - y) * (x - y); });
}

void CpuBackend::mse_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) {
  shapes::columns(dpredictions, predictions, targets, "mse gradient");
  const OpScope scope(*this, "mse_backward", 0, 0, {dpredictions});
  for_each_row(dpredictions, predictions, targets, [scale](double x, double y) { return scale * 2.0 * (x - y); });
}

void CpuBackend::symmetric_kl(Tensor losses, const Tensor& a, const Tensor& b, LogitLink link) {
  shapes::same(b, a, "b");
  shapes::matrix(losses, a.rows(), 1, "losses");
  const OpScope scope(*this, "symmetric_kl", 0, bytes_of({&a, &b}), {losses});
  std::vector<double> p, q;
  for (std::int64_t r = 0; r < a.rows(); ++r) {
    probabilities(p, a, r, link);
    probabilities(q, b, r, link);
    double sum = 0;
    for (std::size_t k = 0; k < p.size(); ++k) {
      const auto col = static_cast<std::int64_t>(k);
      sum += 0.5 * (p[k] - q[k]) * (static_cast<double>(value_at(a, r, col)) - static_cast<double>(value_at(b, r, col)));
    }
    set_value(losses, r, sum);
  }
}

void CpuBackend::symmetric_kl_backward(Tensor da, Tensor db, const Tensor& a, const Tensor& b, LogitLink link, double scale) {
  for (const Tensor& t : {b, da, db}) shapes::same(t, a, "symmetric_kl_backward");
  const OpScope scope(*this, "symmetric_kl_backward", 0, bytes_of({&a, &b, &da, &db}), {da, db});
  std::vector<double> p, q, gaps(static_cast<std::size_t>(a.cols()));
  for (std::int64_t r = 0; r < a.rows(); ++r) {
    probabilities(p, a, r, link);
    probabilities(q, b, r, link);
    double under_p = 0, under_q = 0;  // means of a - b
    for (std::size_t k = 0; k < gaps.size(); ++k) {
      const auto col = static_cast<std::int64_t>(k);
      gaps[k] = static_cast<double>(value_at(a, r, col)) - static_cast<double>(value_at(b, r, col));
      under_p += p[k] * gaps[k];
      under_q += q[k] * gaps[k];
    }
    for (std::size_t k = 0; k < gaps.size(); ++k) {
      const auto bend = [&](double probability, double mean) {
        return link == LogitLink::kSoftmax ? probability * (gaps[k] - mean) : probability * (1 - probability) * gaps[k];
      };
      const double half = 0.5 * scale, apart = p[k] - q[k];
      set_value(da, r, half * (apart + bend(p[k], under_p)), static_cast<std::int64_t>(k));
      set_value(db, r, -half * (apart + bend(q[k], under_q)), static_cast<std::int64_t>(k));
    }
  }
}

}  // namespace minbert::cpu
#endif  // HWY_ONCE
