// Activations, dropout and sums of the reference.
#include <cmath>

#include "minbert/ops/ref/reference.h"

namespace minbert::ref {
namespace {

// gelu_new (Hugging Face activations.py, NewGELUActivation): x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))).
constexpr double kCubic = 0.044715;
const double kTanhScale = std::sqrt(2 / std::numbers::pi);

template <class S>
S value(Activation kind, S x) {
  switch (kind) {
    case Activation::kGelu: return 0.5 * x * (1.0 + erf(x / std::numbers::sqrt2));
    case Activation::kGeluNew: return 0.5 * x * (1.0 + std::tanh(kTanhScale * (x + kCubic * x * x * x)));
    case Activation::kRelu: return positive_part(x);
    case Activation::kSilu: return x * sigmoid(x);
    case Activation::kTanh: return std::tanh(x);
  }
  MINBERT_CHECK(false, "activation {}", static_cast<int>(kind));
}

template <class S>
S derivative(Activation kind, S x) {
  switch (kind) {
    case Activation::kGelu: {
      const S density = std::exp(-0.5 * x * x) * (std::numbers::inv_sqrtpi / std::numbers::sqrt2);
      return 0.5 * (1.0 + erf(x / std::numbers::sqrt2)) + x * density;
    }
    case Activation::kGeluNew: {
      const S t = std::tanh(kTanhScale * (x + kCubic * x * x * x));
      return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * kTanhScale * (1.0 + 3 * kCubic * x * x);
    }
    case Activation::kRelu: return std::real(x) > 0 ? 1 : 0;
    case Activation::kSilu: {
      const S s = sigmoid(x);
      return s + x * s * (1.0 - s);
    }
    case Activation::kTanh: {
      const S t = std::tanh(x);
      return 1.0 - t * t;
    }
  }
  MINBERT_CHECK(false, "activation {}", static_cast<int>(kind));
}

}  // namespace

void RefBackend::activation(Tensor out, const Tensor& x, Activation kind) {
  shapes::same(out, x, "activation");
  const OpScope scope(*this, "activation", 0, bytes_of({out, x}), {out});
  with_scalar(x, [&]<class S>() {
    Matrix<S> y(x);
    for (std::int64_t i = 0; i < y.size(); ++i) y[i] = value(kind, y[i]);
    y.store(out);
  });
}

void RefBackend::activation_backward(Tensor dx, const Tensor& dy, const Tensor& x, Activation kind) {
  shapes::same(dx, x, "activation_backward: dx");
  shapes::same(dy, x, "activation_backward: dy");
  const OpScope scope(*this, "activation_backward", 0, bytes_of({dx, dy, x}), {dx});
  with_scalar(x, [&]<class S>() {
    const Matrix<S> X(x);
    Matrix<S> d(dy);
    for (std::int64_t i = 0; i < d.size(); ++i) d[i] *= derivative(kind, X[i]);
    d.store(dx);
  });
}

void RefBackend::dropout(Tensor out, const Tensor& x, RowIds rows, const Dropout& dropout) {
  shapes::same(out, x, "dropout");
  shapes::rows(rows.host, x.rows(), dropout);
  const OpScope scope(*this, "dropout", 0, bytes_of({out, x}), {out});
  with_scalar(x, [&]<class S>() {
    Matrix<S> y(x);
    if (dropout)
      for (std::int64_t n = 0; n < y.rows(); ++n)
        for (std::int64_t c = 0; c < y.cols(); ++c)
          y(n, c) *= static_cast<double>(dropout_factor(dropout, rows.host[n], 0, static_cast<std::uint32_t>(c)));
    y.store(out);
  });
}

void RefBackend::add(Tensor out, const Tensor& a, const Tensor& b) {
  shapes::same(out, a, "add: out");
  shapes::same(a, b, "add");
  const OpScope scope(*this, "add", 0, bytes_of({out, a, b}), {out});
  with_scalar(a, [&]<class S>() {
    const Matrix<S> B(b);
    Matrix<S> sum(a);
    for (std::int64_t i = 0; i < sum.size(); ++i) sum[i] += B[i];
    sum.store(out);
  });
}

void RefBackend::affine(Tensor out, const Tensor& x, double scale, double shift) {
  shapes::same(out, x, "affine");
  const OpScope scope(*this, "affine", 0, bytes_of({out, x}), {out});
  with_scalar(x, [&]<class S>() {
    Matrix<S> y(x);
    for (std::int64_t i = 0; i < y.size(); ++i) y[i] = scale * y[i] + shift;
    y.store(out);
  });
}

}  // namespace minbert::ref
