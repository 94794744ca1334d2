// Guesses columns by their names and the kind of labels by their texts.
#include "minbert/data/guess.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <span>

#include "minbert/base/unicode.h"
#include "minbert/data/dataset.h"
#include "minbert/data/guess_sets.h"
#include "minbert/data/known_columns.h"
#include "minbert/data/text.h"

namespace minbert {
namespace {

/// The column whose first cells hold the most words.
std::size_t wordiest_column(const Table& table) {
  constexpr std::size_t kLookedAt = 200;
  std::vector<std::int64_t> blanks(table.columns().size());
  for (std::size_t i = 0; i < std::min(table.rows(), kLookedAt); ++i) {
    const auto row = table.row(i);
    for (std::size_t c = 0; c < std::min(row.size(), blanks.size()); ++c) blanks[c] += std::ranges::count(row[c], ' ');
  }
  return static_cast<std::size_t>(std::ranges::max_element(blanks) - blanks.begin());
}

constexpr std::size_t kFewClasses = 20;

/// Takes one of `signs` from the start or the end of `text`, and the blanks beside it.
void drop_sign(std::string_view& text, std::initializer_list<std::string_view> signs) {
  for (const std::string_view sign : signs) {
    const bool begins = text.starts_with(sign);
    if (!begins && !text.ends_with(sign)) continue;
    text = strip(text.substr(begins ? sign.size() : 0, text.size() - sign.size()));
    return;
  }
}

/// Whether a text that is no number to parse_number is one to people: "3,50", "1,234.5", "1 234", "$5", "40 %".
bool looks_like_number(std::string_view text) {
  text = strip(text);
  drop_sign(text, {"$", "\u20AC", "\u00A3", "\u00A5", "%"});
  drop_sign(text, {"-", "+", "\u2212"});
  bool digit = false;  // the last one seen was a digit
  int separators = 0;
  for (const char c : text) {
    const bool is_digit = c >= '0' && c <= '9';
    if (!is_digit && (!digit || std::string_view(",.' ").find(c) == std::string_view::npos)) return false;
    separators += !is_digit;
    digit = is_digit;
  }
  constexpr int kMostSeparators = 4;  // 1,234,567,890.5
  return digit && separators <= kMostSeparators;
}

/// Whether whole numbers measure something, such as a price or an age, instead of naming classes.
bool is_scale(const std::set<double>& values, std::size_t rows) {
  constexpr std::size_t kRowsOfClass = 10;
  const double low = *values.begin(), span = *values.rbegin() - low + 1;
  const bool numbered = (low == 0 || low == 1) && span <= 2 * static_cast<double>(values.size());
  return values.size() > kFewClasses && !numbered && rows < kRowsOfClass * values.size();
}

/// Throws Error(kData) at the first label that is no number.
[[noreturn]] void refuse_other_than_numbers(const DataSpec& spec, std::size_t numbers, std::size_t rows, bool demanded) {
  std::string got;
  const std::string place = label_place(spec, [&](std::string_view text) {
    if (parse_number(text)) return false;
    got = text;
    return true;
  });
  const std::string others = demanded ? "" : fmt::format(", as {} of {} labels look like", numbers, rows);
  throw Error(
      ErrorTag::kData, place, fmt::format("expected a number{}, got \"{}\"", others, got),
      fmt::format("{}--type classify makes each different text a class", looks_like_number(got) ? "write numbers as in 1234.5; " : ""));
}

std::string basis_of_numbers(const std::set<double>& values, bool whole) {
  return fmt::format("{} different {}numbers, {} to {}", values.size(), whole ? "whole " : "", *values.begin(), *values.rbegin());
}

/// Two names of classes that differ in the case of their letters alone, or two empty texts.
std::pair<std::string, std::string> differing_in_case(const TaskLabels& labels) {
  std::map<std::string, std::string> seen;  // by lower case
  for (const std::string& name : labels.names)
    if (const auto [at, is_new] = seen.emplace(lower_case(name), name); !is_new) return {at->second, name};
  return {};
}

LabelGuess guess_of_sets(DataSpec spec, const std::string& separator) {
  spec.label_separator = separator;
  TaskLabels labels = TaskLabels::from_train();
  labels.sets = true;
  return {resolve_labels(spec, labels), separator, fmt::format("a cell lists several, with \"{}\" between them", separator), ""};
}

}  // namespace

SpecGuess guess_spec(const std::string& path, const DataSpec& given, bool wordiest) {
  DataSpec spec = given;
  spec.train = {{.path = path}};
  TableOptions options{given.format,  given.delimiter,         given.quote, given.header, given.encoding, {},
                       {given.label}, !given.text_pair.empty()};
  for (const std::string& name : {given.text, given.text_pair, given.label, given.id})
    if (is_column_name(name)) options.wanted.push_back(name);
  Table table = read_table(path, options);
  KnownColumns known = find_known_columns(table.columns());
  if (given.format == "auto" && table.dialect().format == TableFormat::kLines) {  // a pipe of commas, say: lines have no labels
    options.format = "csv";
    Table delimited = read_table(path, options);
    if (const KnownColumns found = find_known_columns(delimited.columns()); found.text && found.label) {
      table = std::move(delimited);
      known = found;
      spec.format = "csv";
    }
  }
  const auto fill = [&](std::string& column, std::optional<std::size_t> found) {
    if (column.empty() && found) column = table.columns()[*found];
  };
  if (given.text.empty()) {
    const bool unknown = !known.text && table.columns().size() > 1;
    if (unknown && !wordiest)
      table.require_column("text", "text", fmt::format("--text {}, if that column has the texts", table.columns()[wordiest_column(table)]));
    fill(spec.text, unknown ? std::optional(wordiest_column(table)) : known.text);
    fill(spec.text_pair, known.text_pair);
  } else {
    table.require_column(given.text, "text");
  }
  // A number holds for this file alone: another one of the same names may have them in another order.
  if (table.dialect().format == TableFormat::kDelimited && table.dialect().header)
    for (std::string DataSpec::*column : {&DataSpec::text, &DataSpec::text_pair, &DataSpec::label, &DataSpec::id})
      if (const auto at = table.find_column(spec.*column); at && std::ranges::count(table.columns(), table.columns()[*at]) == 1)
        spec.*column = table.columns()[*at];
  fill(spec.label, known.label);
  fill(spec.id, known.id);
  return {std::move(spec), table.dialect()};
}

LabelGuess guess_labels(const DataSpec& spec, LabelKind kind) {
  const std::vector<std::string> texts = label_texts(spec);
  expect_different_labels(spec, texts);
  std::set<double> values;
  std::size_t parsed = 0, alike = 0;
  for (const std::string& text : texts) {
    const auto number = parse_number(text);
    if (number) values.insert(*number);
    parsed += number.has_value();
    alike += number || looks_like_number(text);
  }
  const bool numbers = kind == LabelKind::kNumbers || (kind == LabelKind::kAny && 2 * alike > texts.size());
  if (numbers && parsed < texts.size()) refuse_other_than_numbers(spec, alike, texts.size(), kind == LabelKind::kNumbers);
  int too_many_parts = 0;
  if (kind == LabelKind::kSets || (kind == LabelKind::kAny && !numbers && spec.text_pair.empty()))
    if (const auto separator = guess_label_separator(texts); separator || kind == LabelKind::kSets) {
      LabelGuess sets = guess_of_sets(spec, separator.value_or(spec.label_separator));
      if (kind == LabelKind::kSets || sets.labels.count <= kMostSetLabels) return sets;
      too_many_parts = sets.labels.count;
    }
  const bool all_parsed = parsed == texts.size();
  const bool whole = std::none_of(values.begin(), values.end(), [](double value) { return value != std::floor(value); });
  if (kind == LabelKind::kNumbers || (numbers && (!whole || is_scale(values, texts.size()))))
    return {TaskLabels::range(), "", basis_of_numbers(values, whole), ""};
  LabelGuess guess{classes_among(texts), "", "", ""};
  guess.basis = all_parsed ? basis_of_numbers(values, whole) : fmt::format("{} different texts", guess.labels.count);
  const auto classes = static_cast<std::size_t>(guess.labels.count);
  if (too_many_parts > 0)
    guess.warning =
        fmt::format("cells look as if they listed several of {} labels, of which multi_label takes {}; each different cell is a class",
                    too_many_parts, kMostSetLabels);
  else if (const auto [a, b] = differing_in_case(guess.labels); !a.empty())
    guess.warning =
        fmt::format("\"{}\" and \"{}\" differ in case only and are two classes; label_map makes them one", printable(a), printable(b));
  else if (classes > kFewClasses && texts.size() < 2 * classes)
    guess.warning = fmt::format("most of the {} labels stand in one row only; {}", classes,
                                all_parsed ? "--type regress takes them as numbers" : "--label names another column");
  return guess;
}

}  // namespace minbert
