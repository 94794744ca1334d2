// Rows, pooling and pairs: small work on sentence vectors, in plain loops; products of vectors are summed in double.
#include <algorithm>
#include <cmath>

#include "minbert/ops/cpu/cpu.h"

namespace minbert::cpu {
namespace {

template <class T>
T* row_of(const Tensor& x, std::int64_t row) {
  return x.data<T>() + row * x.row_stride();
}

void check_segments(const Tensor& pooled, const Tensor& x, std::span<const std::int32_t> offsets) {
  shapes::offsets(offsets, x.rows(), "mean_pool");
  shapes::matrix(pooled, std::ssize(offsets) - 1, x.cols(), "mean_pool");
}

void check_pair(const Tensor& features, const Tensor& u, const Tensor& v, PairTerms terms) {
  shapes::same(u, v, "pair_features");
  shapes::matrix(features, u.rows(), pair_parts(terms) * u.cols(), "pair_features");
}

/// u.v, |u| and |v| of one row, for cosine and its backward.
struct Products {
  double dot = 0, u_norm = 0, v_norm = 0;
};
template <class T>
Products products(const T* u, const T* v, std::int64_t n) {
  double dot = 0, uu = 0, vv = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double a = static_cast<float>(u[i]), b = static_cast<float>(v[i]);
    dot += a * b;
    uu += a * a;
    vv += b * b;
  }
  return {dot, std::sqrt(uu), std::sqrt(vv)};
}

}  // namespace

void CpuBackend::gather_rows(Tensor out, const Tensor& x, Indices rows) {
  shapes::indices(rows.host, x.rows(), "gather_rows");
  shapes::matrix(out, std::ssize(rows.host), x.cols(), "gather_rows");
  const OpScope scope(*this, "gather_rows", 0, 2.0 * bytes_of({&out}), {out});
  with_type(x.dtype(), [&]<class In>(In) {
    with_type(out.dtype(), [&]<class Out>(Out) {
      for (std::int64_t m = 0; m < out.rows(); ++m) {
        const In* p = row_of<In>(x, rows.host[static_cast<std::size_t>(m)]);
        Out* o = row_of<Out>(out, m);
        for (std::int64_t i = 0; i < x.cols(); ++i) o[i] = Out(static_cast<float>(p[i]));
      }
    });
  });
}

void CpuBackend::gather_rows_backward(Tensor dx, const Tensor& dy, Indices rows) {
  shapes::indices(rows.host, dx.rows(), "gather_rows gradient");
  shapes::matrix(dy, std::ssize(rows.host), dx.cols(), "gather_rows gradient");
  zero(dx);
  const OpScope scope(*this, "gather_rows_backward", 0, 2.0 * bytes_of({&dy}), {dx});
  with_type(dy.dtype(), [&]<class In>(In) {
    with_type(dx.dtype(), [&]<class Out>(Out) {
      for (std::int64_t m = 0; m < dy.rows(); ++m) {
        const In* d = row_of<In>(dy, m);
        Out* o = row_of<Out>(dx, rows.host[static_cast<std::size_t>(m)]);
        for (std::int64_t i = 0; i < dx.cols(); ++i) o[i] = Out(static_cast<float>(o[i]) + static_cast<float>(d[i]));
      }
    });
  });
}

void CpuBackend::mean_pool(Tensor out, const Tensor& x, Indices offsets) {
  check_segments(out, x, offsets.host);
  const OpScope scope(*this, "mean_pool", static_cast<double>(x.numel()), bytes_of({&out, &x}), {out});
  with_type(x.dtype(), [&]<class In>(In) {
    with_type(out.dtype(), [&]<class Out>(Out) {
      for_ranges(out.rows(), 1, [&](std::int64_t begin, std::int64_t end) {
        constexpr std::int64_t kBlock = 64;  // columns that are summed together, in registers
        for (std::int64_t b = begin; b < end; ++b) {
          const std::int64_t first = offsets.host[static_cast<std::size_t>(b)], last = offsets.host[static_cast<std::size_t>(b) + 1];
          const float inverse = last > first ? 1.0f / static_cast<float>(last - first) : 0.0f;
          for (std::int64_t c = 0; c < x.cols(); c += kBlock) {
            const std::int64_t width = std::min(kBlock, x.cols() - c);
            float sums[kBlock] = {};
            for (std::int64_t n = first; n < last; ++n)
              for (std::int64_t i = 0; i < width; ++i) sums[i] += static_cast<float>(row_of<In>(x, n)[c + i]);
            for (std::int64_t i = 0; i < width; ++i) row_of<Out>(out, b)[c + i] = Out(sums[i] * inverse);
          }
        }
      });
    });
  });
}

void CpuBackend::mean_pool_backward(Tensor dx, const Tensor& dy, Indices offsets) {
  check_segments(dy, dx, offsets.host);
  const OpScope scope(*this, "mean_pool_backward", static_cast<double>(dx.numel()), bytes_of({&dx, &dy}), {dx});
  with_type(dy.dtype(), [&]<class In>(In) {
    with_type(dx.dtype(), [&]<class Out>(Out) {
      for_ranges(dy.rows(), 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t b = begin; b < end; ++b) {
          const std::int64_t first = offsets.host[static_cast<std::size_t>(b)], last = offsets.host[static_cast<std::size_t>(b) + 1];
          const float inverse = last > first ? 1.0f / static_cast<float>(last - first) : 0.0f;
          for (std::int64_t n = first; n < last; ++n)
            for (std::int64_t i = 0; i < dx.cols(); ++i) row_of<Out>(dx, n)[i] = Out(static_cast<float>(row_of<In>(dy, b)[i]) * inverse);
        }
      });
    });
  });
}

