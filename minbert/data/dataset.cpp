// Reads rows in one pass over each source: checks a record, reads its label, and keeps it or says why not.
#include "minbert/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <unordered_set>

#include "minbert/base/check.h"
#include "minbert/base/hash.h"
#include "minbert/data/division.h"
#include "minbert/data/known_columns.h"
#include "minbert/data/row_columns.h"
#include "minbert/data/text.h"

namespace minbert {
namespace {

bool skips_bad_rows(const DataSpec& spec) {
  if (spec.on_bad_row != "error" && spec.on_bad_row != "skip")
    throw Error(ErrorTag::kUsage, "on_bad_row", fmt::format("expected error or skip, got \"{}\"", spec.on_bad_row));
  return spec.on_bad_row == "skip";
}

const std::string& text_name(const DataSpec& spec, const DataSource& source) { return source.text.empty() ? spec.text : source.text; }
const std::string& pair_name(const DataSpec& spec, const DataSource& source) {
  return source.text_pair.empty() ? spec.text_pair : source.text_pair;
}

/// Throws for a file that a config names and that is missing, with the folder that its relative path started from. Pipes (/dev/fd/63) are
/// left to whoever opens them.
void require_file(const DataSource& source) {
  std::error_code ignored;
  if (source.path == "-" || source.path.starts_with("/dev/") || source.folder.empty() || std::filesystem::exists(source.path, ignored))
    return;
  const std::string folder = source.folder.lexically_normal().string();
  throw Error(ErrorTag::kData, source.path, "cannot open: No such file or directory",
              !source.path.starts_with(folder)
                  ? ""
                  : fmt::format("without data.root, this path starts at {}; --set data.root=FOLDER names another folder", folder));
}

Table read_source(const DataSpec& spec, const DataSource& source) {
  require_file(source);
  TableOptions options{spec.format,  spec.delimiter,          spec.quote, spec.header, spec.encoding, {},
                       {spec.label}, !spec.text_pair.empty(), spec.hints};
  if (!source.encoding.empty()) options.encoding = source.encoding;
  std::vector<std::string> wanted = {text_name(spec, source), pair_name(spec, source), spec.id};
  if (source.label.empty()) wanted.push_back(spec.label);
  if (source.label.empty()) wanted.insert(wanted.end(), spec.label_columns.begin(), spec.label_columns.end());
  for (const auto& [column, value] : source.where) wanted.push_back(column);
  std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(options.wanted), is_column_name);
  return read_table(source.path, options);
}

// The `where` of a source: columns and the values that they must hold.
class Filter {
 public:
  Filter(const Table& table, const DataSource& source) {
    for (const auto& [column, value] : source.where) conditions_.emplace_back(table.require_column(column, "where"), value);
  }
  bool passes(const Table& table, std::size_t i) const {
    return std::all_of(conditions_.begin(), conditions_.end(),
                       [&](const auto& condition) { return table.cell(i, condition.first) == condition.second; });
  }

