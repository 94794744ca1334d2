// Strata of equal labels are shuffled; a draw takes the same share of each, and a fold every K-th row of all strata in turn.
#include "minbert/data/division.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "minbert/base/check.h"
#include "minbert/base/rng.h"

namespace minbert {
namespace {

using RowNumbers = std::vector<std::size_t>;
using Strata = std::vector<RowNumbers>;  // rows of about equal labels

/// The classes of a row: one, or those of its set.
std::vector<int> classes_of_row(const Row& row, const TaskLabels& labels) {
  return labels.sets ? classes_of(row.label) : std::vector<int>{static_cast<int>(row.label)};
}

/// How many rows have each class.
std::map<int, std::int64_t> count_classes(const std::vector<Row>& rows, const TaskLabels& labels) {
  std::map<int, std::int64_t> counts;
  for (const Row& row : rows)
    for (const int k : classes_of_row(row, labels)) ++counts[k];
  return counts;
}

/// Tenths of the rows by rising number.
Strata quantile_strata(const std::vector<Row>& rows) {
  constexpr std::size_t kStrata = 10;
  RowNumbers order(rows.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rows[a].label < rows[b].label; });
  Strata strata(kStrata);
  for (std::size_t i = 0; i < order.size(); ++i) strata[i * kStrata / order.size()].push_back(order[i]);
  return strata;
}

/// The rows of each class; a row with a set of classes counts for the rarest of them, since common ones are met anyway.
Strata class_strata(const std::vector<Row>& rows, const TaskLabels& labels) {
  const auto counts = count_classes(rows, labels);
  std::map<int, RowNumbers> strata;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::vector<int> classes = classes_of_row(rows[i], labels);
    const auto rarest = std::ranges::min_element(classes, {}, [&](int k) { return counts.at(k); });
    strata[rarest == classes.end() ? -1 : *rarest].push_back(i);
  }
  Strata list;
  for (auto& [label, members] : strata) list.push_back(std::move(members));
  return list;
}

Strata shuffled_strata(const std::vector<Row>& rows, const TaskLabels& labels, Rng rng) {
  Strata strata = labels.kind == TaskLabels::Kind::kRange ? quantile_strata(rows) : class_strata(rows, labels);
  for (RowNumbers& stratum : strata) rng.shuffle(std::span(stratum));
  return strata;
}

/// How many rows of strata of these sizes make up the share: largest remainders, and for a share below 1 never a whole stratum.
std::vector<std::size_t> allocate(const std::vector<std::size_t>& sizes, double share) {
  std::vector<std::size_t> counts;
  std::vector<std::pair<double, std::size_t>> remainders;
  for (std::size_t s = 0; s < sizes.size(); ++s) {
    const double exact = share * static_cast<double>(sizes[s]);
    counts.push_back(static_cast<std::size_t>(exact));
    remainders.emplace_back(std::floor(exact) - exact, s);
  }
  const auto all = static_cast<double>(std::accumulate(sizes.begin(), sizes.end(), std::size_t{0}));
  auto left = std::llround(share * all);
  for (const std::size_t count : counts) left -= static_cast<long long>(count);
  std::ranges::stable_sort(remainders, {}, &std::pair<double, std::size_t>::first);
  for (std::size_t i = 0; left > 0 && i < remainders.size(); ++i) {
    const std::size_t s = remainders[i].second;
    if (counts[s] + 1 >= sizes[s]) continue;
    ++counts[s];
    --left;
  }
  return counts;
}

/// Moves rows of train to `to`: the share of each stratum's rows of train.
void draw_share(std::vector<Split>& splits, const Strata& strata, double share, Split to) {
  Strata candidates;
  std::vector<std::size_t> sizes;
  for (const RowNumbers& stratum : strata) {
    RowNumbers& rows = candidates.emplace_back();
    std::ranges::copy_if(stratum, std::back_inserter(rows), [&](std::size_t i) { return splits[i] == Split::kTrain; });
    sizes.push_back(rows.size());
  }
  const std::vector<std::size_t> counts = allocate(sizes, share);
  for (std::size_t s = 0; s < candidates.size(); ++s)
    for (std::size_t i = 0; i < counts[s]; ++i) splits[candidates[s][i]] = to;
}

