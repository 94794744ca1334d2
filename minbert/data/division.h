// Division: which rows of train become dev or test rows, and which rows a `limit` keeps.
#pragma once

#include <cstdint>
#include <vector>

#include "minbert/data/dataset.h"

namespace minbert {

/// The split that each row of train goes to. The shares are of all rows; where draw.folds is set, the fold is the test split, and dev is
/// a share of the other rows. Every drawn split has about the labels of the whole (numbers: its quantiles), and dev has at least one row
/// of each label that two or more rows have. Depends on the rows' labels, their order and `draw` alone. Throws Error: kUsage for a share
/// outside [0, 1) or a fold that does not exist, kData naming `file` if a split would be empty.
std::vector<Split> divide_train(const std::vector<Row>& rows, const TaskLabels& labels, double dev, double test, const SplitDraw& draw,
                                const std::string& file);

/// Removes all but `limit` of the rows from `begin` on, which keep their order: drawn ones, or the first ones. Returns how many it removed.
std::int64_t apply_limit(std::vector<Row>& rows, std::size_t begin, const DataSource& source, const SplitDraw& draw);

/// The numbers of the rows that a source with `rows` usable rows keeps, ascending.
std::vector<std::size_t> rows_within_limit(std::size_t rows, const DataSource& source, const SplitDraw& draw);

}  // namespace minbert
