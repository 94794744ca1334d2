// Guesses from column names and label texts.
#include "minbert/data/guess.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "minbert/data/known_columns.h"
#include "minbert/data/table.h"

namespace minbert {

DataSpec guess_spec(const std::string& path) {
  DataSpec spec;
  spec.train.push_back({.path = path});
  const Table table = read_table(path);
  const KnownColumns known = find_known_columns(table.columns());
  if (!known.text && table.columns().size() > 1) table.require_column("text", "text");
  const auto name = [&](std::optional<std::size_t> column) { return column ? table.columns()[*column] : std::string(); };
  spec.text = name(known.text);
  spec.text_pair = name(known.text_pair);
  spec.label = name(known.label);
  spec.id = name(known.id);
  return spec;
}

LabelGuess guess_labels(std::span<const std::string> labels) {
  constexpr std::size_t kMostClasses = 20;
  std::set<double> values;
  for (const std::string& label : labels) {
    const auto number = parse_number(label);
    if (!number) return {classes_among(labels), {0, 0}};
    values.insert(*number);
  }
  const bool fractions = std::any_of(values.begin(), values.end(), [](double value) { return value != std::floor(value); });
  if (!fractions && values.size() <= kMostClasses) return {classes_among(labels), {0, 0}};
  return {TaskLabels::range(), {*values.begin(), *values.rbegin()}};
}

}  // namespace minbert