 private:
  std::vector<std::pair<std::size_t, std::string>> conditions_;
};

RowColumns find_text_columns(const Table& table, const DataSpec& spec, const DataSource& source) {
  return find_row_columns(table, {.text = text_name(spec, source),
                                  .text_pair = pair_name(spec, source),
                                  .id = spec.id,
                                  .pair = !spec.text_pair.empty(),
                                  .hint = spec.hints.columns});
}

/// Where the labels of a source stand: in one column, in a column of 0 and 1 for each label, or nowhere, if the source has one label for
/// all its rows or labels are optional and absent.
struct LabelColumns {
  std::optional<std::size_t> single = {};
  std::vector<std::size_t> flags = {};
};

LabelColumns find_label_flags(const Table& table, const DataSpec& spec, bool label_needed) {
  LabelColumns columns;
  for (const std::string& name : spec.label_columns) {
    if (!label_needed && !table.find_column(name)) return {};
    columns.flags.push_back(table.require_column(name, "label_columns"));
  }
  return columns;
}

std::optional<std::size_t> find_label_column(const Table& table, const DataSpec& spec, const DataSource& source, bool label_needed) {
  const bool lines = table.dialect().format == TableFormat::kLines;
  if (!source.label.empty() || (lines && !label_needed)) return std::nullopt;
  if (lines) throw Error(ErrorTag::kData, table.name(), "expected a label for a file of plain lines", spec.hints.no_label);
  const std::string name = spec.label.empty() ? "label" : spec.label;
  return label_needed ? table.require_column(name, "label", spec.hints.columns) : table.find_column(name);
}

std::string shortened(std::string_view text) {
  constexpr std::size_t kShown = 40;
  if (text.size() <= kShown) return std::string(text);
  std::size_t end = kShown;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return std::string(text.substr(0, end)) + "...";
}

/// The class that each of label_columns marks.
std::vector<int> flag_classes(const DataSpec& spec, const TaskLabels& labels) {
  std::vector<int> classes;
  for (const std::string& name : spec.label_columns) {
    const auto at = std::ranges::find(labels.names, name);
    MINBERT_CHECK(at != labels.names.end(), "no label \"{}\"", name);
    classes.push_back(static_cast<int>(at - labels.names.begin()));
  }
  return classes;
}

// Reads the sources of one split into rows.
class SplitReader {
 public:
  SplitReader(const DataSpec& spec, const TaskLabels& labels, bool label_needed, const SplitDraw& draw, SplitReport& report)
      : spec_(spec),
        labels_(spec, labels),
        sets_(labels.sets),
        flag_classes_(flag_classes(spec, labels)),
        skip_(skips_bad_rows(spec)),
        label_needed_(label_needed),
        draw_(draw),
        report_(report) {}

  void read(const DataSource& source);
  Rows take() { return std::move(rows_); }

 private:
  std::string read_text(std::string& out, const Table& table, std::size_t column, std::size_t i) const;
  bool has_labels(const Table& table, std::span<const std::size_t> columns, const Filter& filter) const;
  std::string read_label(double& out, const Table& table, const LabelColumns& columns, const DataSource& source, std::size_t i) const;
  std::string read_flags(double& out, const Table& table, const LabelColumns& columns, std::size_t i) const;
  void bad_row(const Table& table, std::size_t i, const std::string& reason);

  const DataSpec& spec_;
  LabelReader labels_;
  bool sets_;
  std::vector<int> flag_classes_;  // of each label column
  bool skip_, label_needed_;
  SplitDraw draw_;
  SplitReport& report_;
  Rows rows_;
};

void SplitReader::bad_row(const Table& table, std::size_t i, const std::string& reason) {
  if (!skip_) throw Error(ErrorTag::kData, fmt::format("{}:{}", table.name(), table.line(i)), reason, spec_.hints.bad_row);
  report_.skipped.push_back({table.name(), table.line(i), reason});
}

// read_text and read_label return what is wrong with the row, or an empty string.
std::string SplitReader::read_text(std::string& out, const Table& table, std::size_t column, std::size_t i) const {
  if (std::string reason = missing_text(table, i, column); !reason.empty()) return reason;
  const std::string_view cell = table.cell(i, column);
  if (label_needed_ && strip(cell).empty()) return fmt::format("{}: expected a text, got an empty one", column_title(table, column));
  out = preprocess_text(spec_, cell);
  return {};
}

/// Whether some label is more than a missing value or a placeholder.
bool SplitReader::has_labels(const Table& table, std::span<const std::size_t> columns, const Filter& filter) const {
  bool placeholders = false;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    if (!table.problem(i).empty() || !filter.passes(table, i)) continue;
    for (const std::size_t column : columns) {
      const std::string_view cell = table.cell(i, column);
      if (labels_.is_missing(cell)) continue;
      if (!labels_.is_placeholder(cell)) return true;
      placeholders = true;
    }
  }
  // Rows of train and dev tell what they lack. A missing set would be read as an empty one.
  return !placeholders && (label_needed_ || !sets_);
}

