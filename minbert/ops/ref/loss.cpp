// Losses of the reference, one value a row.
#include <algorithm>

#include "minbert/ops/ref/reference.h"

namespace minbert::ref {
namespace {

void check_labels(Indices labels, const Tensor& logits, const char* what) {
  MINBERT_CHECK(std::ssize(labels) == logits.rows(), "{}: {} labels for {}", what, labels.size(), logits.describe());
  shapes::indices(labels, logits.cols(), what);
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

}  // namespace

void RefBackend::cross_entropy(Tensor losses, const Tensor& logits, Indices labels) {
  check_labels(labels, logits, "cross_entropy");
  shapes::matrix(losses, logits.rows(), 1, "cross_entropy: losses");
  const OpScope scope(*this, "cross_entropy", 0, bytes_of({losses, logits}), {losses});
  with_scalar(logits, [&]<class S>() {
    const Matrix<S> x(logits);
    Matrix<S> loss(x.rows(), 1);
    for (std::int64_t b = 0; b < x.rows(); ++b) loss[b] = log_sum_exp(x, b) - x(b, labels[b]);
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
      for (std::int64_t k = 0; k < x.cols(); ++k) dx(b, k) = scale * (std::exp(x(b, k) - total) - (k == labels[b] ? 1.0 : 0.0));
    }
    dx.store(dlogits);
  });
}

void RefBackend::bce_with_logits(Tensor losses, const Tensor& logits, const Tensor& targets) {
  const std::int64_t B = logits.rows();
  shapes::matrix(logits, B, 1, "bce_with_logits: logits");
  shapes::matrix(targets, B, 1, "bce_with_logits: targets");
  shapes::matrix(losses, B, 1, "bce_with_logits: losses");
  const OpScope scope(*this, "bce_with_logits", 0, bytes_of({losses, logits, targets}), {losses});
  with_scalar(logits, [&]<class S>() {
    const Matrix<S> x(logits), y(targets);
    Matrix<S> loss(B, 1);
    for (std::int64_t b = 0; b < B; ++b) loss[b] = positive_part(x[b]) - x[b] * y[b] + log1p(std::exp(-absolute(x[b])));
    loss.store(losses);
  });
}

void RefBackend::bce_with_logits_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, double scale) {
  const std::int64_t B = logits.rows();
  shapes::matrix(logits, B, 1, "bce_with_logits_backward: logits");
  shapes::matrix(targets, B, 1, "bce_with_logits_backward: targets");
  shapes::matrix(dlogits, B, 1, "bce_with_logits_backward: dlogits");
  const OpScope scope(*this, "bce_with_logits_backward", 0, bytes_of({dlogits, logits, targets}), {dlogits});
  with_scalar(logits, [&]<class S>() {
    const Matrix<S> x(logits), y(targets);
    Matrix<S> dx(B, 1);
    for (std::int64_t b = 0; b < B; ++b) dx[b] = scale * (sigmoid(x[b]) - y[b]);
    dx.store(dlogits);
  });
}

void RefBackend::mse(Tensor losses, const Tensor& predictions, const Tensor& targets) {
  const std::int64_t B = predictions.rows();
  shapes::matrix(predictions, B, 1, "mse: predictions");
  shapes::matrix(targets, B, 1, "mse: targets");
  shapes::matrix(losses, B, 1, "mse: losses");
  const OpScope scope(*this, "mse", 0, bytes_of({losses, predictions, targets}), {losses});
  with_scalar(predictions, [&]<class S>() {
    const Matrix<S> x(predictions), y(targets);
    Matrix<S> loss(B, 1);
    for (std::int64_t b = 0; b < B; ++b) loss[b] = (x[b] - y[b]) * (x[b] - y[b]);
    loss.store(losses);
  });
}

void RefBackend::mse_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) {
  const std::int64_t B = predictions.rows();
  shapes::matrix(predictions, B, 1, "mse_backward: predictions");
  shapes::matrix(targets, B, 1, "mse_backward: targets");
  shapes::matrix(dpredictions, B, 1, "mse_backward: dpredictions");
  const OpScope scope(*this, "mse_backward", 0, bytes_of({dpredictions, predictions, targets}), {dpredictions});
  with_scalar(predictions, [&]<class S>() {
    const Matrix<S> x(predictions), y(targets);
    Matrix<S> dx(B, 1);
    for (std::int64_t b = 0; b < B; ++b) dx[b] = 2 * scale * (x[b] - y[b]);
    dx.store(dpredictions);
  });
}

}  // namespace minbert::ref
