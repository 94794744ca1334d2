// Guesses for data that comes without a config: which column is what, and what kind of labels there are.
#pragma once

#include <array>
#include <span>
#include <string>

#include "minbert/data/data_spec.h"
#include "minbert/data/labels.h"

namespace minbert {

/// A spec whose train is this file. Columns that `given` does not name are recognised by their usual names (a second text only where the
/// first is not given); a column not found stays empty. Throws Error(kData) listing the columns when none of several is a text.
DataSpec guess_spec(const std::string& path, const DataSpec& given = {});

/// Classes, or numbers in [range[0], range[1]] when some label is a fraction or there are more than 20 different numbers.
struct LabelGuess {
  TaskLabels labels;
  std::array<double, 2> range = {0, 0};
};
LabelGuess guess_labels(std::span<const std::string> labels);

}  // namespace minbert