std::string SplitReader::read_flags(double& out, const Table& table, const LabelColumns& columns, std::size_t i) const {
  std::vector<int> classes;
  for (std::size_t k = 0; k < columns.flags.size(); ++k) {  // in the order of label_columns, which may not be that of the labels
    const std::string_view cell = strip(table.cell(i, columns.flags[k]));
    const std::string word = lower_case(cell);
    const bool yes = word == "true" || word == "yes", no = word == "false" || word == "no" || word.empty();
    const double flag = yes ? 1 : no ? 0 : parse_number(cell).value_or(-1);
    if (flag != 0 && flag != 1)
      return fmt::format("{}: expected 0 or 1, got \"{}\"", column_title(table, columns.flags[k]), shortened(cell));
    if (flag == 1) classes.push_back(flag_classes_[k]);
  }
  out = label_set(classes);
  return {};
}

std::string SplitReader::read_label(double& out, const Table& table, const LabelColumns& columns, const DataSource& source,
                                    std::size_t i) const {
  if (source.label.empty() && !columns.flags.empty()) return read_flags(out, table, columns, i);
  const std::optional<std::size_t> column = columns.single;
  if (source.label.empty() && !column) return {};
  const std::string_view cell = source.label.empty() ? table.cell(i, *column) : std::string_view(source.label);
  const std::string title = source.label.empty() ? column_title(table, *column) : "label of the file";
  if (cell.data() == nullptr && !label_needed_) return {};
  const bool is_empty_set = sets_ && strip(cell).empty();
  if (labels_.is_missing(cell) && !is_empty_set) {
    const std::string got = strip(cell).empty() ? "nothing" : fmt::format("\"{}\", which stands for a missing value", strip(cell));
    return label_needed_ ? fmt::format("{}: expected {}, got {}", title, labels_.expected(), got) : "";
  }
  const auto label = labels_.read(cell);
  if (!label) return fmt::format("{}: expected {}, got \"{}\"", title, labels_.expected(), shortened(cell));
  out = *label;
  return {};
}

void SplitReader::read(const DataSource& source) {
  const Table table = read_source(spec_, source);
  const RowColumns columns = find_text_columns(table, spec_, source);
  LabelColumns labels = spec_.label_columns.empty() ? LabelColumns{.single = find_label_column(table, spec_, source, label_needed_)}
                                                    : find_label_flags(table, spec_, label_needed_);
  const Filter filter(table, source);
  const std::vector<std::size_t> label_columns = labels.single ? std::vector{*labels.single} : labels.flags;
  if (!label_columns.empty() && !has_labels(table, label_columns, filter)) {
    if (label_needed_)
      throw Error(ErrorTag::kData, table.name(),
                  fmt::format("{}: expected labels, got rows without a label alone: -1 stands for none",
                              column_title(table, label_columns.front())),
                  "minbert predict answers such rows; a test split may hold them");
    labels = {};
  }
  const auto file = static_cast<std::int32_t>(rows_.files.size());
  rows_.files.push_back(table.name());
  report_.files.push_back(table.name());
  const std::unordered_set<std::int64_t> repaired(table.repaired_lines().begin(), table.repaired_lines().end());
  const std::size_t begin = rows_.rows.size();
  for (std::size_t i = 0; i < table.rows(); ++i) {
    const std::int64_t number = report_.read++;
    if (const std::string_view problem = table.problem(i); !problem.empty()) {
      bad_row(table, i, std::string(problem));
      continue;
    }
    if (!filter.passes(table, i)) {
      ++report_.filtered;
      continue;
    }
    Row row;
    row.file = file;
    row.line = table.line(i);
    row.id = columns.id_of(table, i, number);
    std::string reason = read_text(row.text, table, columns.text, i);
    if (reason.empty() && columns.text_pair) reason = read_text(row.text_pair, table, *columns.text_pair, i);
    if (reason.empty()) reason = read_label(row.label, table, labels, source, i);
    if (!reason.empty()) {
      bad_row(table, i, reason);
      continue;
    }
    if (repaired.contains(row.line)) report_.repaired.push_back({table.name(), row.line, "unbalanced quote read as a character"});
    rows_.rows.push_back(std::move(row));
  }
  report_.over_limit += apply_limit(rows_.rows, begin, source, draw_);
}

