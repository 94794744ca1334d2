// Turns files into rows: chooses columns, reads labels, reports broken rows, makes splits, and keeps the record of it for data.json.
#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/data/data_spec.h"
#include "minbert/data/labels.h"

namespace minbert {

enum class Split { kTrain, kDev, kTest };
std::string_view split_name(Split split);

/// One example of a task. Texts are preprocessed as the spec says; text_pair is empty for single texts.
struct Row {
  std::string id;
  std::string text, text_pair;
  double label = std::numeric_limits<double>::quiet_NaN();  ///< class index, label_set, value in label_range, or NaN for no label
  std::int32_t file = 0;                                    ///< index into Rows::files
  std::int64_t line = 0;                                    ///< physical line, from 1, where the record starts

  bool labelled() const { return label == label; }
};

/// The rows of one split.
struct Rows {
  std::vector<std::string> files;
  std::vector<Row> rows;

  bool labelled() const;  ///< true if there are rows and all have labels
  /// "file:line" of a row, as errors print it.
  std::string place(const Row& row) const;
};

/// A record that was left out, or repaired, and why.
struct SkippedRow {
  std::string file;
  std::int64_t line = 0;
  std::string reason;
};

/// What one source of `exclude` took out of train.
struct ExcludeReport {
  std::string file;
  std::int64_t texts = 0;    ///< distinct comparison keys in the file
  std::int64_t removed = 0;  ///< rows of train; a row that several sources hold counts for the first
};

/// What became of the records of one split: read = used + skipped + filtered + over_limit + removed + moved_to_dev.
struct SplitReport {
  std::vector<std::string> files;
  std::int64_t read = 0;
  std::int64_t used = 0;
  std::int64_t filtered = 0;            ///< do not match `where`
  std::int64_t over_limit = 0;          ///< beyond `limit`
  std::int64_t removed = 0;             ///< have a text of an `exclude` file
  std::int64_t moved_to_dev = 0;        ///< when dev or test is drawn from train: the rows that went to other splits
  std::vector<ExcludeReport> excluded;  ///< one for each `exclude` file; their `removed` add up to the one above
  std::vector<SkippedRow> skipped;
  std::vector<SkippedRow> repaired;                  ///< used although a quote in the record is unbalanced
  std::map<std::string, std::int64_t> label_counts;  ///< see label_counts()
  bool numeric = false;                              ///< labels are numbers; only then the next three are set
  double label_mean = 0, label_min = 0, label_max = 0;
};
void to_json(Json& json, const SplitReport& report);

/// Counts rows by label: a class under its name, a number under its whole part, a row without a label under kNoLabelName. A row with a
/// set counts for each of its labels.
inline constexpr std::string_view kNoLabelName = "(none)";
std::map<std::string, std::int64_t> label_counts(const std::vector<Row>& rows, const TaskLabels& labels);

/// Applies the spec's `preprocess`, whose rules differ between single texts and pairs. Throws Error(kUsage) for an unknown name.
std::string preprocess_text(const DataSpec& spec, std::string_view text);

/// How rows are drawn: fractions of train, limits and, if folds is not 0, the fold that is the test split.
struct SplitDraw {
  std::uint64_t seed = 11711;
  int folds = 0, fold = 0;

  SplitDraw() = default;
  SplitDraw(std::uint64_t seed_, int folds_ = 0, int fold_ = 0) : seed(seed_), folds(folds_), fold(fold_) {}
  bool operator==(const SplitDraw&) const = default;
};

/// Whether the spec has this split, as files or drawn from train.
bool has_split(const DataSpec& spec, Split split, const SplitDraw& draw);

/// Reads one split. A file of a test split has no labels where it lacks the column, or where each cell is missing or a placeholder
/// (LabelReader), such as the -1 of GLUE; for train and dev that throws Error(kData). Unless on_bad_row is "skip", the first bad row throws
/// Error(kData) "file:line: column ...". Rows of train and dev need a label and a text that is not empty; rows of test files may lack both.
/// `labels` must not be kAuto (resolve_labels). Throws Error(kData) when no row is left, Error(kUsage) for a bad option.
Rows load_rows(const DataSpec& spec, Split split, const TaskLabels& labels, const SplitDraw& draw, SplitReport* report = nullptr);

/// "2 of 9 rows are skipped", and how many have an unbalanced quote; empty if there are none of either.
std::string bad_rows_text(const SplitReport& report);
/// Whether the rows of a split are drawn from train's files.
bool is_drawn(const DataSpec& spec, Split split, const SplitDraw& draw);
/// SHA-256 of the texts and labels of all rows in order, 64 hexadecimal digits: whether two readings gave the same rows.
std::string rows_digest(const Rows& rows);
/// The label that every labelled row of the split has; empty if they differ.
std::string only_label(const SplitReport& report);

/// Returns `labels`, or for kAuto the classes found in the label column of train (after label_map), or the names of label_columns.
TaskLabels resolve_labels(const DataSpec& spec, const TaskLabels& labels);

/// All splits of a task that the spec names, with the labels resolved.
struct TaskRows {
  TaskLabels labels;
  Rows train, dev, test;
  std::map<std::string, SplitReport> reports;  ///< by split_name

  const Rows& split(Split split) const { return split == Split::kTrain ? train : split == Split::kDev ? dev : test; }
};
TaskRows load_task(const DataSpec& spec, const TaskLabels& labels, const SplitDraw& draw);

/// The label texts of train, after label_map, as its files have them; broken rows and missing values are left out (for guess_labels).
std::vector<std::string> label_texts(const DataSpec& spec);
/// "FILE:LINE: column \"NAME\"" of the first of them that is `wanted`.
std::string label_place(const DataSpec& spec, const std::function<bool(std::string_view)>& wanted);
/// Throws Error(kData) that says why train teaches nothing if no two of its label_texts differ.
void expect_different_labels(const DataSpec& spec, std::span<const std::string> texts);

}  // namespace minbert
