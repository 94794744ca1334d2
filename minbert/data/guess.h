// Guesses for data without a config: which column holds what, and which kind of labels there are.
#pragma once

#include <array>
#include <span>
#include <string>

#include "minbert/data/data_spec.h"
#include "minbert/data/labels.h"

namespace minbert {

/// A spec whose train is this file. Columns that `given` does not name are recognised by their usual names, a second text only if `given`
/// names no first one; a column that is not found stays empty. Throws Error(kData) listing the columns if none of several is a text.
DataSpec guess_spec(const std::string& path, const DataSpec& given = {});

/// Numbers in [range[0], range[1]] if all labels are numbers and one is a fraction or more than 20 differ; else classes.
struct LabelGuess {
  TaskLabels labels;
  std::array<double, 2> range = {0, 0};
};
LabelGuess guess_labels(std::span<const std::string> labels);

}  // namespace minbert