// Finds the text columns of an exclude file: those it names itself, else the task's if it has them, else those with usual names. The
// task's column numbers are not used if the file has a header: they count columns of the task's own files.
std::vector<std::size_t> excluded_columns(const Table& table, const DataSpec& spec, const DataSource& source) {
  std::vector<std::size_t> columns;
  if (!source.text.empty()) {
    columns.push_back(table.require_column(source.text, "exclude.text"));
    if (!source.text_pair.empty()) columns.push_back(table.require_column(source.text_pair, "exclude.text_pair"));
    return columns;
  }
  for (const std::string& name : {spec.text, spec.text_pair})
    if (const auto found = is_column_name(name) || !table.dialect().header ? table.find_column(name) : std::nullopt)
      columns.push_back(*found);
  if (!columns.empty()) return columns;
  const KnownColumns known = find_known_columns(table.columns());
  for (const auto& column : {known.text, known.text_pair})
    if (column) columns.push_back(*column);
  if (columns.empty()) columns.push_back(find_row_columns(table, {}).text);
  return columns;
}

// An exclude file often comes from elsewhere, so its dialect is detected afresh, whatever the task's files look like.
std::unordered_set<std::string> excluded_keys(const DataSpec& spec, const DataSource& source, const SplitDraw& draw) {
  TableOptions options{.hints = spec.hints};
  options.hints.encoding =
      "exclude = [{ path = \"...\", encoding = \"latin-1\" }], or \"cp1252\" of Windows, in [task.data] reads it as it is";
  if (!source.encoding.empty()) options.encoding = source.encoding;
  for (const std::string& name : {source.text, source.text_pair})
    if (is_column_name(name)) options.wanted.push_back(name);
  const Table table = read_table(source.path, options);
  const auto columns = excluded_columns(table, spec, source);
  const Filter filter(table, source);
  std::unordered_set<std::string> keys;
  std::vector<std::size_t> usable;
  for (std::size_t i = 0; i < table.rows(); ++i)
    if (table.problem(i).empty() && filter.passes(table, i)) usable.push_back(i);
  for (const std::size_t kept : rows_within_limit(usable.size(), source, draw))
    for (const std::size_t column : columns)
      if (table.cell(usable[kept], column).data() != nullptr) keys.insert(comparison_key(table.cell(usable[kept], column)));
  keys.erase("");
  return keys;
}

void remove_excluded(std::vector<Row>& rows, const DataSpec& spec, const SplitDraw& draw, SplitReport& report) {
  if (spec.exclude_pairs != "either" && spec.exclude_pairs != "both")
    throw Error(ErrorTag::kUsage, "exclude_pairs", fmt::format("expected either or both, got \"{}\"", spec.exclude_pairs));
  const bool both = spec.exclude_pairs == "both";
  for (const DataSource& source : spec.exclude) {
    const auto keys = excluded_keys(spec, source, draw);
    const auto removed = std::erase_if(rows, [&](const Row& row) {
      const bool first = keys.contains(comparison_key(row.text));
      if (spec.text_pair.empty() || first != both) return first;
      return keys.contains(comparison_key(row.text_pair));
    });
    report.excluded.push_back({source.path, std::ssize(keys), static_cast<std::int64_t>(removed)});
    report.removed += static_cast<std::int64_t>(removed);
  }
}

void summarise_labels(const std::vector<Row>& rows, const TaskLabels& labels, SplitReport& report) {
  report.label_counts = label_counts(rows, labels);
  double sum = 0;
  std::int64_t labelled = 0;
  for (const Row& row : rows) {
    if (!row.labelled()) continue;
    report.label_min = labelled == 0 ? row.label : std::min(report.label_min, row.label);
    report.label_max = labelled == 0 ? row.label : std::max(report.label_max, row.label);
    sum += row.label;
    ++labelled;
  }
  report.numeric = labels.kind == TaskLabels::Kind::kRange && labelled > 0;
  if (labelled > 0) report.label_mean = sum / static_cast<double>(labelled);
}

