// Shape checks shared by all backends.
#include "minbert/ops/shapes.h"

namespace minbert::shapes {

void matrix(const Tensor& x, std::int64_t rows, std::int64_t cols, const char* what) {
  MINBERT_CHECK(static_cast<bool>(x) && x.rows() == rows && x.cols() == cols, "{}: expected ({}, {}), got {}", what, rows, cols,
                x.describe());
}

void optional_matrix(const Tensor& x, std::int64_t rows, std::int64_t cols, const char* what) {
  if (x) matrix(x, rows, cols, what);
}

void same(const Tensor& a, const Tensor& b, const char* what) {
  MINBERT_CHECK(a.rows() == b.rows() && a.cols() == b.cols(), "{}: {} against {}", what, a.describe(), b.describe());
}

void columns(const Tensor& out, const Tensor& x, const Tensor& y, const char* what) {
  for (const Tensor* t : {&out, &x, &y}) matrix(*t, x.rows(), 1, what);
}

void offsets(std::span<const std::int32_t> values, std::int64_t rows, const char* what) {
  MINBERT_CHECK(!values.empty() && values.front() == 0 && values.back() == rows, "{}: offsets do not cover {} rows", what, rows);
  for (std::size_t i = 1; i < values.size(); ++i) MINBERT_CHECK(values[i - 1] <= values[i], "{}: offset {} falls", what, i);
}

void indices(std::span<const std::int32_t> values, std::int64_t limit, const char* what) {
  for (const std::int32_t value : values) MINBERT_CHECK(value >= 0 && value < limit, "{}: index {} of {}", what, value, limit);
}

void contrastive(const Tensor& u, const Tensor& v, std::span<const std::int32_t> groups) {
  same(v, u, "contrastive: v");
  MINBERT_CHECK(std::ssize(groups) == u.rows(), "contrastive: {} groups for {}", groups.size(), u.describe());
}

void weight(const PreparedWeight& w, const Tensor& x) {
  MINBERT_CHECK(w.clock == nullptr || *w.clock == w.version, "stale weight {}: version {} of {}", w.master.describe(), w.version, *w.clock);
  MINBERT_CHECK(!w.value || w.value.dtype() == x.dtype() || w.use == WeightUse::kForwardInt8, "x is {}, weight {}", x.describe(),
                w.value.describe());
}

void attention(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape) {
  offsets(shape.q_offsets.host, q.rows(), "attention queries");
  offsets(shape.k_offsets.host, k.rows(), "attention keys");
  MINBERT_CHECK(shape.q_offsets.host.size() == shape.k_offsets.host.size(), "{} query and {} key offsets", shape.q_offsets.host.size(),
                shape.k_offsets.host.size());
  MINBERT_CHECK(shape.heads > 0 && q.cols() % shape.heads == 0, "{} heads over {} channels", shape.heads, q.cols());
  same(out, q, "attention output");
  same(k, v, "attention keys and values");
  MINBERT_CHECK(q.cols() == k.cols(), "queries {} against keys {}", q.describe(), k.describe());
  rows(shape.q_rows.host, q.rows(), shape.dropout);
}

void rows(std::span<const RowId> ids, std::int64_t count, const Dropout& dropout) {
  MINBERT_CHECK(!dropout || static_cast<std::int64_t>(ids.size()) == count, "dropout: {} row ids for {} rows", ids.size(), count);
}

}  // namespace minbert::shapes
