// Finds the columns first; then the labels decide the type.
#include "minbert/cli/file_task.h"

#include <filesystem>

#include "minbert/data/dataset.h"
#include "minbert/data/guess.h"

namespace minbert {
namespace {

/// A task name made from the file's name: its extension dropped, and _ for what is not a letter, a digit, - or _.
std::string task_name(const std::string& file) {
  std::string name = std::filesystem::path(file).stem().string();
  for (char& c : name) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!fits) c = '_';
  }
  return name.empty() || name == "-" ? "task" : name;
}

}  // namespace

void add_columns(CLI::App& app, ColumnFlags& columns, bool with_label, bool with_pair) {
  app.add_option("--text", columns.text, "column of the text: name, or number from 0")->type_name("COL");
  if (with_pair) app.add_option("--text-pair", columns.text_pair, "column of the second text, for pairs")->type_name("COL");
  if (with_label) app.add_option("--label", columns.label, "column of the label")->type_name("COL");
  app.add_option("--id", columns.id, "column of the id")->type_name("COL");
}

TaskSpec infer_task(const std::string& file, const ColumnFlags& columns) {
  TaskSpec task;
  task.name = task_name(file);
  DataSpec given;
  given.text = columns.text;
  given.text_pair = columns.text_pair;
  given.label = columns.label;
  given.id = columns.id;
  task.data = guess_spec(file, given);
  const LabelGuess guess = guess_labels(label_texts(task.data));
  task.labels = guess.labels;
  const bool pair = !task.data.text_pair.empty(), numbers = guess.labels.kind == TaskLabels::Kind::kRange;
  if (numbers) task.data.label_range = guess.range;
  task.type = numbers ? (pair ? TaskType::kPairRegress : TaskType::kRegress) : (pair ? TaskType::kPairClassify : TaskType::kClassify);
  return task;
}

}  // namespace minbert
