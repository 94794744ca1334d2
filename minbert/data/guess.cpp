// Guesses columns by their names and the kind of labels by their texts.
#include "minbert/data/guess.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "minbert/data/known_columns.h"
#include "minbert/data/table.h"

namespace minbert {

DataSpec guess_spec(const std::string& path, const DataSpec& given) {
  DataSpec spec = given;
  spec.train = {{.path = path}};
  TableOptions options;
  if (is_column_name(given.text)) options.wanted = {given.text};
  const Table table = read_table(path, options);
  const KnownColumns known = find_known_columns(table.columns());
  const auto fill = [&](std::string& column, std::optional<std::size_t> found) {
    if (column.empty() && found) column = table.columns()[*found];
  };
  if (given.text.empty()) {
    if (!known.text && table.columns().size() > 1) table.require_column("text", "text");
    fill(spec.text, known.text);
    fill(spec.text_pair, known.text_pair);
  } else {
    table.require_column(given.text, "text");
  }
  fill(spec.label, known.label);
  fill(spec.id, known.id);
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
