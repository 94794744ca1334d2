// Similar rows: the pairs of rows whose sentence vectors are closest, found exactly, by products of blocks.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "minbert/ops/backend.h"
#include "minbert/pipeline/tokens.h"

namespace minbert {

/// Two rows, by number, and the cosine of their vectors.
struct SimilarPair {
  std::uint32_t a = 0, b = 0;
  float score = 0;
};

/// Every pair a < b whose cosine is at least `threshold`: highest first, then by a and b. `unit` (rows, width) holds vectors of length 1,
/// row-major. Beside it, a few MB are needed, and 12 bytes a pair. `progress` gets the share of the work that is done, in rows. Throws
/// Error(kResources) when there are more than `most` pairs.
std::vector<SimilarPair> similar_pairs(Backend& backend, std::span<const float> unit, std::int64_t width, float threshold, std::size_t most,
                                       const RowProgress& progress = {});

/// For each row a in order, the `k` other rows b of highest cosine, highest first, then by b; fewer where there are fewer other rows.
/// `unit` and `progress` are those of similar_pairs.
std::vector<SimilarPair> nearest_rows(Backend& backend, std::span<const float> unit, std::int64_t width, std::int64_t k,
                                      const RowProgress& progress = {});

}  // namespace minbert