/// Gives dev a row of each class that has two or more rows outside of test and none in dev.
void complete_dev(std::vector<Split>& splits, const Strata& strata, const std::vector<Row>& rows, const TaskLabels& labels) {
  std::map<int, std::int64_t> in_train, in_dev;
  for (std::size_t i = 0; i < rows.size(); ++i)
    if (splits[i] != Split::kTest)
      for (const int k : classes_of_row(rows[i], labels)) ++(splits[i] == Split::kDev ? in_dev : in_train)[k];
  for (const RowNumbers& stratum : strata)
    for (const std::size_t i : stratum) {
      if (splits[i] != Split::kTrain) continue;
      const std::vector<int> classes = classes_of_row(rows[i], labels);
      const bool lacks = std::ranges::any_of(classes, [&](int k) { return in_dev[k] == 0 && in_train[k] >= 2; });
      if (!lacks) continue;
      splits[i] = Split::kDev;
      for (const int k : classes) --in_train[k], ++in_dev[k];
    }
}

void check_share(double share, std::string_view key) {
  if (!(share >= 0 && share < 1))
    throw Error(ErrorTag::kUsage, key, fmt::format("expected files or a fraction between 0 and 1, got {}", share));
}

void expect_rows(const std::vector<Split>& splits, Split split, const std::string& file) {
  const auto rows = std::ranges::count(splits, split);
  if (rows > 0 && rows < std::ssize(splits) && std::ranges::count(splits, Split::kTrain) > 0) return;
  throw Error(ErrorTag::kData, file,
              fmt::format("expected a {} fraction that leaves rows on both sides, got {} of {} usable rows", split_name(split), rows,
                          splits.size()));
}

}  // namespace

std::vector<Split> divide_train(const std::vector<Row>& rows, const TaskLabels& labels, double dev, double test, const SplitDraw& draw,
                                const std::string& file) {
  check_share(dev, "dev");
  check_share(test, "test");
  if (draw.folds > 0 && !(draw.folds >= 2 && draw.fold >= 0 && draw.fold < draw.folds))
    throw Error(ErrorTag::kUsage, "data.fold", fmt::format("expected a fold from 0 to {}, got {}", draw.folds - 1, draw.fold));
  std::vector<Split> splits(rows.size(), Split::kTrain);
  if (draw.folds > 0) {
    if (static_cast<std::size_t>(draw.folds) > rows.size())
      throw Error(ErrorTag::kData, file, fmt::format("expected a usable row for each of {} folds, got {}", draw.folds, rows.size()));
    std::size_t place = 0;
    for (const RowNumbers& stratum : shuffled_strata(rows, labels, Rng(draw.seed, "data.folds")))
      for (const std::size_t i : stratum)
        if (place++ % static_cast<std::size_t>(draw.folds) == static_cast<std::size_t>(draw.fold)) splits[i] = Split::kTest;
    expect_rows(splits, Split::kTest, file);
  }
  if (dev > 0) {
    const Strata strata = shuffled_strata(rows, labels, Rng(draw.seed, "data.dev"));
    draw_share(splits, strata, dev, Split::kDev);
    if (labels.kind != TaskLabels::Kind::kRange) complete_dev(splits, strata, rows, labels);
    expect_rows(splits, Split::kDev, file);
  }
  if (test > 0 && draw.folds == 0) {
    const auto train = static_cast<double>(std::ranges::count(splits, Split::kTrain));
    draw_share(splits, shuffled_strata(rows, labels, Rng(draw.seed, "data.test")),
               std::min(1.0, test * static_cast<double>(rows.size()) / train), Split::kTest);
    expect_rows(splits, Split::kTest, file);
  }
  return splits;
}

std::vector<std::size_t> rows_within_limit(std::size_t rows, const DataSource& source, const SplitDraw& draw) {
  std::vector<std::size_t> kept(rows);
  std::iota(kept.begin(), kept.end(), std::size_t{0});
  const auto limit = static_cast<std::size_t>(source.limit);
  if (limit == 0 || limit >= rows) return kept;
  if (!source.first) Rng(draw.seed, "data.limit").shuffle(std::span(kept));
  kept.resize(limit);
  std::ranges::sort(kept);
  return kept;
}

std::int64_t apply_limit(std::vector<Row>& rows, std::size_t begin, const DataSource& source, const SplitDraw& draw) {
  const std::size_t before = rows.size();
  std::size_t end = begin;
  for (const std::size_t kept : rows_within_limit(before - begin, source, draw)) {
    if (end != begin + kept) rows[end] = std::move(rows[begin + kept]);
    ++end;
  }
  rows.resize(end);
  return static_cast<std::int64_t>(before - end);
}

}  // namespace minbert