void CpuBackend::pair_features(Tensor out, const Tensor& u, const Tensor& v, PairTerms terms) {
  check_pair(out, u, v, terms);
  const OpScope scope(*this, "pair_features", 0, bytes_of({&out, &u, &v}), {out});
  const std::int64_t width = u.cols();
  with_type(u.dtype(), [&]<class T>(T) {
    for (std::int64_t b = 0; b < u.rows(); ++b) {
      const T *p = row_of<T>(u, b), *q = row_of<T>(v, b);
      T* o = row_of<T>(out, b);
      if (terms != PairTerms::kComparison) {
        o = std::copy(p, p + width, o);
        o = std::copy(q, q + width, o);
      }
      if (terms == PairTerms::kBoth) continue;
      for (std::int64_t i = 0; i < width; ++i) o[i] = T(std::abs(static_cast<float>(p[i]) - static_cast<float>(q[i])));
      if (terms != PairTerms::kComparison) continue;
      for (std::int64_t i = 0; i < width; ++i) o[width + i] = T(static_cast<float>(p[i]) * static_cast<float>(q[i]));
    }
  });
}

void CpuBackend::pair_features_backward(Tensor du, Tensor dv, const Tensor& dy, const Tensor& u, const Tensor& v, PairTerms terms) {
  check_pair(dy, u, v, terms);
  for (const Tensor& t : {du, dv}) shapes::same(t, u, "pair_features gradient");
  const OpScope scope(*this, "pair_features_backward", 0, bytes_of({&du, &dv, &dy, &u, &v}), {du, dv});
  const std::int64_t width = u.cols();
  with_type(u.dtype(), [&]<class T>(T) {
    for (std::int64_t b = 0; b < u.rows(); ++b) {
      const T *p = row_of<T>(u, b), *q = row_of<T>(v, b), *d = row_of<T>(dy, b);
      T *a = row_of<T>(du, b), *c = row_of<T>(dv, b);
      const T* of_difference = terms == PairTerms::kComparison ? d : d + 2 * width;
      for (std::int64_t i = 0; i < width; ++i) {
        const float left = static_cast<float>(p[i]), right = static_cast<float>(q[i]);
        const float sign = static_cast<float>(left > right) - static_cast<float>(left < right);
        const float g = terms == PairTerms::kBoth ? 0.0f : sign * static_cast<float>(of_difference[i]);
        if (terms == PairTerms::kComparison) {
          const float product = static_cast<float>(d[width + i]);
          a[i] = T(product * right + g);
          c[i] = T(product * left - g);
        } else {
          a[i] = T(static_cast<float>(d[i]) + g);
          c[i] = T(static_cast<float>(d[width + i]) - g);
        }
      }
    }
  });
}

void CpuBackend::cosine(Tensor out, const Tensor& u, const Tensor& v) {
  shapes::same(u, v, "cosine");
  shapes::matrix(out, u.rows(), 1, "cosine");
  const OpScope scope(*this, "cosine", 6.0 * static_cast<double>(u.numel()), bytes_of({&u, &v}), {out});
  with_type(u.dtype(), [&]<class In>(In) {
    with_type(out.dtype(), [&]<class Out>(Out) {
      for (std::int64_t b = 0; b < u.rows(); ++b) {
        const Products p = products(row_of<In>(u, b), row_of<In>(v, b), u.cols());
        *row_of<Out>(out, b) = Out(static_cast<float>(p.dot / std::max(p.u_norm * p.v_norm, kCosineFloor)));
      }
    });
  });
}

void CpuBackend::cosine_backward(Tensor du, Tensor dv, const Tensor& dy, const Tensor& u, const Tensor& v) {
  for (const Tensor& t : {du, dv, v}) shapes::same(t, u, "cosine gradient");
  shapes::matrix(dy, u.rows(), 1, "cosine gradient");
  const OpScope scope(*this, "cosine_backward", 12.0 * static_cast<double>(u.numel()), bytes_of({&du, &dv, &u, &v}), {du, dv});
  with_type(u.dtype(), [&]<class T>(T) {
    with_type(dy.dtype(), [&]<class D>(D) {
      for (std::int64_t b = 0; b < u.rows(); ++b) {
        const T *p = row_of<T>(u, b), *q = row_of<T>(v, b);
        T *a = row_of<T>(du, b), *c = row_of<T>(dv, b);
        const Products at = products(p, q, u.cols());
        const double d = static_cast<float>(*row_of<D>(dy, b));
        // Above the floor d cos / du = v / (|u||v|) - cos u / |u|^2; below it the denominator is a constant.
        const double product = at.u_norm * at.v_norm;
        const bool floored = product <= kCosineFloor;
        const double cross = d / std::max(product, kCosineFloor), cosine = at.dot / std::max(product, kCosineFloor);
        const double u_rate = floored ? 0.0 : d * cosine / (at.u_norm * at.u_norm),
                     v_rate = floored ? 0.0 : d * cosine / (at.v_norm * at.v_norm);
        for (std::int64_t i = 0; i < u.cols(); ++i) {
          const double x = static_cast<float>(p[i]), y = static_cast<float>(q[i]);
          a[i] = T(static_cast<float>(cross * y - u_rate * x));
          c[i] = T(static_cast<float>(cross * x - v_rate * y));
        }
      }
    });
  });
}

}  // namespace minbert::cpu
