// Files to rows: columns chosen, labels read, broken rows reported, splits made; and the record of all that for data.json.
#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/data/data_spec.h"
#include "minbert/data/labels.h"

namespace minbert {

enum class Split { kTrain, kDev, kTest };
std::string_view split_name(Split split);

/// One example. Texts are preprocessed as the spec says; text_pair is empty for single texts.
struct Row {
  std::string id;
  std::string text, text_pair;
  double label = std::numeric_limits<double>::quiet_NaN();  ///< class index, value in label_range, or NaN: none
  std::int32_t file = 0;                                    ///< index into Rows::files
  std::int64_t line = 0;                                    ///< physical line, from 1, where the record starts

  bool labelled() const { return label == label; }
};

struct Rows {
  std::vector<std::string> files;
  std::vector<Row> rows;

  bool labelled() const;  ///< there are rows and all have labels
  /// "file:line" of a row, as errors print it.
  std::string place(const Row& row) const;
};

struct SkippedRow {
  std::string file;
  std::int64_t line = 0;
  std::string reason;
};

/// What one source of `exclude` took out of train.
struct ExcludeReport {
  std::string file;
  std::int64_t texts = 0;    ///< different ones in it, by comparison key
  std::int64_t removed = 0;  ///< rows; one that several sources hold counts for the first
};

/// What became of the records of one split: read = used + skipped + filtered + over_limit + removed + moved_to_dev.
struct SplitReport {
  std::vector<std::string> files;
  std::int64_t read = 0;
  std::int64_t used = 0;
  std::int64_t filtered = 0;      ///< `where` said no
  std::int64_t over_limit = 0;    ///< beyond `limit`
  std::int64_t removed = 0;       ///< texts found in `exclude`
  std::int64_t moved_to_dev = 0;  ///< train, when dev is a fraction of it; in the dev report, rows that stayed in train
  std::vector<ExcludeReport> excluded;  ///< their `removed` add up to the one above
  std::vector<SkippedRow> skipped;
  std::vector<SkippedRow> repaired;                  ///< used although a quote in them was unbalanced
  std::map<std::string, std::int64_t> label_counts;  ///< classes: by name; numbers: by whole part; "none" without a label
  bool numeric = false;                              ///< labels are numbers: the three below hold
  double label_mean = 0, label_min = 0, label_max = 0;
};
void to_json(Json& json, const SplitReport& report);

/// Rows by label: a class by its name, a number by its whole part, kNoLabelName without one.
inline constexpr std::string_view kNoLabelName = "(none)";
std::map<std::string, std::int64_t> label_counts(const std::vector<Row>& rows, const TaskLabels& labels);

/// A text as the spec's `preprocess` makes it; pairs differ from single texts. Throws Error(kUsage) for an unknown name.
std::string preprocess_text(const DataSpec& spec, std::string_view text);

/// Reads one split. Without on_bad_row = "skip" the first bad row throws Error(kData) "file:line: column ...". A test split may
/// lack labels, a train or dev row may not; a dev or train row with an empty text is bad. `seed` draws a dev fraction.
/// `labels` must not be kAuto (resolve_labels). Throws Error(kData) when no row is left, Error(kUsage) for a bad option.
Rows load_rows(const DataSpec& spec, Split split, const TaskLabels& labels, std::uint64_t seed, SplitReport* report = nullptr);

/// `labels` itself, or for kAuto the classes found in the label column of train (after label_map).
TaskLabels resolve_labels(const DataSpec& spec, const TaskLabels& labels);

/// All splits that the spec has, with the labels resolved.
struct TaskRows {
  TaskLabels labels;
  Rows train, dev, test;
  std::map<std::string, SplitReport> reports;  ///< by split_name

  const Rows& split(Split split) const { return split == Split::kTrain ? train : split == Split::kDev ? dev : test; }
};
TaskRows load_task(const DataSpec& spec, const TaskLabels& labels, std::uint64_t seed);

/// The label texts of train as they stand in its files after label_map, rows with problems left out (for guess_labels).
std::vector<std::string> label_texts(const DataSpec& spec);

}  // namespace minbert
