// Finds the columns first; then the labels decide the type.
#include "minbert/cli/file_task.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <span>

#include "minbert/base/unicode.h"
#include "minbert/cli/session.h"
#include "minbert/data/dataset.h"
#include "minbert/data/guess.h"
#include "minbert/data/guess_sets.h"

namespace minbert {
namespace {

/// The labels that --labels gives: a count, or names.
TaskLabels labels_of(const FileTaskFlags& flags) {
  if (flags.type == "regress") throw Error(ErrorTag::kUsage, "--labels", "expected none for --type regress: numbers have no classes");
  const auto count = flags.labels.size() == 1 ? parse_number(flags.labels.front()) : std::nullopt;
  const bool is_count = count && *count == std::floor(*count) && std::abs(*count) < 1e9;
  TomlValue value = is_count ? TomlValue(static_cast<std::int64_t>(*count)) : OptionType<std::vector<std::string>>::write(flags.labels);
  value.origin.place = "--labels";
  TaskLabels labels;
  OptionType<TaskLabels>::read(TomlNode(value, "labels"), labels);
  return labels;
}

/// "5 classes, 0 to 4", "2 classes, "bad", "good"", "3 labels, "a", "b", "c"" for sets, or "numbers".
std::string classes_text(const TaskLabels& labels) {
  constexpr int kShown = 8;
  if (labels.kind == TaskLabels::Kind::kRange) return "numbers";
  if (labels.kind == TaskLabels::Kind::kCount)
    return fmt::format("{} {}, 0 to {}", labels.count, labels.sets ? "labels" : "classes", labels.count - 1);
  std::string names;
  for (int k = 0; k < std::min(labels.count, kShown); ++k)
    names += fmt::format("{}\"{}\"", k == 0 ? "" : ", ", printable(labels.class_name(k)));
  return fmt::format("{} {}, {}{}", labels.count, labels.sets ? "labels" : "classes", names, labels.count > kShown ? " ..." : "");
}

/// The line about a task: each part that no flag gave names the flag that would.
std::string inferred_text(const std::string& file, const TaskSpec& task, const FileTaskFlags& flags, const Dialect& dialect,
                          const std::string& basis) {
  const DataSpec& data = task.data;
  const auto unless_given = [](bool given, const char* flag) { return given ? std::string() : fmt::format(" ({})", flag); };
  const auto column = [](const std::string& name, const char* otherwise) {
    return name.empty() ? std::string(otherwise) : fmt::format("column \"{}\"", name);
  };
  std::string text =
      fmt::format("{}: {}{}", file, option_name(task.type), unless_given(!flags.type.empty() || !flags.labels.empty(), "--type"));
  text += fmt::format(", {}{}", classes_text(task.labels), unless_given(!flags.labels.empty() || task.is_regression(), "--labels"));
  text += fmt::format("; labels from {}{}", column(data.label, "column \"label\""), unless_given(!flags.columns.label.empty(), "--label"));
  if (!basis.empty()) text += fmt::format(": {}", basis);
  text += fmt::format("; text from {}{}", column(data.text, "the only column"), unless_given(!flags.columns.text.empty(), "--text"));
  if (task.is_pair())
    text += fmt::format(" and {}{}", column(data.text_pair, ""), unless_given(!flags.columns.text_pair.empty(), "--text-pair"));
  if (!data.id.empty()) text += fmt::format("; ids from {}{}", column(data.id, ""), unless_given(!flags.columns.id.empty(), "--id"));
  if (dialect.format == TableFormat::kDelimited)
    text += fmt::format("; {}{}", dialect.header ? "the first line names the columns" : "no header",
                        unless_given(!flags.header.empty(), "--header"));
  return text;
}

LabelKind kind_of_type(std::string_view type) {
  if (type == "regress") return LabelKind::kNumbers;
  if (type == "multi_label") return LabelKind::kSets;
  return type.empty() ? LabelKind::kAny : LabelKind::kClasses;
}

}  // namespace

void add_columns(CLI::App& app, ColumnFlags& columns, bool with_label, bool with_pair) {
  app.add_option("--text", columns.text, "column of the text: name, or number from 0")->type_name("COL");
  if (with_pair) app.add_option("--text-pair", columns.text_pair, "column of the second text, for pairs")->type_name("COL");
  if (with_label) app.add_option("--label", columns.label, "column of the label")->type_name("COL");
  app.add_option("--id", columns.id, "column of the id")->type_name("COL");
}

void need_file(CLI::App& app, std::initializer_list<const char*> flags, const char* other) {
  for (const char* flag : flags) app.get_option(flag)->needs(app.get_option(other));
}

void add_encoding(CLI::App& app, std::string& encoding) {
  app.add_option("--encoding", encoding, "of the file: utf-8 | latin-1 | cp1252 (of Windows) [utf-8]")
      ->check(one_of({"utf-8", "latin-1", "cp1252"}))
      ->type_name("NAME");
}

void add_file_task(CLI::App& app, FileTaskFlags& flags) {
  add_columns(app, flags.columns, true);
  app.add_option("--type", flags.type,
                 "what labels are: classify (each different one is a class) | regress (numbers) | multi_label (a cell may list several) "
                 "[by the labels]")
      ->check(one_of({"classify", "regress", "multi_label"}))
      ->type_name("NAME");
  app.add_option("--labels", flags.labels, "classes: their count, or names with commas between them [those of the file]")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("N|A,B");
  app.add_option("--header", flags.header, "whether the first line names the columns: yes | no [by its look]")
      ->check(one_of({"yes", "no"}))
      ->type_name("YES|NO");
  add_encoding(app, flags.encoding);
  app.add_option("--in-format", flags.format, "format of the file: csv | tsv | jsonl [by its name and look]")
      ->check(one_of({"csv", "tsv", "jsonl"}))
      ->type_name("NAME");
}

std::string task_name(const std::string& file) {
  std::string name = std::filesystem::path(file).stem().string();
  for (char& c : name) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    if (!fits) c = '_';
  }
  return name.empty() || name == "-" ? "task" : name;
}

