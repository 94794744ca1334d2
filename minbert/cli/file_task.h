// FileTask: a task made of one file whose columns are named by flags or recognised, with type and labels inferred.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "minbert/pipeline/task.h"

namespace minbert {

/// --text, --text-pair, --label, --id: empty ones are recognised by usual names.
struct ColumnFlags {
  std::string text, text_pair, label, id;
};
void add_columns(CLI::App& app, ColumnFlags& columns, bool with_label, bool with_pair = true);

/// Pairs where there is a second text, numbers where the labels are numbers: then regress, else classify. `file` is its train split.
/// Throws Error(kData) when a column is missing, or no column is a text or a label.
TaskSpec infer_task(const std::string& file, const ColumnFlags& columns);

}  // namespace minbert