/// Calls fn(text, place) for each label of train, after label_map, that is no missing value; place() is "FILE:LINE: column ...". Stops
/// where fn returns false.
template <class Fn>
void for_each_label(const DataSpec& spec, Fn&& fn) {
  const auto visit = [&](std::string_view cell, const auto& place) {
    const std::string text(strip(cell));
    if (const auto mapped = spec.label_map.find(text); mapped != spec.label_map.end()) return fn(mapped->second, place);
    return is_missing_value(text) || fn(text, place);
  };
  for (const DataSource& source : spec.train) {
    if (!source.label.empty()) {
      if (!visit(source.label, [&] { return source.path; })) return;
      continue;
    }
    const Table table = read_source(spec, source);
    const auto label = find_label_column(table, spec, source, true);
    const Filter filter(table, source);
    for (std::size_t i = 0; i < table.rows(); ++i) {
      const auto place = [&] { return fmt::format("{}:{}: {}", table.name(), table.line(i), column_title(table, *label)); };
      if (table.problem(i).empty() && filter.passes(table, i) && !visit(table.cell(i, *label), place)) return;
    }
  }
}

/// Throws Error(kData) for the first broken row of train, if there is one: it may hold the labels that are missing. Returns how many rows
/// there are.
std::size_t refuse_broken_rows(const DataSpec& spec) {
  std::size_t rows = 0;
  for (const DataSource& source : spec.train) {
    const Table table = read_source(spec, source);
    for (std::size_t i = 0; i < table.rows(); ++i)
      if (!table.problem(i).empty())
        throw Error(ErrorTag::kData, fmt::format("{}:{}", table.name(), table.line(i)), std::string(table.problem(i)), spec.hints.bad_row);
    rows += table.rows();
  }
  return rows;
}

/// The files of a split, or of train where the split is drawn from it.
const std::vector<DataSource>& sources_of(const DataSpec& spec, Split split) {
  if (split == Split::kTest && !spec.test.files.empty()) return spec.test.files;
  return split == Split::kDev && !spec.dev.files.empty() ? spec.dev.files : spec.train;
}

/// Keeps those rows of train that the draw gives to `split`. Returns how many belong to other splits.
std::int64_t keep_split(std::vector<Row>& rows, const DataSpec& spec, const TaskLabels& labels, Split split, const SplitDraw& draw,
                        const std::string& file) {
  if (draw.folds == 0 && spec.dev.fraction == 0 && spec.test.fraction == 0) return 0;
  const std::vector<Split> splits = divide_train(rows, labels, spec.dev.fraction, spec.test.fraction, draw, file);
  std::size_t i = 0;
  return static_cast<std::int64_t>(std::erase_if(rows, [&](const Row&) { return splits[i++] != split; }));
}

}  // namespace

std::string_view split_name(Split split) { return split == Split::kTrain ? "train" : split == Split::kDev ? "dev" : "test"; }

bool Rows::labelled() const {
  return !rows.empty() && std::all_of(rows.begin(), rows.end(), [](const Row& row) { return row.labelled(); });
}

std::string Rows::place(const Row& row) const { return fmt::format("{}:{}", files[static_cast<std::size_t>(row.file)], row.line); }

std::map<std::string, std::int64_t> label_counts(const std::vector<Row>& rows, const TaskLabels& labels) {
  const bool numbers = labels.kind == TaskLabels::Kind::kRange;
  std::map<std::string, std::int64_t> counts;
  for (const Row& row : rows) {
    if (!row.labelled() || (labels.sets && row.label == 0)) {
      ++counts[std::string(kNoLabelName)];
      continue;
    }
    if (labels.sets)
      for (const int k : classes_of(row.label)) ++counts[labels.class_name(k)];
    else
      ++counts[numbers ? fmt::format("{}", std::floor(row.label)) : labels.class_name(static_cast<int>(row.label))];
  }
  return counts;
}

