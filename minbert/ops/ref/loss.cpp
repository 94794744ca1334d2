// Losses of the reference, one value for each row.
#include <algorithm>
#include <cmath>

#include "minbert/ops/ref/reference.h"

namespace minbert::ref {
namespace {

void check_labels(Indices labels, const Tensor& logits, const char* what) {
  MINBERT_CHECK(std::ssize(labels.host) == logits.rows(), "{}: {} labels for {}", what, labels.host.size(), logits.describe());
  shapes::indices(labels.host, logits.cols(), what);
}

template <class S>
double highest(const Matrix<S>& x, std::int64_t row) {
  double top = -INFINITY;
  for (std::int64_t c = 0; c < x.cols(); ++c) top = std::max(top, std::real(x(row, c)));
  return top;
}

template <class S>
S log_sum_exp(const Matrix<S>& x, std::int64_t row) {
  const double top = highest(x, row);
  S sum = 0;
  for (std::int64_t c = 0; c < x.cols(); ++c) sum += std::exp(x(row, c) - top);
  return top + std::log(sum);
}

void check_bce(const Tensor& logits, const Tensor& targets, const Tensor& weights, const char* what) {
  shapes::matrix(targets, logits.rows(), logits.cols(), what);
  shapes::optional_matrix(weights, logits.rows(), logits.cols(), what);
}

template <class S>
Matrix<S> weights_or_ones(const Tensor& logits, const Tensor& weights) {
  if (weights) return Matrix<S>(weights);
  Matrix<S> ones(logits.rows(), logits.cols());
  for (std::int64_t i = 0; i < logits.rows() * logits.cols(); ++i) ones[i] = 1;
  return ones;
}

// out[b] = fn(x[b], y[b]) over columns of numbers.
template <class Fn>
void map_pairs(const Tensor& out, const Tensor& x, const Tensor& y, const Fn& fn) {
  with_scalar(x, [&]<class S>() {
    const Matrix<S> X(x), Y(y);
    Matrix<S> result(x.rows(), 1);
    for (std::int64_t b = 0; b < x.rows(); ++b) result[b] = fn(X[b], Y[b]);
    result.store(out);
  });
}

/// The probabilities of logits.
template <class S>
Matrix<S> probabilities(const Matrix<S>& x, LogitLink link) {
  Matrix<S> p(x.rows(), x.cols());
  for (std::int64_t b = 0; b < x.rows(); ++b) {
    const S total = link == LogitLink::kSoftmax ? log_sum_exp(x, b) : S(0);
    for (std::int64_t k = 0; k < x.cols(); ++k) p(b, k) = link == LogitLink::kSoftmax ? std::exp(x(b, k) - total) : sigmoid(x(b, k));
  }
  return p;
}

/// The derivative of half the sum of (p - q) (a - b) by a; that by b follows when the two change places.
template <class S>
Matrix<S> symmetric_kl_gradient(const Matrix<S>& a, const Matrix<S>& b, LogitLink link, double scale) {
  const Matrix<S> p = probabilities(a, link), q = probabilities(b, link);
  Matrix<S> da(a.rows(), a.cols());
  for (std::int64_t r = 0; r < a.rows(); ++r) {
    S mean = 0;  // of a - b under p
    for (std::int64_t k = 0; k < a.cols(); ++k) mean += p(r, k) * (a(r, k) - b(r, k));
    for (std::int64_t k = 0; k < a.cols(); ++k) {
      const S gap = a(r, k) - b(r, k), bend = link == LogitLink::kSoftmax ? p(r, k) * (gap - mean) : p(r, k) * (1.0 - p(r, k)) * gap;
      da(r, k) = 0.5 * scale * (p(r, k) - q(r, k) + bend);
    }
  }
  return da;
}

}  // namespace

void RefBackend::cross_entropy(Tensor losses, const Tensor& logits, Indices labels) {
  check_labels(labels, logits, "cross_entropy");
  shapes::matrix(losses, logits.rows(), 1, "cross_entropy: losses");
  const OpScope scope(*this, "cross_entropy", 0, bytes_of({losses, logits}), {losses});
  with_scalar(logits, [&]<class S>() {
    const Matrix<S> x(logits);
    Matrix<S> loss(x.rows(), 1);
    for (std::int64_t b = 0; b < x.rows(); ++b) loss[b] = log_sum_exp(x, b) - x(b, labels.host[b]);
    loss.store(losses);
  });
}

void RefBackend::cross_entropy_backward(Tensor dlogits, const Tensor& logits, Indices labels, double scale) {
  check_labels(labels, logits, "cross_entropy_backward");
  shapes::same(dlogits, logits, "cross_entropy_backward: dlogits");
  const OpScope scope(*this, "cross_entropy_backward", 0, bytes_of({dlogits, logits}), {dlogits});
  with_scalar(logits, [&]<class S>() {
    const Matrix<S> x(logits);
    Matrix<S> dx(x.rows(), x.cols());
    for (std::int64_t b = 0; b < x.rows(); ++b) {
      const S total = log_sum_exp(x, b);
      for (std::int64_t k = 0; k < x.cols(); ++k) dx(b, k) = scale * (std::exp(x(b, k) - total) - (k == labels.host[b] ? 1.0 : 0.0));
    }
    dx.store(dlogits);
  });
}

void RefBackend::soft_cross_entropy(Tensor losses, const Tensor& logits, const Tensor& targets) {
  shapes::matrix(targets, logits.rows(), logits.cols(), "soft_cross_entropy: targets");
  shapes::matrix(losses, logits.rows(), 1, "soft_cross_entropy: losses");
  const OpScope scope(*this, "soft_cross_entropy", 0, bytes_of({losses, logits, targets}), {losses});
  with_scalar(logits, [&]<class S>() {
    const Matrix<S> x(logits), y(targets);
    Matrix<S> loss(x.rows(), 1);
    for (std::int64_t b = 0; b < x.rows(); ++b) {
      const S total = log_sum_exp(x, b);
      loss[b] = 0;
      for (std::int64_t k = 0; k < x.cols(); ++k) loss[b] += y(b, k) * (total - x(b, k));
    }
    loss.store(losses);
  });
}

void RefBackend::soft_cross_entropy_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, double scale) {
  shapes::matrix(targets, logits.rows(), logits.cols(), "soft_cross_entropy_backward: targets");
  shapes::same(dlogits, logits, "soft_cross_entropy_backward: dlogits");
  const OpScope scope(*this, "soft_cross_entropy_backward", 0, bytes_of({dlogits, logits, targets}), {dlogits});
  with_scalar(logits, [&]<class S>() {
    const Matrix<S> x(logits), y(targets);
    Matrix<S> dx(x.rows(), x.cols());
    for (std::int64_t b = 0; b < x.rows(); ++b) {
      const S total = log_sum_exp(x, b);
      S sum = 0;
      for (std::int64_t k = 0; k < x.cols(); ++k) sum += y(b, k);
      for (std::int64_t k = 0; k < x.cols(); ++k) dx(b, k) = scale * (sum * std::exp(x(b, k) - total) - y(b, k));
    }
    dx.store(dlogits);
  });
}

