// Linear layers of the reference.
#include <algorithm>
#include <type_traits>
#include <utility>

#include "minbert/ops/ref/reference.h"

namespace minbert::ref {

Matrix<double> round_rows(Matrix<double> x, Int8Rows which) {
  for (std::int64_t row = 0; row < x.rows(); ++row) {
    float low = 0, high = 0;
    for (std::int64_t col = 0; col < x.cols(); ++col) {
      low = std::min(low, static_cast<float>(x(row, col)));
      high = std::max(high, static_cast<float>(x(row, col)));
    }
    const bool input = which == Int8Rows::kInput;
    const Int8Range range = input ? Int8Range::of_input(low, high) : Int8Range::of_weight(std::max(-low, high));
    for (std::int64_t col = 0; col < x.cols(); ++col) {
      const std::int32_t q = range.quantize(static_cast<float>(x(row, col)));
      x(row, col) = static_cast<double>(range.scale) * (input ? std::clamp(q, 0, 255) - range.zero : q);
    }
  }
  return x;
}

void RefBackend::linear(Tensor out, const Tensor& x, const PreparedWeight& w, const Tensor& bias) {
  const std::int64_t N = x.rows(), I = w.in_features(), O = w.out_features();
  shapes::weight(w, x);
  shapes::matrix(x, N, I, "linear: x");
  shapes::matrix(out, N, O, "linear: out");
  shapes::optional_matrix(bias, O, 1, "linear: bias");
  const OpScope scope(*this, "linear", product(2, N, I, O), bytes_of({out, x, w.value, bias}), {out});
  with_scalar(x, [&]<class S>() {
    Matrix<S> X(x);
    if constexpr (std::is_same_v<S, double>)
      if (w.use == WeightUse::kForwardInt8) X = round_rows(std::move(X), Int8Rows::kInput);
    const Matrix<S> W(w.value), b = Matrix<S>::or_zeros(bias, O, 1);
    Matrix<S> y(N, O);
    for (std::int64_t n = 0; n < N; ++n)
      for (std::int64_t o = 0; o < O; ++o) {
        S sum = b[o];
        for (std::int64_t i = 0; i < I; ++i) sum += X(n, i) * W(o, i);
        y(n, o) = sum;
      }
    y.store(out);
  });
}

void RefBackend::linear_backward_input(Tensor dx, const Tensor& dy, const PreparedWeight& w) {
  const std::int64_t N = dy.rows(), I = w.in_features(), O = w.out_features();
  shapes::weight(w, dy);
  shapes::matrix(dy, N, O, "linear_backward_input: dy");
  shapes::matrix(dx, N, I, "linear_backward_input: dx");
  const OpScope scope(*this, "linear_backward_input", product(2, N, I, O), bytes_of({dx, dy, w.value}), {dx});
  with_scalar(dy, [&]<class S>() {
    const Matrix<S> dY(dy), W(w.value);
    Matrix<S> dX(N, I);
    for (std::int64_t n = 0; n < N; ++n)
      for (std::int64_t o = 0; o < O; ++o)
        for (std::int64_t i = 0; i < I; ++i) dX(n, i) += dY(n, o) * W(o, i);
    dX.store(dx);
  });
}

void RefBackend::linear_backward_params(Tensor dw, Tensor dbias, const Tensor& x, const Tensor& dy) {
  const std::int64_t N = x.rows(), I = x.cols(), O = dy.cols();
  shapes::matrix(dy, N, O, "linear_backward_params: dy");
  shapes::optional_matrix(dw, O, I, "linear_backward_params: dw");
  shapes::optional_matrix(dbias, O, 1, "linear_backward_params: dbias");
  const OpScope scope(*this, "linear_backward_params", product(2, N, I, O), bytes_of({dw, dbias, x, dy}), {dw, dbias});
  with_scalar(dy, [&]<class S>() {
    const Matrix<S> X(x), dY(dy);
    Matrix<S> dW(O, I), db(O, 1);
    for (std::int64_t n = 0; n < N; ++n)
      for (std::int64_t o = 0; o < O; ++o) {
        db[o] += dY(n, o);
        for (std::int64_t i = 0; i < I; ++i) dW(o, i) += dY(n, o) * X(n, i);
      }
    dW.add_to(dw);
    db.add_to(dbias);
  });
}

}  // namespace minbert::ref
