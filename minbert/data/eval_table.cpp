// Reads cells as texts, numbers and counts.
#include "minbert/data/eval_table.h"

#include <limits>

#include "minbert/base/number.h"
#include "minbert/data/fields.h"
#include "minbert/data/row_columns.h"

namespace minbert {

EvalTable::EvalTable(const std::filesystem::path& path, std::string_view format)
    : table_(format == "csv" ? read_table(path, {.format = "csv", .delimiter = ",", .quote = "\"", .header = "yes"})
                             : read_table(path, {.format = "tsv", .quote = "none", .header = "yes"})),
      escaped_(format == "tsv") {}

void EvalTable::fail(std::size_t row, const std::string& message) const {
  throw Error(ErrorTag::kData, fmt::format("{}:{}", table_.name(), table_.line(row)), message);
}

std::string EvalTable::text(std::size_t row, std::size_t column) const {
  if (!table_.problem(row).empty()) fail(row, std::string(table_.problem(row)));
  return escaped_ ? parse_tsv_field(table_.cell(row, column)) : std::string(table_.cell(row, column));
}

template <class T>
T EvalTable::parsed(std::size_t row, std::size_t column, std::string_view expected, T low, T high) const {
  const std::string cell = text(row, column);
  const auto value = number_from<T>(cell);
  if (!value || !(*value >= low && *value <= high))
    fail(row, fmt::format("{}: expected {}, got \"{}\"", column_title(table_, column), expected, cell));
  return *value;
}

double EvalTable::number(std::size_t row, std::size_t column) const {
  using Limits = std::numeric_limits<double>;
  return parsed(row, column, "a finite number", Limits::lowest(), Limits::max());
}

std::int64_t EvalTable::count(std::size_t row, std::size_t column) const {
  constexpr std::int64_t kMost = std::int64_t{1} << 52;  // sums of counts do not overflow
  return parsed(row, column, "a whole number from 0", std::int64_t{0}, kMost);
}

}  // namespace minbert