void RefBackend::bce_with_logits(Tensor losses, const Tensor& logits, const Tensor& targets, const Tensor& weights) {
  check_bce(logits, targets, weights, "bce_with_logits");
  shapes::matrix(losses, logits.rows(), 1, "bce_with_logits: losses");
  const OpScope scope(*this, "bce_with_logits", 0, bytes_of({losses, logits, targets}), {losses});
  with_scalar(logits, [&]<class S>() {
    const Matrix<S> X(logits), Y(targets), W = weights_or_ones<S>(logits, weights);
    Matrix<S> loss(X.rows(), 1);
    for (std::int64_t b = 0; b < X.rows(); ++b) {
      loss[b] = 0;
      for (std::int64_t k = 0; k < X.cols(); ++k) {
        const S x = X(b, k), y = Y(b, k);
        loss[b] += W(b, k) * (positive_part(x) - x * y + log1p(std::exp(-absolute(x))));
      }
    }
    loss.store(losses);
  });
}

void RefBackend::bce_with_logits_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, const Tensor& weights,
                                          double scale) {
  check_bce(logits, targets, weights, "bce_with_logits_backward");
  shapes::same(dlogits, logits, "bce_with_logits_backward: dlogits");
  const OpScope scope(*this, "bce_with_logits_backward", 0, bytes_of({dlogits, logits, targets}), {dlogits});
  with_scalar(logits, [&]<class S>() {
    const Matrix<S> x(logits), y(targets), w = weights_or_ones<S>(logits, weights);
    Matrix<S> dx(x.rows(), x.cols());
    for (std::int64_t i = 0; i < x.rows() * x.cols(); ++i) dx[i] = scale * w[i] * (sigmoid(x[i]) - y[i]);
    dx.store(dlogits);
  });
}

void RefBackend::mse(Tensor losses, const Tensor& predictions, const Tensor& targets) {
  shapes::columns(losses, predictions, targets, "mse");
  const OpScope scope(*this, "mse", 0, bytes_of({losses, predictions, targets}), {losses});
  map_pairs(losses, predictions, targets, [](auto x, auto y) { return (x - y) * (x - y); });
}

void RefBackend::mse_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) {
  shapes::columns(dpredictions, predictions, targets, "mse_backward");
  const OpScope scope(*this, "mse_backward", 0, bytes_of({dpredictions, predictions, targets}), {dpredictions});
  map_pairs(dpredictions, predictions, targets, [scale](auto x, auto y) { return 2 * scale * (x - y); });
}

void RefBackend::symmetric_kl(Tensor losses, const Tensor& a, const Tensor& b, LogitLink link) {
  shapes::same(b, a, "symmetric_kl: b");
  shapes::matrix(losses, a.rows(), 1, "symmetric_kl: losses");
  const OpScope scope(*this, "symmetric_kl", 0, bytes_of({losses, a, b}), {losses});
  with_scalar(a, [&]<class S>() {
    const Matrix<S> x(a), y(b), p = probabilities(x, link), q = probabilities(y, link);
    Matrix<S> loss(x.rows(), 1);
    for (std::int64_t r = 0; r < x.rows(); ++r) {
      loss[r] = 0;
      for (std::int64_t k = 0; k < x.cols(); ++k) loss[r] += 0.5 * (p(r, k) - q(r, k)) * (x(r, k) - y(r, k));
    }
    loss.store(losses);
  });
}

void RefBackend::symmetric_kl_backward(Tensor da, Tensor db, const Tensor& a, const Tensor& b, LogitLink link, double scale) {
  shapes::same(b, a, "symmetric_kl_backward: b");
  shapes::same(da, a, "symmetric_kl_backward: da");
  shapes::same(db, a, "symmetric_kl_backward: db");
  const OpScope scope(*this, "symmetric_kl_backward", 0, bytes_of({da, db, a, b}), {da, db});
  with_scalar(a, [&]<class S>() {
    const Matrix<S> x(a), y(b);
    symmetric_kl_gradient(x, y, link, scale).store(da);
    symmetric_kl_gradient(y, x, link, scale).store(db);
  });
}

}  // namespace minbert::ref
