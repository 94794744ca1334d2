// Embedding tables: the sum of three rows for each token, and its gradients.
#include <algorithm>
#include <utility>

#include "minbert/ops/cpu/cpu.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "minbert/ops/cpu/embedding.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "minbert/ops/cpu/vector-inl.h"

HWY_BEFORE_NAMESPACE();
namespace minbert::cpu {
namespace HWY_NAMESPACE {

void embedding_row(const Tensor& out, std::int64_t row, const Tensor& word, const Tensor& position, const Tensor& type) {
  with_type(out.dtype(), [&]<class Out>(Out) HWY_ATTR {
    with_type(word.dtype(), [&]<class In>(In) HWY_ATTR {
      Out* o = out.data<Out>() + row * out.row_stride();
      const In *w = word.data<In>(), *p = position.data<In>(), *t = type.data<In>();
      for_lanes(static_cast<std::size_t>(out.cols()), [&](std::size_t i, auto extent) HWY_ATTR {
        store(extent, hn::Add(hn::Add(load(extent, w + i), load(extent, p + i)), load(extent, t + i)), o + i);
      });
    });
  });
}

/// table[ids[n]][begin, end) += dy[n][begin, end) for n in order.
void scatter_add_columns(const Tensor& table, const Tensor& dy, std::span<const std::int32_t> ids, std::int64_t begin, std::int64_t end) {
  with_type(dy.dtype(), [&]<class T>(T) HWY_ATTR {
    for (std::size_t n = 0; n < ids.size(); ++n) {
      float* sum = table.data<float>() + ids[n] * table.row_stride() + begin;
      const T* d = dy.data<T>() + static_cast<std::int64_t>(n) * dy.row_stride() + begin;
      for_lanes(static_cast<std::size_t>(end - begin),
                [&](std::size_t i, auto extent) HWY_ATTR { store(extent, hn::Add(load(extent, sum + i), load(extent, d + i)), sum + i); });
    }
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace minbert::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace minbert::cpu {

HWY_EXPORT(embedding_row);
HWY_EXPORT(scatter_add_columns);

namespace {

Tensor row_at(const Tensor& table, std::int32_t row) { return table.slice_rows(row, row + 1); }

void check_ids(std::span<const std::int32_t> ids, const Tensor& table, std::int64_t rows, const char* what) {
  MINBERT_CHECK(static_cast<std::int64_t>(ids.size()) == rows, "{} {} ids for {} rows", ids.size(), what, rows);
  if (table) shapes::indices(ids, table.rows(), what);
}

}  // namespace

void CpuBackend::embedding(Tensor out, const Tensor& word, const Tensor& position, const Tensor& type, Indices ids, Indices positions,
                           Indices type_ids) {
  for (const Tensor* table : {&word, &position, &type}) {
    shapes::matrix(*table, table->rows(), out.cols(), "embedding table");
    MINBERT_CHECK(table->dtype() == word.dtype(), "embedding tables of {} and {}", dtype_name(word.dtype()), dtype_name(table->dtype()));
  }
  check_ids(ids.host, word, out.rows(), "word");
  check_ids(positions.host, position, out.rows(), "position");
  check_ids(type_ids.host, type, out.rows(), "type");
  const OpScope scope(*this, "embedding", 2.0 * static_cast<double>(out.numel()), 3.0 * bytes_of({&out}), {out});
  for_rows(out.rows(), out.cols(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const auto i = static_cast<std::size_t>(n);
      HWY_DYNAMIC_DISPATCH(embedding_row)
      (out, n, row_at(word, ids.host[i]), row_at(position, positions.host[i]), row_at(type, type_ids.host[i]));
    }
  });
}

void CpuBackend::embedding_backward(Tensor dword, Tensor dposition, Tensor dtype, const Tensor& dy, Indices ids, Indices positions,
                                    Indices type_ids) {
  const std::pair<const Tensor*, std::span<const std::int32_t>> tables[] = {
      {&dword, ids.host}, {&dposition, positions.host}, {&dtype, type_ids.host}};
  for (const auto& [table, rows] : tables) {
    shapes::optional_matrix(*table, table->rows(), dy.cols(), "embedding gradient");
    if (*table) check_ids(rows, *table, dy.rows(), "embedding");
  }
  const OpScope scope(*this, "embedding_backward", 3.0 * static_cast<double>(dy.numel()), bytes_of({&dy}) * 3.0, {});
  // Threads divide the columns, at least a cache line each. So each sum is made in the order of tokens on any number of threads.
  for_ranges(dy.cols(), std::max<std::int64_t>(16, kGrain / std::max<std::int64_t>(1, dy.rows())),
             [&](std::int64_t begin, std::int64_t end) {
               for (const auto& [table, rows] : tables)
                 if (*table) HWY_DYNAMIC_DISPATCH(scatter_add_columns)(*table, dy, rows, begin, end);
             });
}

}  // namespace minbert::cpu
#endif  // HWY_ONCE
