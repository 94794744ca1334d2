// The optimizer and the gradient norm of the reference.
#include <cmath>

#include "minbert/ops/ref/reference.h"

namespace minbert::ref {

void RefBackend::adamw(std::span<const AdamWSegment> segments, const AdamWOptions& options) {
  for (const AdamWSegment& s : segments) {
    const std::int64_t P = s.value.numel();
    for (const Tensor& part : {s.value, s.m, s.v}) shapes::matrix(part, P, 1, "adamw");
    for (const Tensor& part : {s.gradient, s.copy}) shapes::optional_matrix(part, P, 1, "adamw: gradient or copy");
    const OpScope scope(*this, "adamw", 0, 2 * bytes_of({s.value, s.m, s.v, s.gradient}) + bytes_of({s.copy}), {s.value, s.m, s.v});
    const double beta1 = options.beta1, beta2 = options.beta2, eps = options.eps, lr = s.step.lr, decay = lr * s.weight_decay;
    const double correction1 = s.step.correction1, correction2 = s.step.correction2;
    const auto g = Matrix<double>::or_zeros(s.gradient, P, 1);
    Matrix<double> theta(s.value), m(s.m), v(s.v);
    for (std::int64_t i = 0; i < P; ++i) {
      const double gradient = g[i] * options.gradient_scale;
      m[i] = beta1 * m[i] + (1 - beta1) * gradient;
      v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient;
      if (options.form == AdamWForm::kPaper) {
        theta[i] -= lr * std::sqrt(correction2) / correction1 * m[i] / (std::sqrt(v[i]) + eps);
        theta[i] -= decay * theta[i];
      } else {
        theta[i] -= decay * theta[i];
        theta[i] -= lr * (m[i] / correction1) / (std::sqrt(v[i] / correction2) + eps);
      }
    }
    theta.store(s.value);
    m.store(s.m);
    v.store(s.v);
    if (s.gradient) zero(s.gradient);
    if (s.copy) Matrix<double>(s.value).store(s.copy);
  }
}

double RefBackend::squared_norm(std::span<const Tensor> tensors) {
  double sum = 0;  // one sum over all elements in order, so that the cuts between tensors do not matter
  for (const Tensor& tensor : tensors) {
    const OpScope scope(*this, "squared_norm", product(2, tensor.numel()), bytes_of({tensor}), {});
    const Matrix<double> x(tensor);
    for (std::int64_t i = 0; i < x.size(); ++i) sum += x[i] * x[i];
  }
  return sum;
}

}  // namespace minbert::ref
