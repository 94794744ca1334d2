// Figures about rows for `data stats` and `data check`: balance, lengths, duplicates, overlap between splits.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/data/dataset.h"

namespace minbert {

/// Lengths in words between blanks.
struct LengthStats {
  std::int64_t shortest = 0, longest = 0;
  double mean = 0;
  std::int64_t median = 0, p95 = 0, p99 = 0;  ///< smallest length that at least this share of texts does not exceed
};

struct SplitStats {
  std::int64_t rows = 0;
  std::map<std::string, std::int64_t> label_counts;  ///< as in SplitReport
  double majority = 0;                               ///< share of the most frequent class; 0 for numbers
  LengthStats length, length_pair;
  std::int64_t empty_texts = 0;
  std::int64_t duplicates = 0;                ///< rows whose texts (comparison keys) an earlier row has
  std::int64_t conflicting = 0;               ///< of them, with another label than the earlier row
  std::vector<std::string> duplicate_places;  ///< "file:line = file:line", the first 20
};

/// Rows of one split whose texts, all together, also stand in another.
struct Overlap {
  std::string of, in;
  std::int64_t rows = 0;
};

struct DataStats {
  std::map<std::string, SplitStats> splits;  ///< by split_name
  std::vector<Overlap> overlaps;             ///< dev in train, test in train, test in dev, where both exist
};

DataStats data_stats(const TaskRows& task);
SplitStats split_stats(const Rows& rows, const TaskLabels& labels);
void to_json(Json& json, const DataStats& stats);

}  // namespace minbert
