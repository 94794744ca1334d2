// Shape checks shared by all backends: each op calls its check before it touches memory.
#pragma once

#include <cstdint>
#include <span>

#include "minbert/ops/backend.h"

namespace minbert::shapes {

/// CHECKs that x is (rows, cols) or, with cols = 1, (rows). The functions below CHECK what their comments say.
void matrix(const Tensor& x, std::int64_t rows, std::int64_t cols, const char* what);
/// x is absent, or matrix() holds.
void optional_matrix(const Tensor& x, std::int64_t rows, std::int64_t cols, const char* what);
/// a and b have equal rows and columns.
void same(const Tensor& a, const Tensor& b, const char* what);
/// All three are columns with as many rows as x.
void columns(const Tensor& out, const Tensor& x, const Tensor& y, const char* what);
/// Offsets start at 0, never fall and end at `rows`.
void offsets(std::span<const std::int32_t> values, std::int64_t rows, const char* what);
/// Every index lies in [0, limit).
void indices(std::span<const std::int32_t> values, std::int64_t limit, const char* what);
/// u and v have the same shape, and each row a group.
void contrastive(const Tensor& u, const Tensor& v, std::span<const std::int32_t> groups);
/// The weight is up to date and its dtype agrees with x.
void weight(const PreparedWeight& w, const Tensor& x);
/// The offsets fit q and k, the heads divide the columns, out is like q, v is like k, and with dropout there is a RowId for each query.
void attention(const Tensor& out, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape);
/// With dropout, there are `count` ids.
void rows(std::span<const RowId> ids, std::int64_t count, const Dropout& dropout);

}  // namespace minbert::shapes
