// Layer normalisation of the reference.
#include <cmath>

#include "minbert/ops/ref/reference.h"

namespace minbert::ref {

void RefBackend::layernorm(Tensor out, Tensor stats, const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) {
  const std::int64_t N = x.rows(), C = x.cols();
  shapes::matrix(out, N, C, "layernorm: out");
  shapes::optional_matrix(stats, N, 2, "layernorm: stats");
  shapes::matrix(gamma, C, 1, "layernorm: gamma");
  shapes::matrix(beta, C, 1, "layernorm: beta");
  const OpScope scope(*this, "layernorm", 0, bytes_of({out, stats, x, gamma, beta}), {out, stats});
  with_scalar(x, [&]<class S>() {
    const Matrix<S> X(x), g(gamma), b(beta);
    Matrix<S> y(N, C), saved(N, 2);
    for (std::int64_t n = 0; n < N; ++n) {
      S mean = 0, variance = 0;
      for (std::int64_t c = 0; c < C; ++c) mean += X(n, c);
      mean /= static_cast<double>(C);
      for (std::int64_t c = 0; c < C; ++c) variance += (X(n, c) - mean) * (X(n, c) - mean);
      variance /= static_cast<double>(C);
      const S rstd = 1.0 / std::sqrt(variance + eps);
      for (std::int64_t c = 0; c < C; ++c) y(n, c) = (X(n, c) - mean) * rstd * g[c] + b[c];
      saved(n, 0) = mean;
      saved(n, 1) = rstd;
    }
    y.store(out);
    if (stats) saved.store(stats);
  });
}

void RefBackend::layernorm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& x, const Tensor& stats,
                                    const Tensor& gamma) {
  const std::int64_t N = x.rows(), C = x.cols();
  shapes::matrix(dx, N, C, "layernorm_backward: dx");
  shapes::matrix(dy, N, C, "layernorm_backward: dy");
  shapes::matrix(stats, N, 2, "layernorm_backward: stats");
  shapes::matrix(gamma, C, 1, "layernorm_backward: gamma");
  shapes::optional_matrix(dgamma, C, 1, "layernorm_backward: dgamma");
  shapes::optional_matrix(dbeta, C, 1, "layernorm_backward: dbeta");
  const OpScope scope(*this, "layernorm_backward", 0, bytes_of({dx, dgamma, dbeta, dy, x, stats, gamma}), {dx, dgamma, dbeta});
  with_scalar(x, [&]<class S>() {
    const Matrix<S> X(x), dY(dy), saved(stats), g(gamma);
    Matrix<S> dX(N, C), dg(C, 1), db(C, 1);
    for (std::int64_t n = 0; n < N; ++n) {
      const S mean = saved(n, 0), rstd = saved(n, 1);
      // For each row dx = rstd (d - mean(d) - xhat mean(d xhat)), where d = dy gamma.
      S mean_d = 0, mean_d_xhat = 0;
      for (std::int64_t c = 0; c < C; ++c) {
        const S xhat = (X(n, c) - mean) * rstd, d = dY(n, c) * g[c];
        mean_d += d / static_cast<double>(C);
        mean_d_xhat += d * xhat / static_cast<double>(C);
        dg[c] += dY(n, c) * xhat;
        db[c] += dY(n, c);
      }
      for (std::int64_t c = 0; c < C; ++c) {
        const S xhat = (X(n, c) - mean) * rstd;
        dX(n, c) = rstd * (dY(n, c) * g[c] - mean_d - xhat * mean_d_xhat);
      }
    }
    dX.store(dx);
    dg.add_to(dgamma);
    db.add_to(dbeta);
  });
}

}  // namespace minbert::ref