std::string preprocess_text(const DataSpec& spec, std::string_view text) {
  if (spec.preprocess == "none") return std::string(text);
  if (spec.preprocess != "cs224n")
    throw Error(ErrorTag::kUsage, "preprocess", fmt::format("expected none or cs224n, got \"{}\"", spec.preprocess));
  return spec.text_pair.empty() ? course_text(text) : course_pair_text(text);
}

bool has_split(const DataSpec& spec, Split split, const SplitDraw& draw) {
  if (split == Split::kTrain) return !spec.train.empty();
  return split == Split::kDev ? spec.dev.given() : spec.test.given() || draw.folds > 0;
}

bool is_drawn(const DataSpec& spec, Split split, const SplitDraw& draw) {
  const bool dev = spec.dev.fraction != 0, test = spec.test.fraction != 0 || draw.folds > 0;
  return split == Split::kDev ? dev : split == Split::kTest ? test : dev || test;
}

std::string rows_digest(const Rows& rows) {
  Sha256 digest;
  for (const Row& row : rows.rows) {
    for (const std::string* text : {&row.text, &row.text_pair}) {
      digest.update(*text);
      digest.update(std::string_view("\0", 1));
    }
    digest.update(std::as_bytes(std::span(&row.label, 1)));
  }
  return digest.hex();
}

Rows load_rows(const DataSpec& spec, Split split, const TaskLabels& labels, const SplitDraw& draw, SplitReport* report) {
  SplitReport unused;
  SplitReport& filled = report != nullptr ? *report : unused;
  filled = {};
  const auto& sources = sources_of(spec, split);
  if (sources.empty() || !has_split(spec, split, draw))
    throw Error(ErrorTag::kUsage, split_name(split), "expected at least one file, got none");
  if (draw.folds > 0 && spec.test.given())
    throw Error(ErrorTag::kUsage, "test", "expected none beside folds: each fold is the test split of a run");
  const bool from_train = &sources == &spec.train;
  SplitReader reader(spec, labels, from_train || split == Split::kDev, draw, filled);
  for (const DataSource& source : sources) reader.read(source);
  Rows rows = reader.take();
  if (from_train) remove_excluded(rows.rows, spec, draw, filled);
  if (from_train) filled.moved_to_dev = keep_split(rows.rows, spec, labels, split, draw, filled.files.front());
  if (rows.rows.empty())
    throw Error(ErrorTag::kData, filled.files.front(),
                fmt::format("expected usable rows, got none ({} read, {} skipped, {} filtered, {} removed)", filled.read,
                            filled.skipped.size(), filled.filtered, filled.removed));
  filled.used = static_cast<std::int64_t>(rows.rows.size());
  summarise_labels(rows.rows, labels, filled);
  return rows;
}

