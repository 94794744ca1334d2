// Guesses for data without a config: which column holds what, and which kind of labels there are.
#pragma once

#include <string>

#include "minbert/data/data_spec.h"
#include "minbert/data/labels.h"
#include "minbert/data/table.h"

namespace minbert {

/// Columns of a file that have a person's names or usual ones, and how the file is read.
struct SpecGuess {
  DataSpec spec;
  Dialect dialect;
};

/// A spec whose train is this file. Columns that `given` does not name are recognised by their usual names, a second text only if `given`
/// names no first one; a column that is not found stays empty. If none of several is a text, takes the one with the most words with
/// `wordiest`, else throws Error(kData) with the columns and that one.
SpecGuess guess_spec(const std::string& path, const DataSpec& given = {}, bool wordiest = false);

enum class LabelKind { kAny, kClasses, kNumbers, kSets };

struct LabelGuess {
  TaskLabels labels;
  std::string separator;  ///< of the labels in a cell; empty unless labels.sets
  std::string basis;      ///< what was seen: "25 different whole numbers, 0 to 24"
  std::string warning;    ///< why the guess may be wrong; usually empty
};

/// Guesses what the labels of train are. Texts are classes, and so are whole numbers, as in transformers' run_glue.py, unless they are
/// clearly a scale: many, not numbered from 0 or 1, and few rows with each. Numbers with fractions are numbers. Texts such as
/// "Billing;Delivery" are sets of labels (guess_label_separator), unless there is a second text. A `kind` other than kAny replaces the
/// guess. Throws Error(kData) if fewer than two labels differ, and, with the line, where a column of numbers holds something else.
LabelGuess guess_labels(const DataSpec& spec, LabelKind kind = LabelKind::kAny);

}  // namespace minbert
