// infer_task: makes a task of one data file; flags name its columns, and what they leave open is inferred.
#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "minbert/pipeline/task.h"

namespace minbert {

/// --text, --text-pair, --label, --id; empty: not given.
struct ColumnFlags {
  std::string text, text_pair, label, id;
};
/// Declares --text and --id, and --text-pair and --label where asked.
void add_columns(CLI::App& app, ColumnFlags& columns, bool with_label, bool with_pair = true);

/// A task whose train split is `file`. Columns without a flag are recognised by usual names; the task is a pair task if there is a second
/// text, and regresses if guess_labels finds numbers. Throws Error(kData) if a column is missing or no column is a text or a label.
TaskSpec infer_task(const std::string& file, const ColumnFlags& columns);

}  // namespace minbert
