// LayerNorm, alone and as "add & norm", which does dropout, residual and normalisation in one visit to each row.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "minbert/ops/cpu/cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "minbert/ops/cpu/layernorm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "minbert/ops/cpu/dropout-inl.h"
#include "minbert/ops/cpu/vector-inl.h"

#ifndef MINBERT_OPS_CPU_LAYERNORM_ARGUMENTS_
#define MINBERT_OPS_CPU_LAYERNORM_ARGUMENTS_
namespace minbert::cpu {

struct NormForward {
  Tensor out, sum, stats, x, residual;  // residual is empty for a plain layernorm; sum and stats are empty where not wanted
  const float *gamma, *beta;
  float eps;
  std::span<const RowId> rows;
  Dropout dropout;
};

struct NormBackward {
  Tensor dx, dresidual, dy, x, stats;  // x was normalised; dx is dresidual times the mask, and may be empty
  const float* gamma;
  float* partial;  // (chunks, 2, C): sums for dgamma and dbeta over fixed chunks of rows; null when not wanted
  std::span<const RowId> rows;
  Dropout dropout;
};

/// Rows whose parameter gradients are summed together. It is a function of N alone, so that threads change nothing.
inline std::int64_t norm_chunk_rows(std::int64_t rows) { return std::max<std::int64_t>(8, divide_up(rows, 64)); }

}  // namespace minbert::cpu
#endif  // MINBERT_OPS_CPU_LAYERNORM_ARGUMENTS_

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

template <class T>
HWY_INLINE T* row_of(const Tensor& x, std::int64_t row) {
  return x.data<T>() + row * x.row_stride();
}

/// values = dropout(x) + residual, or x where there is no residual. Stores them to `sum` too if that is wanted. Returns their mean.
template <class T>
HWY_INLINE float gather_row(const NormForward& n, std::int64_t row, float* values, std::size_t width) {
  V total = set(0);
  const T* x = row_of<T>(n.x, row);
  if (!n.residual) {
    for_lanes(width, [&](std::size_t i, auto extent) HWY_ATTR {
      const V value = load(extent, x + i);
      store(value, values + i);
      total = hn::Add(total, value);
    });
  } else {
    const T* residual = row_of<T>(n.residual, row);
    T* sum = n.sum ? row_of<T>(n.sum, row) : nullptr;
    const RowId id = n.dropout ? n.rows[static_cast<std::size_t>(row)] : RowId{};
    for_masked_lanes(n.dropout, id, width, [&](std::size_t i, auto extent, V factor) HWY_ATTR {
      const V value = hn::MulAdd(load(extent, x + i), factor, load(extent, residual + i));
      store(value, values + i);
      if (sum != nullptr) store(extent, value, sum + i);
      total = hn::Add(total, value);
    });
  }
  return sum_lanes(total) / static_cast<float>(width);
}

/// Normalises rows [begin, end). `values` is room for one row, padded to whole vectors. Statistics are of the sum before it
/// is rounded to its dtype.
template <class T>
void norm_forward(const NormForward& n, std::int64_t begin, std::int64_t end, float* values) {
  const auto width = static_cast<std::size_t>(n.x.cols());
  const auto count = static_cast<float>(width);
  for (std::int64_t row = begin; row < end; ++row) {
    const float mean = gather_row<T>(n, row, values, width);
    const V centre = set(mean);
    V squares = set(0), rest = set(0);
    for_lanes(width, [&](std::size_t i, auto extent) HWY_ATTR {
      const V d = fill_rest(extent, hn::Sub(load(values + i), centre), set(0));
      squares = hn::MulAdd(d, d, squares);
      rest = hn::Add(rest, d);
    });
    // The mean of what is left after subtracting the rounded mean. It matters where the mean is large beside the deviation.
    const float left = sum_lanes(rest) / count;
    const float rstd = 1.0f / std::sqrt(sum_lanes(squares) / count - left * left + n.eps);
    const V scale = set(rstd), shift = set(-left * rstd);
    T* out = row_of<T>(n.out, row);
    for_lanes(width, [&](std::size_t i, auto extent) HWY_ATTR {
      const V xhat = hn::MulAdd(hn::Sub(load(values + i), centre), scale, shift);
      store(extent, hn::MulAdd(xhat, load(extent, n.gamma + i), load(extent, n.beta + i)), out + i);
    });
    if (n.stats) {
      float* stats = row_of<float>(n.stats, row);
      stats[0] = mean + left;
      stats[1] = rstd;
    }
  }
}

void norm_forward_rows(const NormForward& n, std::int64_t begin, std::int64_t end, float* values) {
  with_type(n.x.dtype(), [&]<class T>(T) HWY_ATTR { norm_forward<T>(n, begin, end, values); });
}

