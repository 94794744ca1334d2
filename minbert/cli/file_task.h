// infer_task: makes a task of one data file; flags name its columns and labels, and what they leave open is inferred.
#pragma once

#include <CLI/CLI.hpp>
#include <initializer_list>
#include <string>
#include <vector>

#include "minbert/cli/console.h"
#include "minbert/pipeline/task.h"

namespace minbert {

/// --text, --text-pair, --label, --id; empty: not given.
struct ColumnFlags {
  std::string text, text_pair, label, id;
};
/// Declares --text and --id, and --text-pair and --label where asked.
void add_columns(CLI::App& app, ColumnFlags& columns, bool with_label, bool with_pair = true);
/// Refuses flags that say how a file is read where `other`, which names the file, is not given. All must be declared.
void need_file(CLI::App& app, std::initializer_list<const char*> flags, const char* other);
/// Declares --encoding.
void add_encoding(CLI::App& app, std::string& encoding);

/// What may be said of a data file instead of being inferred: the columns, --type, --labels, --header, --encoding, --in-format; empty: not
/// given.
struct FileTaskFlags {
  ColumnFlags columns;
  std::string type, header, encoding, format;
  std::vector<std::string> labels;
};
void add_file_task(CLI::App& app, FileTaskFlags& flags);

struct FileTask {
  TaskSpec task;
  std::string inferred;  ///< a line for people: what was inferred, from what, and which flag says otherwise
  std::string warning;   ///< why it may be wrong; usually empty
};

/// A task name made from the file's name: its extension dropped, and _ for what is not a letter, a digit, - or _.
std::string task_name(const std::string& file);

/// A task whose train split are these files, one or more. Columns without a flag are recognised by usual names in the first file; the task
/// is a pair task if there is a second text, and what guess_labels finds says whether it regresses or is multi_label. Throws Error(kData)
/// if a column is missing, no column is a text (see guess_spec) or a label, or the labels teach nothing, and Error(kUsage) for labels of
/// numbers and for sets of labels of pairs.
FileTask infer_task(const std::vector<std::string>& files, const FileTaskFlags& flags, bool wordiest = false);
/// Prints what was inferred, and the warning if there is one.
void say_inferred(const FileTask& file, Console& console);

}  // namespace minbert