FileTask infer_task(const std::vector<std::string>& files, const FileTaskFlags& flags, bool wordiest) {
  const std::string& file = files.front();
  FileTask result;
  TaskSpec& task = result.task;
  task.name = task_name(file);
  DataSpec given;
  given.text = flags.columns.text;
  given.text_pair = flags.columns.text_pair;
  given.label = flags.columns.label;
  given.id = flags.columns.id;
  if (!flags.header.empty()) given.header = flags.header;
  if (!flags.encoding.empty()) given.encoding = flags.encoding;
  if (!flags.format.empty()) given.format = flags.format;
  SpecGuess spec = guess_spec(file, given, wordiest);
  task.data = std::move(spec.spec);
  for (const std::string& more : std::span(files).subspan(1)) task.data.train.push_back({.path = more});
  const bool pair = !task.data.text_pair.empty();
  if (pair && flags.type == "multi_label") throw Error(ErrorTag::kUsage, "--type", "multi_label is for single texts, not for pairs");
  std::string basis;
  if (flags.labels.empty()) {
    LabelGuess guess = guess_labels(task.data, kind_of_type(flags.type));
    task.labels = std::move(guess.labels);
    if (task.labels.sets) task.data.label_separator = std::move(guess.separator);
    basis = std::move(guess.basis);
    result.warning = std::move(guess.warning);
  } else {
    const std::vector<std::string> texts = label_texts(task.data);
    task.labels = labels_of(flags);
    task.labels.sets = flags.type == "multi_label";
    if (task.labels.sets) task.data.label_separator = guess_label_separator(texts).value_or(task.data.label_separator);
    expect_different_labels(task.data, texts);
  }
  const bool numbers = task.labels.kind == TaskLabels::Kind::kRange;
  if (numbers) task.data.label_range = kAnyNumber;
  task.type = numbers ? (pair ? TaskType::kPairRegress : TaskType::kRegress) : (pair ? TaskType::kPairClassify : TaskType::kClassify);
  if (task.labels.sets) task.type = TaskType::kMultiLabel;
  result.inferred = inferred_text(file, task, flags, spec.dialect, basis);
  return result;
}

void say_inferred(const FileTask& file, Console& console) {
  console.info(file.inferred);
  if (!file.warning.empty()) console.warning(fmt::format("{}: {}", file.task.name, file.warning));
}

}  // namespace minbert
