// Sentence vectors and pairs of them, in the reference.
#include <cmath>

#include "minbert/ops/ref/reference.h"

namespace minbert::ref {
namespace {

template <class S>
S dot_rows(const Matrix<S>& a, const Matrix<S>& b, std::int64_t row) {
  S sum = 0;
  for (std::int64_t c = 0; c < a.cols(); ++c) sum += a(row, c) * b(row, c);
  return sum;
}

}  // namespace

void RefBackend::mean_pool(Tensor out, const Tensor& x, Indices offsets) {
  shapes::offsets(offsets.host, x.rows(), "mean_pool");
  shapes::matrix(out, std::ssize(offsets.host) - 1, x.cols(), "mean_pool: out");
  const OpScope scope(*this, "mean_pool", 0, bytes_of({out, x}), {out});
  with_scalar(x, [&]<class S>() {
    const Matrix<S> X(x);
    Matrix<S> y(out.rows(), out.cols());
    for (std::int64_t b = 0; b < y.rows(); ++b)
      for (std::int64_t n = offsets.host[b]; n < offsets.host[b + 1]; ++n)
        for (std::int64_t c = 0; c < y.cols(); ++c) y(b, c) += X(n, c) / static_cast<double>(offsets.host[b + 1] - offsets.host[b]);
    y.store(out);
  });
}

void RefBackend::mean_pool_backward(Tensor dx, const Tensor& dy, Indices offsets) {
  shapes::offsets(offsets.host, dx.rows(), "mean_pool_backward");
  shapes::matrix(dy, std::ssize(offsets.host) - 1, dx.cols(), "mean_pool_backward: dy");
  const OpScope scope(*this, "mean_pool_backward", 0, bytes_of({dx, dy}), {dx});
  with_scalar(dy, [&]<class S>() {
    const Matrix<S> dY(dy);
    Matrix<S> dX(dx.rows(), dx.cols());
    for (std::int64_t b = 0; b < dY.rows(); ++b)
      for (std::int64_t n = offsets.host[b]; n < offsets.host[b + 1]; ++n)
        for (std::int64_t c = 0; c < dY.cols(); ++c) dX(n, c) = dY(b, c) / static_cast<double>(offsets.host[b + 1] - offsets.host[b]);
    dX.store(dx);
  });
}

void RefBackend::pair_features(Tensor out, const Tensor& u, const Tensor& v, PairTerms terms) {
  const std::int64_t B = u.rows(), C = u.cols();
  shapes::same(u, v, "pair_features");
  shapes::matrix(out, B, pair_parts(terms) * C, "pair_features: out");
  const OpScope scope(*this, "pair_features", 0, bytes_of({out, u, v}), {out});
  with_scalar(u, [&]<class S>() {
    const Matrix<S> U(u), V(v);
    Matrix<S> y(B, out.cols());
    for (std::int64_t b = 0; b < B; ++b)
      for (std::int64_t c = 0; c < C; ++c) {
        const S difference = absolute(U(b, c) - V(b, c));
        const bool compares = terms == PairTerms::kComparison;
        y(b, c) = compares ? difference : U(b, c);
        y(b, C + c) = compares ? U(b, c) * V(b, c) : V(b, c);
        if (terms == PairTerms::kBothAndDifference) y(b, 2 * C + c) = difference;
      }
    y.store(out);
  });
}

void RefBackend::pair_features_backward(Tensor du, Tensor dv, const Tensor& dy, const Tensor& u, const Tensor& v, PairTerms terms) {
  const std::int64_t B = u.rows(), C = u.cols();
  shapes::same(u, v, "pair_features_backward");
  shapes::same(du, u, "pair_features_backward: du");
  shapes::same(dv, v, "pair_features_backward: dv");
  shapes::matrix(dy, B, pair_parts(terms) * C, "pair_features_backward: dy");
  const OpScope scope(*this, "pair_features_backward", 0, bytes_of({du, dv, dy, u, v}), {du, dv});
  with_scalar(u, [&]<class S>() {
    const Matrix<S> U(u), V(v), dY(dy);
    Matrix<S> dU(B, C), dV(B, C);
    for (std::int64_t b = 0; b < B; ++b)
      for (std::int64_t c = 0; c < C; ++c) {
        const bool compares = terms == PairTerms::kComparison;
        const S difference = terms == PairTerms::kBoth ? S(0) : sign(U(b, c) - V(b, c)) * dY(b, compares ? c : 2 * C + c);
        dU(b, c) = (compares ? V(b, c) * dY(b, C + c) : dY(b, c)) + difference;
        dV(b, c) = (compares ? U(b, c) * dY(b, C + c) : dY(b, C + c)) - difference;
      }
    dU.store(du);
    dV.store(dv);
  });
}

void RefBackend::cosine(Tensor out, const Tensor& u, const Tensor& v) {
  shapes::same(u, v, "cosine");
  shapes::matrix(out, u.rows(), 1, "cosine: out");
  const OpScope scope(*this, "cosine", 0, bytes_of({out, u, v}), {out});
  with_scalar(u, [&]<class S>() {
    const Matrix<S> U(u), V(v);
    Matrix<S> y(u.rows(), 1);
    for (std::int64_t b = 0; b < y.rows(); ++b) {
      const S norms = std::sqrt(dot_rows(U, U, b)) * std::sqrt(dot_rows(V, V, b));
      y[b] = dot_rows(U, V, b) / (std::real(norms) > kCosineFloor ? norms : kCosineFloor);
    }
    y.store(out);
  });
}

void RefBackend::cosine_backward(Tensor du, Tensor dv, const Tensor& dy, const Tensor& u, const Tensor& v) {
  const std::int64_t B = u.rows(), C = u.cols();
  shapes::same(u, v, "cosine_backward");
  shapes::same(du, u, "cosine_backward: du");
  shapes::same(dv, v, "cosine_backward: dv");
  shapes::matrix(dy, B, 1, "cosine_backward: dy");
  const OpScope scope(*this, "cosine_backward", 0, bytes_of({du, dv, dy, u, v}), {du, dv});
  with_scalar(u, [&]<class S>() {
    const Matrix<S> U(u), V(v), dY(dy);
    Matrix<S> dU(B, C), dV(B, C);
    for (std::int64_t b = 0; b < B; ++b) {
      const S uu = dot_rows(U, U, b), vv = dot_rows(V, V, b), norms = std::sqrt(uu) * std::sqrt(vv);
      const bool clamped = !(std::real(norms) > kCosineFloor);  // then the denominator is constant
      const S scale = dY[b] / (clamped ? kCosineFloor : norms);
      const S cosine = clamped ? 0 : dot_rows(U, V, b) / norms;
      for (std::int64_t c = 0; c < C; ++c) {
        dU(b, c) = scale * V(b, c);
        dV(b, c) = scale * U(b, c);
        if (clamped) continue;
        dU(b, c) -= dY[b] * cosine * U(b, c) / uu;
        dV(b, c) -= dY[b] * cosine * V(b, c) / vv;
      }
    }
    dU.store(du);
    dV.store(dv);
  });
}

}  // namespace minbert::ref
