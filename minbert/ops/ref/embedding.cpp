// Embedding and gathering of rows of the reference.
#include <map>

#include "minbert/ops/ref/reference.h"

namespace minbert::ref {
namespace {

// Row `index` of a table, widened to S. Widening the whole table would be slow: it may be large.
template <class S>
Matrix<S> table_row(const Tensor& table, std::int64_t index) {
  return Matrix<S>(table.slice_rows(index, index + 1));
}

// table[indices[n]] += dy[n]; each row of the table is summed in double and rounded once.
template <class S>
void scatter_add(const Tensor& table, const Matrix<S>& dy, Indices indices) {
  if (!table) return;
  std::map<std::int32_t, Matrix<S>> sums;
  for (std::int64_t n = 0; n < dy.rows(); ++n) {
    Matrix<S>& sum = sums.try_emplace(indices.host[n], 1, dy.cols()).first->second;
    for (std::int64_t c = 0; c < dy.cols(); ++c) sum[c] += dy(n, c);
  }
  for (const auto& [index, sum] : sums) sum.add_to(table.slice_rows(index, index + 1));
}

void check_indices(Indices indices, std::int64_t count, const Tensor& table, std::int64_t C, const char* what) {
  MINBERT_CHECK(std::ssize(indices.host) == count, "{}: {} indices for {} rows", what, indices.host.size(), count);
  if (!table) return;
  MINBERT_CHECK(table.cols() == C, "{}: {} for {} channels", what, table.describe(), C);
  shapes::indices(indices.host, table.rows(), what);
}

}  // namespace

void RefBackend::embedding(Tensor out, const Tensor& word, const Tensor& position, const Tensor& type, Indices ids, Indices positions,
                           Indices type_ids) {
  const std::int64_t N = out.rows(), C = out.cols();
  MINBERT_CHECK(word && position && type, "embedding: a table is missing");
  check_indices(ids, N, word, C, "embedding: word");
  check_indices(positions, N, position, C, "embedding: position");
  check_indices(type_ids, N, type, C, "embedding: type");
  const OpScope scope(*this, "embedding", 0, 4 * bytes_of({out}), {out});
  with_scalar(out, [&]<class S>() {
    Matrix<S> y(N, C);
    for (std::int64_t n = 0; n < N; ++n) {
      const auto w = table_row<S>(word, ids.host[n]), p = table_row<S>(position, positions.host[n]),
                 t = table_row<S>(type, type_ids.host[n]);
      for (std::int64_t c = 0; c < C; ++c) y(n, c) = w[c] + p[c] + t[c];
    }
    y.store(out);
  });
}

void RefBackend::embedding_backward(Tensor dword, Tensor dposition, Tensor dtype, const Tensor& dy, Indices ids, Indices positions,
                                    Indices type_ids) {
  const std::int64_t N = dy.rows(), C = dy.cols();
  check_indices(ids, N, dword, C, "embedding_backward: word");
  check_indices(positions, N, dposition, C, "embedding_backward: position");
  check_indices(type_ids, N, dtype, C, "embedding_backward: type");
  const OpScope scope(*this, "embedding_backward", 0, 4 * bytes_of({dy}), {});
  with_scalar(dy, [&]<class S>() {
    const Matrix<S> dY(dy);
    scatter_add(dword, dY, ids);
    scatter_add(dposition, dY, positions);
    scatter_add(dtype, dY, type_ids);
  });
}

void RefBackend::gather_rows(Tensor out, const Tensor& x, Indices rows) {
  MINBERT_CHECK(out && out.rows() == std::ssize(rows.host) && out.cols() == x.cols(), "gather_rows: {} rows of {} into {}",
                rows.host.size(), x.describe(), out.describe());
  shapes::indices(rows.host, x.rows(), "gather_rows");
  const OpScope scope(*this, "gather_rows", 0, 2 * bytes_of({out}), {out});
  with_scalar(x, [&]<class S>() {
    for (std::int64_t m = 0; m < out.rows(); ++m) table_row<S>(x, rows.host[m]).store(out.slice_rows(m, m + 1));
  });
}

void RefBackend::gather_rows_backward(Tensor dx, const Tensor& dy, Indices rows) {
  MINBERT_CHECK(dx && dy.rows() == std::ssize(rows.host) && dx.cols() == dy.cols(), "gather_rows_backward: {} rows of {} into {}",
                rows.host.size(), dy.describe(), dx.describe());
  shapes::indices(rows.host, dx.rows(), "gather_rows_backward");
  const OpScope scope(*this, "gather_rows_backward", 0, bytes_of({dx, dy}), {dx});
  with_scalar(dy, [&]<class S>() {
    Matrix<S>(dx.rows(), dx.cols()).store(dx);
    scatter_add(dx, Matrix<S>(dy), rows);
  });
}

}  // namespace minbert::ref
