// Counts and compares rows.
#include "minbert/data/stats.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>
#include <unordered_set>

#include "minbert/data/text.h"

namespace minbert {
namespace {

constexpr std::size_t kPlacesListed = 20;

std::string row_key(const Row& row) { return comparison_key(row.text) + '\n' + comparison_key(row.text_pair); }

/// The comparison keys of a row's texts; blank texts are left out.
std::vector<std::string> text_keys(const Row& row) {
  std::vector<std::string> keys;
  for (const std::string* text : {&row.text, &row.text_pair})
    if (std::string key = comparison_key(*text); !key.empty()) keys.push_back(std::move(key));
  return keys;
}

TaskOverlap overlap_between(const Rows& train, const Rows& other) {
  std::unordered_set<std::string> known;
  for (const Row& row : other.rows)
    for (std::string& key : text_keys(row)) known.insert(std::move(key));
  TaskOverlap overlap;
  for (const Row& row : train.rows) {
    const auto keys = text_keys(row);
    const auto found = std::count_if(keys.begin(), keys.end(), [&](const std::string& key) { return known.contains(key); });
    overlap.rows += found > 0;
    overlap.whole += found > 0 && found == std::ssize(keys);
  }
  return overlap;
}

}  // namespace

std::int64_t count_overlap(const Rows& of, const Rows& in) {
  std::unordered_set<std::string> keys;
  for (const Row& row : in.rows) keys.insert(row_key(row));
  return std::count_if(of.rows.begin(), of.rows.end(), [&](const Row& row) { return keys.contains(row_key(row)); });
}

LengthStats length_stats(std::vector<std::int64_t> lengths) {
  if (lengths.empty()) return {};
  std::sort(lengths.begin(), lengths.end());
  const auto n = static_cast<double>(lengths.size());
  const auto quantile = [&](double share) { return lengths[static_cast<std::size_t>(std::ceil(share * n)) - 1]; };
  LengthStats stats;
  stats.shortest = lengths.front();
  stats.longest = lengths.back();
  stats.mean = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0})) / n;
  stats.median = quantile(0.5);
  stats.p95 = quantile(0.95);
  stats.p99 = quantile(0.99);
  return stats;
}

void to_json(Json& json, const LengthStats& stats) {
  json = {{"shortest", stats.shortest}, {"mean", stats.mean}, {"median", stats.median},
          {"p95", stats.p95},           {"p99", stats.p99},   {"longest", stats.longest}};
}

SplitStats split_stats(const Rows& rows, const TaskLabels& labels) {
  SplitStats stats;
  stats.rows = std::ssize(rows.rows);
  stats.label_counts = label_counts(rows.rows, labels);
  if (labels.kind != TaskLabels::Kind::kRange && stats.rows > 0) {
    std::int64_t most = 0;
    for (const auto& [label, count] : stats.label_counts) most = label == kNoLabelName ? most : std::max(most, count);
    stats.majority = static_cast<double>(most) / static_cast<double>(stats.rows);
  }
  std::vector<std::int64_t> lengths, pair_lengths;
  std::unordered_map<std::string, const Row*> first;
  const bool pairs = std::any_of(rows.rows.begin(), rows.rows.end(), [](const Row& row) { return !row.text_pair.empty(); });
  for (const Row& row : rows.rows) {
    lengths.push_back(static_cast<std::int64_t>(count_words(row.text)));
    if (pairs) pair_lengths.push_back(static_cast<std::int64_t>(count_words(row.text_pair)));
    stats.empty_texts += lengths.back() == 0 || (pairs && pair_lengths.back() == 0);
    const auto [earlier, added] = first.try_emplace(row_key(row), &row);
    if (added) continue;
    ++stats.duplicates;
    stats.conflicting += row.labelled() && earlier->second->labelled() && row.label != earlier->second->label;
    if (stats.duplicate_places.size() < kPlacesListed)
      stats.duplicate_places.push_back(fmt::format("{} = {}", rows.place(row), rows.place(*earlier->second)));
  }
  stats.length = length_stats(std::move(lengths));
  stats.length_pair = length_stats(std::move(pair_lengths));
  return stats;
}

DataStats data_stats(const TaskRows& task) {
  DataStats stats;
  const std::vector<std::pair<std::string, const Rows*>> splits = {{"train", &task.train}, {"dev", &task.dev}, {"test", &task.test}};
  for (const auto& [name, rows] : splits)
    if (!rows->rows.empty()) stats.splits[name] = split_stats(*rows, task.labels);
  for (std::size_t later = 1; later < splits.size(); ++later)
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      const auto& [of, of_rows] = splits[later];
      const auto& [in, in_rows] = splits[earlier];
      if (!of_rows->rows.empty() && !in_rows->rows.empty()) stats.overlaps.push_back({of, in, count_overlap(*of_rows, *in_rows)});
    }
  return stats;
}

std::vector<TaskOverlap> overlaps_between(std::span<const NamedRows> tasks) {
  std::vector<TaskOverlap> overlaps;
  for (const NamedRows& task : tasks)
    for (const NamedRows& other : tasks) {
      if (&task == &other) continue;
      for (const auto& [split, rows] : {std::pair("dev", &other.rows->dev), {"test", &other.rows->test}}) {
        if (rows->rows.empty()) continue;
        overlaps.push_back(overlap_between(task.rows->train, *rows));
        overlaps.back().of = task.task + ".train";
        overlaps.back().in = other.task + "." + split;
      }
    }
  return overlaps;
}

void to_json(Json& json, const DataStats& stats) {
  json = {{"splits", Json::object()}, {"overlaps", Json::array()}};
  for (const auto& [name, split] : stats.splits) {
    Json& out = json["splits"][name];
    out = {{"rows", split.rows},
           {"label_counts", split.label_counts},
           {"majority", split.majority},
           {"words", split.length},
           {"empty_texts", split.empty_texts},
           {"duplicates", split.duplicates},
           {"conflicting", split.conflicting},
           {"duplicate_places", split.duplicate_places}};
    if (split.length_pair.longest > 0) out["words_pair"] = split.length_pair;
  }
  for (const Overlap& overlap : stats.overlaps)
    json["overlaps"].push_back({{"of", overlap.of}, {"in", overlap.in}, {"rows", overlap.rows}});
}

}  // namespace minbert
