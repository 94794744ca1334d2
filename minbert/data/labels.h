// What a task's labels may be, and reading one from a cell.
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

/// Labels of a task: K classes by number or by name, classes still to be found in train, or numbers in a range.
struct TaskLabels {
  enum class Kind { kCount, kNames, kAuto, kRange };
  Kind kind = Kind::kAuto;
  int count = 0;                   ///< kCount, kNames: number of classes
  std::vector<std::string> names;  ///< kNames: by class index

  static TaskLabels classes(int count) { return {Kind::kCount, count, {}}; }
  static TaskLabels named(std::vector<std::string> names);
  static TaskLabels from_train() { return {}; }
  static TaskLabels range() { return {Kind::kRange, 0, {}}; }

  /// "3" or the name of class 3.
  std::string class_name(int index) const;
  bool operator==(const TaskLabels&) const = default;
};

/// Turns the text of a label cell into a class index or a number.
class LabelReader {
 public:
  /// Throws Error(kUsage) for a range without width and for a label_map that points outside the labels.
  LabelReader(const DataSpec& spec, const TaskLabels& labels);

  /// A class index or a value in label_range; nullopt when the text is no label of this task, then expected() says what is one.
  std::optional<double> read(std::string_view cell) const;
  const std::string& expected() const { return expected_; }

 private:
  std::optional<double> read_class(std::string_view text) const;

  TaskLabels labels_;
  std::map<std::string, std::string, std::less<>> map_;
  std::map<std::string, int, std::less<>> names_;
  std::array<double, 2> from_, to_;
  std::string expected_;
};

/// The number written in `text`, blanks around it aside, when it is nothing else and finite.
std::optional<double> parse_number(std::string_view text);

/// The classes among label texts: their count when they are the integers 0..K-1 ("1.0" counts as 1), else their names,
/// sorted by value when all are numbers, else by bytes.
TaskLabels classes_among(std::span<const std::string> labels);

}  // namespace minbert