/// One row of dx = rstd (g - mean(g) - xhat mean(g xhat)) with g = dy gamma. Adds dy xhat to dgamma and dy to dbeta.
template <class T>
HWY_INLINE void norm_backward_row(const NormBackward& n, std::int64_t row, float* dgamma, float* dbeta) {
  const auto width = static_cast<std::size_t>(n.x.cols());
  const T *dy = row_of<T>(n.dy, row), *x = row_of<T>(n.x, row);
  const float* stats = row_of<float>(n.stats, row);
  const V mean = set(stats[0]), rstd = set(stats[1]);
  V sum = set(0), dot = set(0);
  for_lanes(width, [&](std::size_t i, auto extent) HWY_ATTR {
    const V d = load(extent, dy + i), xhat = hn::Mul(hn::Sub(load(extent, x + i), mean), rstd);
    const V g = hn::Mul(d, load(extent, n.gamma + i));
    sum = hn::Add(sum, g);
    dot = hn::MulAdd(g, xhat, dot);
    if (dgamma != nullptr) {
      store(extent, hn::MulAdd(d, xhat, load(extent, dgamma + i)), dgamma + i);
      store(extent, hn::Add(d, load(extent, dbeta + i)), dbeta + i);
    }
  });
  const auto count = static_cast<float>(width);
  const V mean_g = set(sum_lanes(sum) / count), mean_dot = set(sum_lanes(dot) / count);
  T* dresidual = row_of<T>(n.dresidual, row);
  T* dx = n.dx ? row_of<T>(n.dx, row) : nullptr;
  const RowId id = n.dropout ? n.rows[static_cast<std::size_t>(row)] : RowId{};
  for_masked_lanes(dx != nullptr ? n.dropout : Dropout{}, id, width, [&](std::size_t i, auto extent, V factor) HWY_ATTR {
    const V xhat = hn::Mul(hn::Sub(load(extent, x + i), mean), rstd);
    const V g = hn::Mul(load(extent, dy + i), load(extent, n.gamma + i));
    const V d = hn::Mul(rstd, hn::NegMulAdd(xhat, mean_dot, hn::Sub(g, mean_g)));
    store(extent, d, dresidual + i);
    if (dx != nullptr) store(extent, hn::Mul(d, factor), dx + i);
  });
}

void norm_backward_chunk(const NormBackward& n, std::int64_t chunk) {
  const std::int64_t rows = n.x.rows(), width = n.x.cols(), step = norm_chunk_rows(rows);
  float* dgamma = n.partial != nullptr ? n.partial + chunk * 2 * width : nullptr;
  float* dbeta = n.partial != nullptr ? dgamma + width : nullptr;
  if (dgamma != nullptr) std::memset(dgamma, 0, static_cast<std::size_t>(2 * width) * sizeof(float));
  with_type(n.x.dtype(), [&]<class T>(T) HWY_ATTR {
    for (std::int64_t row = chunk * step; row < std::min(rows, (chunk + 1) * step); ++row) norm_backward_row<T>(n, row, dgamma, dbeta);
  });
}

