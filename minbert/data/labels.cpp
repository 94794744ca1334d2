// Reads labels: integers, "1.0", names, mapped texts and rescaled numbers.
#include "minbert/data/labels.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "minbert/base/check.h"
#include "minbert/base/json.h"
#include "minbert/base/number.h"
#include "minbert/data/text.h"

namespace minbert {
namespace {

/// Whether a number's leading zero says that it is a code, such as a postal one.
bool is_code(std::string_view number) { return number.size() >= 2 && number[0] == '0' && number[1] >= '0' && number[1] <= '9'; }

/// Whether digits alone name something that a double would name otherwise, such as an id above 2^53.
bool is_long_id(std::string_view text) {
  if (text.size() < 16 || text.find_first_not_of("0123456789") != text.npos) return false;
  return fmt::format("{:.0f}", parse_number(text).value_or(0)) != text;
}

// Distinct labels as text. A number is spelled in its shortest form, so that "1" and "1.0" are one label; codes stay as they are.
std::set<std::string> distinct(std::span<const std::string> labels) {
  std::set<std::string> out;
  for (const std::string& label : labels) {
    if (is_missing_value(label)) continue;
    const std::string_view text = strip(label);
    const auto number = is_code(text) || is_long_id(text) ? std::nullopt : parse_number(text);
    out.insert(number ? fmt::format("{}", *number) : std::string(text));
  }
  return out;
}

bool all_numbers(const std::set<std::string>& labels) {
  return std::all_of(labels.begin(), labels.end(), [](const std::string& label) { return parse_number(label).has_value(); });
}

}  // namespace

bool is_missing_value(std::string_view cell) {
  // pandas/_libs/parsers.pyx, STR_NA_VALUES, which load_dataset("csv") goes by too.
  constexpr std::array<std::string_view, 19> kWords = {"",     "#N/A",   "#N/A N/A", "#NA",  "-1.#IND", "-1.#QNAN", "-NaN",
                                                       "-nan", "1.#IND", "1.#QNAN",  "<NA>", "N/A",     "NA",       "NULL",
                                                       "NaN",  "None",   "n/a",      "nan",  "null"};
  return std::find(kWords.begin(), kWords.end(), strip(cell)) != kWords.end();
}

std::optional<double> parse_number(std::string_view text) {
  text = strip(text);
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const auto value = number_from<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

TaskLabels TaskLabels::named(std::vector<std::string> names) {
  const int count = static_cast<int>(names.size());
  return {.kind = Kind::kNames, .count = count, .names = std::move(names)};
}

std::string TaskLabels::class_name(int index) const {
  MINBERT_CHECK(index >= 0 && index < count, "class {} of {}", index, count);
  return kind == Kind::kNames ? names[static_cast<std::size_t>(index)] : std::to_string(index);
}

std::vector<std::string> TaskLabels::class_names() const {
  std::vector<std::string> all;
  for (int k = 0; k < count; ++k) all.push_back(class_name(k));
  return all;
}

double label_set(std::span<const int> classes) {
  std::uint64_t bits = 0;
  for (const int k : classes) {
    MINBERT_CHECK(k >= 0 && k < kMostSetLabels, "class {} in a set", k);
    bits |= std::uint64_t{1} << k;
  }
  return static_cast<double>(bits);
}

std::vector<int> classes_of(double set) {
  std::vector<int> classes;
  const auto bits = static_cast<std::uint64_t>(set);
  for (int k = 0; k < kMostSetLabels; ++k)
    if ((bits >> k & 1) != 0) classes.push_back(k);
  return classes;
}

namespace {

/// The items of a list, tuple or set as Python's str() or NumPy's writes it: ['a', "b's"], ('a',), {'a', 'b'}, ['a' 'b'], [1 2]. Nothing if
/// the cell is none, or an item is neither a quoted text nor a number.
std::optional<std::vector<std::string>> read_python_list(std::string_view cell) {
  constexpr std::string_view kOpening = "[({", kClosing = "])}";
  const std::size_t kind = cell.empty() ? kOpening.npos : kOpening.find(cell.front());
  if (kind == kOpening.npos || cell.size() < 2 || cell.back() != kClosing[kind]) return std::nullopt;
  cell = cell.substr(1, cell.size() - 2);
  std::vector<std::string> items;
  for (std::size_t i = 0; i < cell.size();) {
    if (cell[i] == ',' || cell[i] == ' ' || cell[i] == '\n') {
      ++i;
      continue;
    }
    std::string item;
    if (const char quote = cell[i]; quote == '\'' || quote == '"') {
      for (++i; i < cell.size() && cell[i] != quote; ++i) {
        if (cell[i] == '\\' && i + 1 < cell.size()) ++i;
        item += cell[i];
      }
      if (i++ == cell.size()) return std::nullopt;
    } else {
      const std::size_t end = std::min(cell.find_first_of(", \n", i), cell.size());
      item = cell.substr(i, end - i);
      if (!parse_number(item)) return std::nullopt;
      i = end;
    }
    items.push_back(std::move(item));
  }
  return items;
}

}  // namespace

std::optional<std::vector<std::string>> read_label_list(std::string_view cell) {
  if (cell.starts_with('[') && cell.ends_with(']'))
    if (const Json list = parse_json_line(cell).value; list.is_array()) {
      std::vector<std::string> items;
      for (const Json& item : list) items.push_back(item.is_string() ? item.get<std::string>() : dump_json(item));
      return items;
    }
  return read_python_list(cell);
}

std::vector<std::string> split_labels(std::string_view cell, std::string_view separator) {
  std::vector<std::string> labels;
  const auto add = [&](std::string_view text) {
    if (const std::string_view label = strip(text); !label.empty()) labels.emplace_back(label);
  };
  cell = strip(cell);
  if (const auto items = read_label_list(cell)) {
    for (const std::string& item : *items) add(item);
    return labels;
  }
  while (!separator.empty() && cell.find(separator) != cell.npos) {
    add(cell.substr(0, cell.find(separator)));
    cell.remove_prefix(cell.find(separator) + separator.size());
  }
  add(cell);
  return labels;
}

LabelReader::LabelReader(const DataSpec& spec, const TaskLabels& labels)
    : labels_(labels), separator_(spec.label_separator), map_(spec.label_map.begin(), spec.label_map.end()), to_(spec.label_range) {
  MINBERT_CHECK(labels.kind != TaskLabels::Kind::kAuto, "labels must be resolved before they are read");
  if (labels.sets && labels.count > kMostSetLabels)
    throw Error(ErrorTag::kUsage, "labels", fmt::format("multi_label: expected at most {} labels, got {}", kMostSetLabels, labels.count));
  from_ = spec.label_from[0] == spec.label_from[1] ? to_ : spec.label_from;
  if (labels.kind == TaskLabels::Kind::kRange) {
    for (const auto& [key, range] : {std::pair("label_range", to_), std::pair("label_from", from_)})
      if (!(range[0] < range[1])) throw Error(ErrorTag::kUsage, key, fmt::format("expected [low, high], got [{}, {}]", range[0], range[1]));
    if (from_ != to_ && (spec.takes_any_number() || !std::isfinite(from_[0]) || !std::isfinite(from_[1])))
      throw Error(ErrorTag::kUsage, "label_from",
                  fmt::format("expected finite numbers and a label_range to rescale to, got [{}, {}]", from_[0], from_[1]));
    expected_ = spec.takes_any_number() ? "a number" : fmt::format("a number in {}..{}", from_[0], from_[1]);
  } else if (labels.kind == TaskLabels::Kind::kCount) {
    expected_ = fmt::format("0..{}", labels.count - 1);
  } else {
    for (int i = 0; i < labels.count; ++i) names_.emplace(labels.names[static_cast<std::size_t>(i)], i);
    constexpr int kShown = 8;
    for (int i = 0; i < std::min(labels.count, kShown); ++i) expected_ += fmt::format("{}\"{}\"", i == 0 ? "" : ", ", labels.class_name(i));
    if (labels.count > kShown) expected_ += fmt::format(" ... ({} labels)", labels.count);
  }
  if (labels.sets) expected_ = fmt::format("labels separated by \"{}\" among {}", separator_, expected_);
  for (const auto& [text, label] : map_)
    if (!(labels.kind == TaskLabels::Kind::kRange ? parse_number(label) : read_class(label)))
      throw Error(ErrorTag::kUsage, fmt::format("label_map.{}", text), fmt::format("expected {}, got \"{}\"", expected_, label));
}

std::optional<double> LabelReader::read_class(std::string_view text) const {
  if (const auto found = names_.find(text); found != names_.end()) return found->second;
  const auto number = parse_number(text);
  if (!number) return std::nullopt;
  if (labels_.kind == TaskLabels::Kind::kCount)
    return *number >= 0 && *number < labels_.count && *number == std::floor(*number) ? number : std::nullopt;
  const auto same = names_.find(fmt::format("{}", *number));  // "1.0" for the class named "1"
  return same == names_.end() ? std::nullopt : std::optional<double>(same->second);
}

std::string_view LabelReader::mapped(std::string_view text) const {
  const auto found = map_.find(text);
  return found == map_.end() ? text : std::string_view(found->second);
}

std::optional<double> LabelReader::read_set(std::string_view cell) const {
  std::vector<int> classes;
  for (const std::string& label : split_labels(cell, separator_)) {
    const auto index = read_class(mapped(label));
    if (!index) return std::nullopt;
    classes.push_back(static_cast<int>(*index));
  }
  return label_set(classes);
}

bool LabelReader::is_missing(std::string_view cell) const {
  const std::string_view text = strip(cell);
  return is_missing_value(text) && !map_.contains(text) && !names_.contains(text);
}

bool LabelReader::is_placeholder(std::string_view cell) const {
  if (parse_number(cell) != -1.0 || map_.contains(strip(cell))) return false;
  return (labels_.kind == TaskLabels::Kind::kRange && to_ == kAnyNumber) || !read(cell);
}

std::optional<double> LabelReader::read(std::string_view cell) const {
  if (labels_.sets) return read_set(cell);
  const std::string_view text = mapped(strip(cell));
  if (labels_.kind != TaskLabels::Kind::kRange) return read_class(text);
  const auto value = parse_number(text);
  if (!value || !(*value >= from_[0] && *value <= from_[1])) return std::nullopt;
  return from_ == to_ ? *value : to_[0] + (*value - from_[0]) * (to_[1] - to_[0]) / (from_[1] - from_[0]);
}

TaskLabels classes_among(std::span<const std::string> labels) {
  const std::set<std::string> found = distinct(labels);
  std::vector<std::string> names(found.begin(), found.end());
  if (all_numbers(found)) {
    std::sort(names.begin(), names.end(), [](const auto& a, const auto& b) { return *parse_number(a) < *parse_number(b); });
    bool counted = names.size() >= 2;
    for (std::size_t i = 0; i < names.size(); ++i) counted = counted && names[i] == std::to_string(i);
    if (counted) return TaskLabels::classes(static_cast<int>(names.size()));
  }
  return TaskLabels::named(std::move(names));
}

}  // namespace minbert
