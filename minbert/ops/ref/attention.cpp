// Self-attention of the reference: the textbook formulas, one sentence and head at a time.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "minbert/ops/ref/reference.h"

namespace minbert::ref {
namespace {

// One sentence and head: queries [q0, q0 + Q), keys [k0, k0 + K), channels [c0, c0 + D). Its Q x K probabilities, before dropout,
// begin at element `saved` of the saved buffer.
struct Block {
  std::int64_t q0, Q, k0, K, c0, D, saved;
  std::uint32_t head;
  double scale;  // 1 / sqrt(D)
};

// Calls body for each block in a fixed order; `C` is the number of channels.
template <class Body>
void for_each_block(const AttentionShape& shape, std::int64_t C, const Body& body) {
  const std::int64_t D = C / shape.heads;
  std::int64_t saved = 0;
  const auto q = shape.q_offsets.host, k = shape.k_offsets.host;
  for (std::size_t b = 0; b + 1 < q.size(); ++b)
    for (std::int64_t h = 0; h < shape.heads; ++h) {
      const std::int64_t q0 = q[b], Q = q[b + 1] - q0, k0 = k[b], K = k[b + 1] - k0;
      body(Block{q0, Q, k0, K, h * D, D, saved, static_cast<std::uint32_t>(h), 1 / std::sqrt(static_cast<double>(D))});
      saved += Q * K;
    }
}

std::int64_t probabilities(const AttentionShape& shape) {
  std::int64_t count = 0;
  for_each_block(shape, shape.heads, [&](const Block& b) { count += b.Q * b.K; });
  return count;
}

double factor(const AttentionShape& shape, const Block& block, std::int64_t i, std::int64_t j) {
  if (!shape.dropout) return 1;
  return static_cast<double>(dropout_factor(shape.dropout, shape.q_rows.host[block.q0 + i], block.head, static_cast<std::uint32_t>(j)));
}

double attention_flops(const AttentionShape& shape, std::int64_t C) { return product(4, probabilities(shape), C / shape.heads); }

// P (Q,K) of one block: softmax of the scaled scores.
template <class S>
void softmax_scores(S* P, const Matrix<S>& q, const Matrix<S>& k, const Block& b) {
  for (std::int64_t i = 0; i < b.Q; ++i) {
    S* row = P + i * b.K;
    double highest = -INFINITY;
    for (std::int64_t j = 0; j < b.K; ++j) {
      S score = 0;
      for (std::int64_t d = b.c0; d < b.c0 + b.D; ++d) score += q(b.q0 + i, d) * k(b.k0 + j, d);
      row[j] = score * b.scale;
      highest = std::max(highest, std::real(row[j]));
    }
    S sum = 0;
    for (std::int64_t j = 0; j < b.K; ++j) sum += row[j] = std::exp(row[j] - highest);
    for (std::int64_t j = 0; j < b.K; ++j) row[j] /= sum;
  }
}

}  // namespace

std::size_t RefBackend::attention_saved_bytes(const AttentionShape& shape, DType dtype) const {
  return static_cast<std::size_t>(probabilities(shape)) * (dtype == DType::kC128 ? sizeof(Complex) : sizeof(double));
}

void RefBackend::attention(Tensor out, Tensor saved, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape) {
  shapes::attention(out, q, k, v, shape);
  MINBERT_CHECK(!saved || saved.bytes() >= attention_saved_bytes(shape, q.dtype()), "attention: saved is {}", saved.describe());
  const OpScope scope(*this, "attention", attention_flops(shape, q.cols()), bytes_of({out, saved, q, k, v}), {out});
  with_scalar(q, [&]<class S>() {
    const Matrix<S> Qs(q), Ks(k), Vs(v);
    Matrix<S> P(probabilities(shape), 1), y(q.rows(), q.cols());
    for_each_block(shape, q.cols(), [&](const Block& b) {
      if (b.Q * b.K == 0) return;
      softmax_scores(&P[b.saved], Qs, Ks, b);
      for (std::int64_t i = 0; i < b.Q; ++i)
        for (std::int64_t j = 0; j < b.K; ++j) {
          const S p = P[b.saved + i * b.K + j] * factor(shape, b, i, j);
          for (std::int64_t d = b.c0; d < b.c0 + b.D; ++d) y(b.q0 + i, d) += p * Vs(b.k0 + j, d);
        }
    });
    y.store(out);
    if (saved && P.size() > 0) std::memcpy(saved.raw(), &P[0], static_cast<std::size_t>(P.size()) * sizeof(S));
  });
}

void RefBackend::attention_backward(Tensor dq, Tensor dk, Tensor dv, const Tensor& dout, const Tensor& saved, const Tensor& q,
                                    const Tensor& k, const Tensor& v, const AttentionShape& shape) {
  shapes::attention(dout, q, k, v, shape);
  shapes::same(dq, q, "attention_backward: dq");
  shapes::same(dk, k, "attention_backward: dk");
  shapes::same(dv, v, "attention_backward: dv");
  MINBERT_CHECK(saved && saved.bytes() >= attention_saved_bytes(shape, q.dtype()), "attention_backward: saved is {}", saved.describe());
  const OpScope scope(*this, "attention_backward", 2 * attention_flops(shape, q.cols()), bytes_of({dq, dk, dv, dout, saved, q, k, v}),
                      {dq, dk, dv});
  with_scalar(q, [&]<class S>() {
    const Matrix<S> Qs(q), Ks(k), Vs(v), dY(dout);
    Matrix<S> P(probabilities(shape), 1), dQ(q.rows(), q.cols()), dK(k.rows(), k.cols()), dV(v.rows(), v.cols());
    if (P.size() > 0) std::memcpy(&P[0], saved.raw(), static_cast<std::size_t>(P.size()) * sizeof(S));
    for_each_block(shape, q.cols(), [&](const Block& b) {
      Matrix<S> dP(b.K, 1);
      for (std::int64_t i = 0; i < b.Q; ++i) {
        const std::int64_t n = b.q0 + i;
        const S* row = &P[b.saved + i * b.K];
        S expected = 0;  // sum of P times dP
        for (std::int64_t j = 0; j < b.K; ++j) {
          const double f = factor(shape, b, i, j);
          S dot = 0;
          for (std::int64_t d = b.c0; d < b.c0 + b.D; ++d) {
            dot += dY(n, d) * Vs(b.k0 + j, d);
            dV(b.k0 + j, d) += row[j] * f * dY(n, d);
          }
          dP[j] = dot * f;
          expected += row[j] * dP[j];
        }
        for (std::int64_t j = 0; j < b.K; ++j) {
          const S dscore = row[j] * (dP[j] - expected) * b.scale;
          for (std::int64_t d = b.c0; d < b.c0 + b.D; ++d) {
            dQ(n, d) += dscore * Ks(b.k0 + j, d);
            dK(b.k0 + j, d) += dscore * Qs(n, d);
          }
        }
      }
    });
    dQ.store(dq);
    dK.store(dk);
    dV.store(dv);
  });
}

}  // namespace minbert::ref
