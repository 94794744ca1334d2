// Multiplies blocks of rows with blocks of columns, so that each block of vectors is packed once and scores stay in the caches.
#include "minbert/pipeline/similar.h"

#include <algorithm>
#include <functional>
#include <mutex>
#include <tuple>

#include "minbert/base/parallel.h"

namespace minbert {
namespace {

constexpr std::int64_t kBlockRows = 256, kBlockColumns = 2048;

/// Gets the cosines of one row with the rows first_column, first_column + 1, ...
using VisitRow = std::function<void(std::int64_t row, std::int64_t first_column, std::span<const float> scores)>;

/// Calls visit(row, ...) for each row and each block of columns, from any thread but never twice at a time for one row. `half`: only blocks
/// that hold columns above their rows.
void for_each_score(Backend& backend, std::span<const float> unit, std::int64_t width, bool half, const RowProgress& progress,
                    const VisitRow& visit) {
  const std::int64_t rows = std::ssize(unit) / width;
  const std::uint64_t clock = 0;  // the vectors never change
  Arena arena(backend);
  std::vector<float> scores;
  double done = 0;
  const auto upload = [&](std::int64_t first, std::int64_t count) {
    const Tensor block = arena.allocate(DType::kF32, {count, width});
    backend.copy_to_device(block, unit.data() + first * width);
    return block;
  };
  for (std::int64_t column = 0; column < rows; column += kBlockColumns) {
    arena.reset();
    const std::int64_t columns = std::min(kBlockColumns, rows - column), end = half ? column + columns : rows;
    const PreparedWeight weight = backend.prepare(upload(column, columns), DType::kF32, WeightUse::kForward, &clock, {});
    const Arena::Mark mark = arena.mark();
    for (std::int64_t row = 0; row < end; row += kBlockRows) {
      arena.rewind(mark);
      const std::int64_t count = std::min(kBlockRows, end - row);
      const Tensor out = arena.allocate(DType::kF32, {count, columns});
      backend.linear(out, upload(row, count), weight, {});
      scores.resize(static_cast<std::size_t>(count * columns));
      backend.copy_to_host(scores.data(), out);
      parallel_for(count, 16, [&](std::int64_t begin, std::int64_t last) {
        for (std::int64_t r = begin; r < last; ++r) {
          const auto own = std::span(scores).subspan(static_cast<std::size_t>(r * columns), static_cast<std::size_t>(columns));
          for (float& score : own)
            if (score > 1 - 1e-6f) score = 1;  // the product of a vector with itself is 1 but for rounding
          visit(row + r, column, own);
        }
      });
      done += static_cast<double>(count * columns);
      const double all = static_cast<double>(rows) * static_cast<double>(half ? (rows + kBlockColumns) / 2 : rows);
      if (progress) progress(std::min(rows, static_cast<std::int64_t>(done / all * static_cast<double>(rows))));
    }
  }
}

bool higher(const SimilarPair& x, const SimilarPair& y) { return std::tie(y.score, x.a, x.b) < std::tie(x.score, y.a, y.b); }

}  // namespace

std::vector<SimilarPair> similar_pairs(Backend& backend, std::span<const float> unit, std::int64_t width, float threshold, std::size_t most,
                                       const RowProgress& progress) {
  std::vector<SimilarPair> out;
  std::mutex adding;
  for_each_score(backend, unit, width, true, progress, [&](std::int64_t row, std::int64_t column, std::span<const float> scores) {
    for (auto i = static_cast<std::size_t>(std::max<std::int64_t>(0, row + 1 - column)); i < scores.size(); ++i) {
      if (scores[i] < threshold) continue;
      const std::lock_guard lock(adding);
      if (out.size() == most)
        throw Error(ErrorTag::kResources, "--threshold", fmt::format("expected at most {} pairs, got more", most), "raise the threshold");
      out.push_back({static_cast<std::uint32_t>(row), static_cast<std::uint32_t>(column + static_cast<std::int64_t>(i)), scores[i]});
    }
  });
  std::sort(out.begin(), out.end(), higher);
  return out;
}

std::vector<SimilarPair> nearest_rows(Backend& backend, std::span<const float> unit, std::int64_t width, std::int64_t k,
                                      const RowProgress& progress) {
  std::vector<std::vector<SimilarPair>> best(unit.size() / static_cast<std::size_t>(width));  // heaps whose front is the lowest
  for_each_score(backend, unit, width, false, progress, [&](std::int64_t row, std::int64_t column, std::span<const float> scores) {
    std::vector<SimilarPair>& heap = best[static_cast<std::size_t>(row)];
    for (std::size_t i = 0; i < scores.size(); ++i) {
      const auto other = static_cast<std::uint32_t>(column + static_cast<std::int64_t>(i));
      const SimilarPair pair{static_cast<std::uint32_t>(row), other, scores[i]};
      if (other == pair.a || (std::ssize(heap) == k && !higher(pair, heap.front()))) continue;
      if (std::ssize(heap) == k) {
        std::pop_heap(heap.begin(), heap.end(), higher);
        heap.pop_back();
      }
      heap.push_back(pair);
      std::push_heap(heap.begin(), heap.end(), higher);
    }
  });
  std::vector<SimilarPair> out;
  for (std::vector<SimilarPair>& heap : best) {
    std::sort_heap(heap.begin(), heap.end(), higher);
    out.insert(out.end(), heap.begin(), heap.end());
  }
  return out;
}

}  // namespace minbert
