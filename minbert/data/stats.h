// Figures about rows for `data stats`: balance, lengths, duplicates, overlap between splits and between tasks.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/data/dataset.h"

namespace minbert {

/// Lengths of texts: in words between blanks, or in tokens.
struct LengthStats {
  std::int64_t shortest = 0, longest = 0;
  double mean = 0;
  std::int64_t median = 0, p95 = 0, p99 = 0;  ///< smallest length that at least this share of texts does not exceed
};
LengthStats length_stats(std::vector<std::int64_t> lengths);
void to_json(Json& json, const LengthStats& stats);

struct SplitStats {
  std::int64_t rows = 0;
  std::map<std::string, std::int64_t> label_counts;  ///< as in SplitReport
  double majority = 0;                               ///< share of the most frequent class; 0 for numbers
  LengthStats length, length_pair;                   ///< in words
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

/// Rows of a task's train whose texts, compared one by one, also stand in another task's dev or test.
struct TaskOverlap {
  std::string of, in;      ///< "rt.train", "sst.dev"
  std::int64_t rows = 0;   ///< with one such text at least
  std::int64_t whole = 0;  ///< with no other text: the same number for single texts
};
struct NamedRows {
  std::string task;
  const TaskRows* rows;
};
/// Each train against the dev and test of every other task, in their order.
std::vector<TaskOverlap> overlaps_between(std::span<const NamedRows> tasks);
void to_json(Json& json, const DataStats& stats);

}  // namespace minbert
