// Labels: what the labels of a task may be, and how a cell is read as one.
#pragma once

#include <array>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/data/data_spec.h"

namespace minbert {

/// Labels of a task: K numbered or named classes, classes still to be found in train (kAuto), or numbers in a range.
struct TaskLabels {
  static constexpr int kMostClasses = 1'000'000;
  enum class Kind { kCount, kNames, kAuto, kRange };
  Kind kind = Kind::kAuto;
  int count = 0;                        ///< kCount, kNames: number of classes
  std::vector<std::string> names = {};  ///< kNames: by class index
  bool sets = false;                    ///< a row has a set of classes instead of one; not for kRange

  static TaskLabels classes(int count) { return {Kind::kCount, count}; }
  static TaskLabels named(std::vector<std::string> names);
  static TaskLabels from_train() { return {}; }
  static TaskLabels range() { return {Kind::kRange, 0}; }

  /// "3" or the name of class 3.
  std::string class_name(int index) const;
  /// Returns the names of all classes. kRange and kAuto have none.
  std::vector<std::string> class_names() const;
  bool operator==(const TaskLabels&) const = default;
};

/// A set of classes as one number, which adds 2^k for class k, so that it passes wherever a label does. A double holds 53 such bits.
inline constexpr int kMostSetLabels = 53;
double label_set(std::span<const int> classes);
/// The classes of a set, ascending.
std::vector<int> classes_of(double set);

/// The items of a cell that is a list: of JSON, or a list, tuple or set of quoted texts or numbers as Python or NumPy writes it. Nothing if
/// it is none.
std::optional<std::vector<std::string>> read_label_list(std::string_view cell);
/// The labels that a cell lists: the items of read_label_list(), or the parts between separators without the blanks around them and without
/// empty ones. An empty separator never separates.
std::vector<std::string> split_labels(std::string_view cell, std::string_view separator);

/// Turns the text of a label cell into a class index, a set of classes or a number.
class LabelReader {
 public:
  /// Throws Error(kUsage) for an empty range, for a label_map that maps to something that is no label, and for too many labels of sets.
  LabelReader(const DataSpec& spec, const TaskLabels& labels);

  /// A class index, a label_set (an empty cell is the empty set) or a value in label_range; nullopt if the text is no label of this task.
  std::optional<double> read(std::string_view cell) const;
  /// Whether the cell is_missing_value() and no label of this task, such as a class that is named "None".
  bool is_missing(std::string_view cell) const;
  /// Whether the cell is -1, which stands for no label in test splits of GLUE and others, and -1 is no label of this task. With a
  /// label_range that takes any number, -1 counts as a placeholder although it may be a label.
  bool is_placeholder(std::string_view cell) const;
  /// What a label looks like, for errors: "0..4".
  const std::string& expected() const { return expected_; }

 private:
  std::optional<double> read_class(std::string_view text) const;
  std::optional<double> read_set(std::string_view cell) const;
  std::string_view mapped(std::string_view text) const;

  TaskLabels labels_;
  std::string separator_;
  std::map<std::string, std::string, std::less<>> map_;
  std::map<std::string, int, std::less<>> names_;
  std::array<double, 2> from_, to_;
  std::string expected_;
};

/// Whether a cell is blank or one of the words that pandas reads as a missing value: "NA", "None", "nan" and others.
bool is_missing_value(std::string_view cell);

/// The finite number that `text` holds and nothing else, blanks around it aside.
std::optional<double> parse_number(std::string_view text);

/// The classes among label texts, missing values left out: numbered if they are the integers 0..K-1 ("1.0" counts as 1), else named, sorted
/// by value if all are numbers, else by bytes.
TaskLabels classes_among(std::span<const std::string> labels);

}  // namespace minbert
