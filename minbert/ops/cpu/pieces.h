// How a matrix product is cut into smaller ones for several threads.
#pragma once

#include <algorithm>
#include <cstdint>

#include "minbert/base/parallel.h"
#include "minbert/base/round_up.h"

namespace minbert::cpu {

/// A length in pieces of equal size, but the last.
struct Cut {
  std::int64_t total, size, count;
  Cut(std::int64_t length, std::int64_t piece) : total(length), size(piece), count(divide_up(length, piece)) {}
  std::int64_t begin(std::int64_t i) const { return i * size; }
  std::int64_t length(std::int64_t i) const { return std::min(size, total - begin(i)); }
};

/// A product (rows, depth) (depth, cols) as smaller ones on all threads, of at most `most_rows`. Columns are cut where the rows are too
/// few, between blocks of b.
struct Pieces {
  Cut rows, cols;

  static Pieces of(std::int64_t rows, std::int64_t cols, std::int64_t depth, std::int64_t block, std::int64_t most_rows) {
    constexpr std::int64_t kWorthACall = 1 << 20, kManyRows = 32;
    const std::int64_t threads = num_threads(), worth = std::max<std::int64_t>(1, rows * cols * depth / kWorthACall);
    // Every piece of rows reads all of b, so that a thread has several pieces of rows only where they are many, and few rows are cut only
    // if the columns cannot be.
    const std::int64_t few_rows = block == 0 ? 8 : kManyRows;
    const std::int64_t across_rows =
        std::min({worth, std::max<std::int64_t>(1, rows / few_rows), std::clamp(rows / kManyRows, threads, 2 * threads)});
    const std::int64_t across_cols = block == 0 ? 1 : std::clamp<std::int64_t>(std::min(worth, threads) / across_rows, 1, cols / block);
    return {Cut(rows, std::min(most_rows, divide_up(rows, across_rows))),
            Cut(cols, across_cols == 1 ? cols : divide_up(cols / block, across_cols) * block)};
  }
};

}  // namespace minbert::cpu
