// Figures for `data stats`: label balance, lengths, duplicates, overlap between splits and between tasks.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/data/dataset.h"

namespace minbert {

/// Lengths of texts, in words between blanks or in tokens.
struct LengthStats {
  std::int64_t shortest = 0, longest = 0;
  double mean = 0;
  std::int64_t median = 0, p95 = 0, p99 = 0;  ///< quantiles: the smallest length that this share of texts does not exceed
};
LengthStats length_stats(std::vector<std::int64_t> lengths);
void to_json(Json& json, const LengthStats& stats);

struct SplitStats {
  std::int64_t rows = 0;
  std::map<std::string, std::int64_t> label_counts;  ///< as in SplitReport
  double majority = 0;                               ///< share of the most frequent class; 0 for numbers
  LengthStats length, length_pair;                   ///< in words
  std::int64_t empty_texts = 0;
  std::int64_t duplicates = 0;                ///< rows whose texts (comparison keys) an earlier row has too
  std::int64_t conflicting = 0;               ///< duplicates whose label differs from the earlier row's
  std::vector<std::string> duplicate_places;  ///< the first 20, as "file:line = file:line"
};

/// How many rows of split `of` have all their texts in one row of split `in`.
struct Overlap {
  std::string of, in;
  std::int64_t rows = 0;
};

struct DataStats {
  std::map<std::string, SplitStats> splits;  ///< by split_name
  std::vector<Overlap> overlaps;             ///< dev in train, test in train, test in dev, if both exist
};

DataStats data_stats(const TaskRows& task);
/// How many rows of `of` have a text and a text_pair that both equal, by comparison_key, those of one row of `in`.
std::int64_t count_overlap(const Rows& of, const Rows& in);
SplitStats split_stats(const Rows& rows, const TaskLabels& labels);

/// How many rows of a task's train have a text that another task's dev or test has too.
struct TaskOverlap {
  std::string of, in;      ///< "rt.train", "sst.dev"
  std::int64_t rows = 0;   ///< at least one text occurs there
  std::int64_t whole = 0;  ///< all texts occur there; equals rows for single texts
};
struct NamedRows {
  std::string task;
  const TaskRows* rows;
};
/// Compares each train with the dev and test of every other task, in the order of the tasks.
std::vector<TaskOverlap> overlaps_between(std::span<const NamedRows> tasks);
void to_json(Json& json, const DataStats& stats);

}  // namespace minbert