std::string bad_rows_text(const SplitReport& report) {
  std::vector<std::string> parts;
  if (!report.skipped.empty()) parts.push_back(fmt::format("{} of {} rows are skipped", report.skipped.size(), report.read));
  if (!report.repaired.empty())
    parts.push_back(
        fmt::format("{} of {} rows have an unbalanced quote, which is read as a character", report.repaired.size(), report.read));
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string only_label(const SplitReport& report) {
  if (report.numeric) return report.label_min == report.label_max ? fmt::format("{}", report.label_min) : "";
  return report.label_counts.size() == 1 ? report.label_counts.begin()->first : "";
}

std::vector<std::string> label_texts(const DataSpec& spec) {
  std::vector<std::string> texts;
  for_each_label(spec, [&](const std::string& text, const auto&) {
    texts.push_back(text);
    return true;
  });
  return texts;
}

std::string label_place(const DataSpec& spec, const std::function<bool(std::string_view)>& wanted) {
  std::string found;
  for_each_label(spec, [&](const std::string& text, const auto& place) {
    if (wanted(text)) found = place();
    return found.empty();
  });
  return found;
}

void expect_different_labels(const DataSpec& spec, std::span<const std::string> texts) {
  const TaskLabels found = classes_among(texts);
  if (found.count >= 2) return;
  const std::size_t rows = refuse_broken_rows(spec);
  const std::string place = spec.train.empty() ? "train" : spec.train.front().path;
  if (found.names.empty())
    throw Error(ErrorTag::kData, place, rows == 0 ? "expected rows, got a header alone" : "expected rows with a label, got none");
  throw Error(ErrorTag::kData, place,
              fmt::format("expected at least two different labels, got \"{}\" in each of {} rows", found.names.front(), texts.size()),
              found.names.front() == "-1" ? "-1 stands for no label in test splits, which minbert predict answers" : "");
}

namespace {

/// The labels that the sets of train list.
TaskLabels find_labels_of_sets(const DataSpec& spec) {
  if (!spec.label_columns.empty()) return TaskLabels::named(spec.label_columns);
  std::vector<std::string> labels;
  DataSpec as_written = spec;
  as_written.label_map.clear();  // it maps labels, not whole cells
  for (const std::string& cell : label_texts(as_written))
    for (std::string& label : split_labels(cell, spec.label_separator)) {
      const auto mapped = spec.label_map.find(label);
      labels.push_back(mapped == spec.label_map.end() ? std::move(label) : mapped->second);
    }
  return classes_among(labels);
}

}  // namespace

TaskLabels resolve_labels(const DataSpec& spec, const TaskLabels& labels) {
  if (labels.kind != TaskLabels::Kind::kAuto) return labels;
  if (labels.sets) {
    TaskLabels found = find_labels_of_sets(spec);
    found.sets = true;
    if (found.count < 2)
      throw Error(ErrorTag::kData, spec.train.empty() ? "train" : spec.train.front().path,
                  fmt::format("expected at least two different labels, got {}", found.count));
    return found;
  }
  const std::vector<std::string> texts = label_texts(spec);
  expect_different_labels(spec, texts);
  return classes_among(texts);
}

TaskRows load_task(const DataSpec& spec, const TaskLabels& labels, const SplitDraw& draw) {
  TaskRows task;
  task.labels = resolve_labels(spec, labels);
  const auto load = [&](Split split) { return load_rows(spec, split, task.labels, draw, &task.reports[std::string(split_name(split))]); };
  task.train = load(Split::kTrain);
  if (has_split(spec, Split::kDev, draw)) task.dev = load(Split::kDev);
  if (has_split(spec, Split::kTest, draw)) task.test = load(Split::kTest);
  return task;
}

void to_json(Json& json, const SplitReport& report) {
  const auto listed = [](const std::vector<SkippedRow>& rows) {
    Json list = Json::array();
    for (const SkippedRow& row : rows) list.push_back({{"file", row.file}, {"line", row.line}, {"reason", row.reason}});
    return list;
  };
  const auto excluded_json = [](const std::vector<ExcludeReport>& sources) {
    Json list = Json::array();
    for (const ExcludeReport& source : sources)
      list.push_back({{"file", source.file}, {"texts", source.texts}, {"removed", source.removed}});
    return list;
  };
  json = {{"files", report.files},
          {"read", report.read},
          {"used", report.used},
          {"filtered", report.filtered},
          {"over_limit", report.over_limit},
          {"removed", report.removed},
          {"excluded", excluded_json(report.excluded)},
          {"moved_to_dev", report.moved_to_dev},
          {"skipped", report.skipped.size()},
          {"skipped_rows", listed(report.skipped)},
          {"repaired_rows", listed(report.repaired)},
          {"label_counts", report.label_counts}};
  if (report.numeric) {
    json["label_mean"] = report.label_mean;
    json["label_min"] = report.label_min;
    json["label_max"] = report.label_max;
  }
}

}  // namespace minbert