/// out[begin, end) += the sum over chunks, in order, of partial (chunks, stride).
void add_partials(float* out, const float* partial, std::int64_t chunks, std::int64_t stride, std::int64_t begin, std::int64_t end) {
  for_lanes(static_cast<std::size_t>(end - begin), [&](std::size_t i, auto extent) HWY_ATTR {
    V sum = set(0);
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk)
      sum = hn::Add(sum, load(extent, partial + chunk * stride + begin + static_cast<std::int64_t>(i)));
    float* p = out + begin + i;
    store(extent, hn::Add(load(extent, p), sum), p);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace minbert::cpu {

HWY_EXPORT(norm_forward_rows);
HWY_EXPORT(norm_backward_chunk);
HWY_EXPORT(add_partials);

namespace {

void check_forward(const NormForward& n, const Tensor& gamma, const Tensor& beta) {
  shapes::same(n.out, n.x, "layernorm");
  shapes::optional_matrix(n.sum, n.x.rows(), n.x.cols(), "layernorm sum");
  shapes::optional_matrix(n.residual, n.x.rows(), n.x.cols(), "layernorm residual");
  shapes::optional_matrix(n.stats, n.x.rows(), 2, "layernorm stats");
  shapes::matrix(gamma, n.x.cols(), 1, "gamma");
  shapes::matrix(beta, n.x.cols(), 1, "beta");
  shapes::rows(n.rows, n.x.rows(), n.dropout);
}

void forward(const NormForward& n, Scratch& scratch) {
  const std::int64_t padded = round_up(n.x.cols() + 16, 16);
  float* values = scratch.get<float>(num_threads() * padded);
  for_ranges_by_thread(n.x.rows(), rows_in_grain(n.x.cols()), [&](std::int64_t thread, std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(norm_forward_rows)(n, begin, end, values + thread * padded);
  });
}

void backward(NormBackward n, Tensor& dgamma, Tensor& dbeta, const Tensor& gamma, Scratch& scratch) {
  const std::int64_t rows = n.x.rows(), width = n.x.cols();
  for (const Tensor* t : {&n.dresidual, &n.dy}) shapes::same(*t, n.x, "layernorm gradient");
  shapes::optional_matrix(n.dx, rows, width, "layernorm gradient");
  shapes::matrix(n.stats, rows, 2, "layernorm stats");
  shapes::matrix(gamma, width, 1, "gamma");
  shapes::optional_matrix(dgamma, width, 1, "dgamma");
  shapes::optional_matrix(dbeta, width, 1, "dbeta");
  shapes::rows(n.rows, rows, n.dropout);
  const std::int64_t step = norm_chunk_rows(rows), chunks = divide_up(rows, step);
  n.partial = dgamma || dbeta ? scratch.get<float>(chunks * 2 * width) : nullptr;
  for_ranges(chunks, std::max<std::int64_t>(1, kGrain / (step * std::max<std::int64_t>(1, width))),
             [&](std::int64_t begin, std::int64_t end) {
               for (std::int64_t chunk = begin; chunk < end; ++chunk) HWY_DYNAMIC_DISPATCH(norm_backward_chunk)(n, chunk);
             });
  for_rows(width, 2 * chunks, [&](std::int64_t begin, std::int64_t end) {
    if (dgamma) HWY_DYNAMIC_DISPATCH(add_partials)(dgamma.data<float>(), n.partial, chunks, 2 * width, begin, end);
    if (dbeta) HWY_DYNAMIC_DISPATCH(add_partials)(dbeta.data<float>(), n.partial + width, chunks, 2 * width, begin, end);
  });
}

}  // namespace

void CpuBackend::layernorm(Tensor out, Tensor stats, const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  const NormForward n{.out = out,
                      .sum = {},
                      .stats = stats,
                      .x = x,
                      .residual = {},
                      .gamma = gamma.data<float>(),
                      .beta = beta.data<float>(),
                      .eps = static_cast<float>(eps),
                      .rows = {},
                      .dropout = {}};
  check_forward(n, gamma, beta);
  const OpScope scope(*this, "layernorm", 8.0 * static_cast<double>(x.numel()), bytes_of({&out, &x}), {out});
  forward(n, scratch_);
}

void CpuBackend::layernorm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& x, const Tensor& stats,
                                    const Tensor& gamma) {
  const OpScope scope(*this, "layernorm_backward", 14.0 * static_cast<double>(x.numel()), bytes_of({&dx, &dy, &x}), {dx, dgamma, dbeta});
  backward({.dx = {},
            .dresidual = dx,
            .dy = dy,
            .x = x,
            .stats = stats,
            .gamma = gamma.data<float>(),
            .partial = nullptr,
            .rows = {},
            .dropout = {}},
           dgamma, dbeta, gamma, scratch_);
}

void CpuBackend::dropout_add_layernorm(Tensor out, Tensor sum, Tensor stats, const Tensor& x, const Tensor& residual, const Tensor& gamma,
                                       const Tensor& beta, double eps, RowIds rows, const Dropout& dropout) {
  const NormForward n{.out = out,
                      .sum = sum,
                      .stats = stats,
                      .x = x,
                      .residual = residual,
                      .gamma = gamma.data<float>(),
                      .beta = beta.data<float>(),
                      .eps = static_cast<float>(eps),
                      .rows = rows.host,
                      .dropout = dropout};
  check_forward(n, gamma, beta);
  const OpScope scope(*this, "dropout_add_layernorm", 10.0 * static_cast<double>(x.numel()), bytes_of({&out, &sum, &x, &residual}),
                      {out, sum});
  forward(n, scratch_);
}

void CpuBackend::dropout_add_layernorm_backward(Tensor dx, Tensor dresidual, Tensor dgamma, Tensor dbeta, const Tensor& dy,
                                                const Tensor& sum, const Tensor& stats, const Tensor& gamma, RowIds rows,
                                                const Dropout& dropout) {
  const OpScope scope(*this, "dropout_add_layernorm_backward", 15.0 * static_cast<double>(sum.numel()),
                      bytes_of({&dx, &dresidual, &dy, &sum}), {dx, dresidual, dgamma, dbeta});
  backward({.dx = dx,
            .dresidual = dresidual,
            .dy = dy,
            .x = sum,
            .stats = stats,
            .gamma = gamma.data<float>(),
            .partial = nullptr,
            .rows = rows.host,
            .dropout = dropout},
           dgamma, dbeta, gamma, scratch_);
}

}  // namespace minbert::cpu
#endif  // HWY_ONCE
