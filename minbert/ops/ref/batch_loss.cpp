// Losses of the reference that compare the rows of a batch with each other.
#include <algorithm>
#include <cmath>

#include "minbert/ops/ref/reference.h"

namespace minbert::ref {
namespace {

template <class S>
Matrix<S> deviations(const Tensor& x) {
  Matrix<S> out(x);
  S mean = 0;
  for (std::int64_t i = 0; i < out.size(); ++i) mean += out[i];
  for (std::int64_t i = 0; i < out.size(); ++i) out[i] -= mean / static_cast<double>(out.size());
  return out;
}

template <class S>
S dot(const Matrix<S>& a, const Matrix<S>& b) {
  S sum = 0;
  for (std::int64_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

template <class S>
Matrix<S> filled(const Tensor& like, S value) {
  Matrix<S> out(like.rows(), 1);
  for (std::int64_t i = 0; i < out.size(); ++i) out[i] = value;
  return out;
}

/// Calls fn(i, j, exponent) for each pair of rows of which i has the larger target.
template <class S, class Fn>
void for_ranked_pairs(const Matrix<S>& x, const Matrix<S>& y, double sharpness, const Fn& fn) {
  for (std::int64_t i = 0; i < x.size(); ++i)
    for (std::int64_t j = 0; j < x.size(); ++j)
      if (std::real(y[i]) > std::real(y[j])) fn(i, j, sharpness * (x[j] - x[i]));
}

/// The largest of these exponents, at least 0.
template <class S>
double highest_exponent(const Matrix<S>& x, const Matrix<S>& y, double sharpness) {
  double top = 0;
  for_ranked_pairs(x, y, sharpness, [&](std::int64_t, std::int64_t, S exponent) { top = std::max(top, std::real(exponent)); });
  return top;
}

template <class S>
Matrix<S> unit_rows(const Matrix<S>& x, Matrix<S>& norms) {
  Matrix<S> out(x.rows(), x.cols());
  for (std::int64_t r = 0; r < x.rows(); ++r) {
    S sum = 0;
    for (std::int64_t c = 0; c < x.cols(); ++c) sum += x(r, c) * x(r, c);
    norms[r] = std::sqrt(sum);
    if (std::real(norms[r]) < kNormFloor) norms[r] = kNormFloor;
    for (std::int64_t c = 0; c < x.cols(); ++c) out(r, c) = x(r, c) / norms[r];
  }
  return out;
}

/// (B, B): the log-probability of each row of b beside a row of a.
template <class S>
Matrix<S> log_probabilities(const Matrix<S>& a, const Matrix<S>& b, double temperature) {
  Matrix<S> out(a.rows(), b.rows());
  for (std::int64_t i = 0; i < a.rows(); ++i) {
    double top = -INFINITY;
    for (std::int64_t j = 0; j < b.rows(); ++j) {
      for (std::int64_t c = 0; c < a.cols(); ++c) out(i, j) += a(i, c) * b(j, c) / temperature;
      top = std::max(top, std::real(out(i, j)));
    }
    S sum = 0;
    for (std::int64_t j = 0; j < b.rows(); ++j) sum += std::exp(out(i, j) - top);
    for (std::int64_t j = 0; j < b.rows(); ++j) out(i, j) -= top + std::log(sum);
  }
  return out;
}

/// The share of row i's positives that row j is.
double target(Indices groups, std::int64_t i, std::int64_t j) {
  const auto group = [&](std::int64_t row) { return groups.host[static_cast<std::size_t>(row)]; };
  return group(i) == group(j) ? 1.0 / static_cast<double>(std::ranges::count(groups.host, group(i))) : 0;
}

/// dx += the gradient of x = a |x|, where `da` is that of the unit rows a.
template <class S>
void add_unit_gradient(const Tensor& dx, const Matrix<S>& a, const Matrix<S>& norms, const Matrix<S>& da) {
  Matrix<S> out(a.rows(), a.cols());
  for (std::int64_t r = 0; r < a.rows(); ++r) {
    S along = 0;
    if (std::real(norms[r]) > kNormFloor)
      for (std::int64_t c = 0; c < a.cols(); ++c) along += a(r, c) * da(r, c);
    for (std::int64_t c = 0; c < a.cols(); ++c) out(r, c) = (da(r, c) - along * a(r, c)) / norms[r];
  }
  out.add_to(dx);
}

}  // namespace

void RefBackend::pearson_loss(Tensor losses, const Tensor& predictions, const Tensor& targets) {
  shapes::columns(losses, predictions, targets, "pearson_loss");
  const OpScope scope(*this, "pearson_loss", 0, bytes_of({losses, predictions, targets}), {losses});
  with_scalar(predictions, [&]<class S>() {
    const Matrix<S> x = deviations<S>(predictions), y = deviations<S>(targets);
    const S product = std::sqrt(dot(x, x)) * std::sqrt(dot(y, y));
    filled<S>(losses, std::real(product) < kCorrelationFloor ? S(1) : 1.0 - dot(x, y) / product).store(losses);
  });
}

void RefBackend::pearson_loss_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) {
  shapes::columns(dpredictions, predictions, targets, "pearson_loss_backward");
  const OpScope scope(*this, "pearson_loss_backward", 0, bytes_of({dpredictions, predictions, targets}), {dpredictions});
  with_scalar(predictions, [&]<class S>() {
    const Matrix<S> x = deviations<S>(predictions), y = deviations<S>(targets);
    const S xx = dot(x, x), product = std::sqrt(xx) * std::sqrt(dot(y, y)), r = dot(x, y) / product;
    Matrix<S> dx(predictions.rows(), 1);
    if (std::real(product) >= kCorrelationFloor)
      for (std::int64_t i = 0; i < dx.size(); ++i) dx[i] = -scale * static_cast<double>(dx.size()) * (y[i] / product - r * x[i] / xx);
    dx.store(dpredictions);
  });
}

void RefBackend::cosent(Tensor losses, const Tensor& predictions, const Tensor& targets, double sharpness) {
  shapes::columns(losses, predictions, targets, "cosent");
  const OpScope scope(*this, "cosent", 0, bytes_of({losses, predictions, targets}), {losses});
  with_scalar(predictions, [&]<class S>() {
    const Matrix<S> x(predictions), y(targets);
    const double top = highest_exponent(x, y, sharpness);
    S sum = std::exp(-top);
    for_ranked_pairs(x, y, sharpness, [&](std::int64_t, std::int64_t, S exponent) { sum += std::exp(exponent - top); });
    filled<S>(losses, top + std::log(sum)).store(losses);
  });
}

void RefBackend::cosent_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double sharpness, double scale) {
  shapes::columns(dpredictions, predictions, targets, "cosent_backward");
  const OpScope scope(*this, "cosent_backward", 0, bytes_of({dpredictions, predictions, targets}), {dpredictions});
  with_scalar(predictions, [&]<class S>() {
    const Matrix<S> x(predictions), y(targets);
    const double top = highest_exponent(x, y, sharpness);
    Matrix<S> dx(predictions.rows(), 1);
    S sum = std::exp(-top);
    for_ranked_pairs(x, y, sharpness, [&](std::int64_t i, std::int64_t j, S exponent) {
      const S part = std::exp(exponent - top);
      sum += part;
      dx[i] -= part;
      dx[j] += part;
    });
    for (std::int64_t i = 0; i < x.size(); ++i) dx[i] *= scale * static_cast<double>(x.size()) * sharpness / sum;
    dx.store(dpredictions);
  });
}

void RefBackend::contrastive(Tensor losses, const Tensor& u, const Tensor& v, Indices groups, double temperature) {
  shapes::contrastive(u, v, groups.host);
  shapes::matrix(losses, u.rows(), 1, "contrastive: losses");
  const OpScope scope(*this, "contrastive", 0, bytes_of({losses, u, v}), {losses});
  with_scalar(u, [&]<class S>() {
    Matrix<S> u_norms(u.rows(), 1), v_norms(u.rows(), 1);
    const Matrix<S> log_p = log_probabilities(unit_rows(Matrix<S>(u), u_norms), unit_rows(Matrix<S>(v), v_norms), temperature);
    Matrix<S> loss(u.rows(), 1);
    for (std::int64_t i = 0; i < u.rows(); ++i)
      for (std::int64_t j = 0; j < u.rows(); ++j) loss[i] -= target(groups, i, j) * log_p(i, j);
    loss.store(losses);
  });
}

void RefBackend::contrastive_backward(Tensor du, Tensor dv, const Tensor& u, const Tensor& v, Indices groups, double temperature,
                                      double scale) {
  shapes::contrastive(u, v, groups.host);
  for (const Tensor& t : {du, dv}) shapes::same(t, u, "contrastive_backward");
  const OpScope scope(*this, "contrastive_backward", 0, bytes_of({du, dv, u, v}), {du, dv});
  with_scalar(u, [&]<class S>() {
    Matrix<S> u_norms(u.rows(), 1), v_norms(u.rows(), 1);
    const Matrix<S> a = unit_rows(Matrix<S>(u), u_norms), b = unit_rows(Matrix<S>(v), v_norms);
    const Matrix<S> log_p = log_probabilities(a, b, temperature);
    Matrix<S> da(u.rows(), u.cols()), db(u.rows(), u.cols());
    for (std::int64_t i = 0; i < u.rows(); ++i)
      for (std::int64_t j = 0; j < u.rows(); ++j) {
        const S rate = scale * (std::exp(log_p(i, j)) - target(groups, i, j)) / temperature;
        for (std::int64_t c = 0; c < u.cols(); ++c) {
          da(i, c) += rate * b(j, c);
          db(j, c) += rate * a(i, c);
        }
      }
    add_unit_gradient(du, a, u_norms, da);
    add_unit_gradient(dv, b, v_norms, db);
  });
}

}  // namespace minbert::ref
