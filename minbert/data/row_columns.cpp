// The rules that find a row's columns.
#include "minbert/data/row_columns.h"

#include <fmt/format.h>

namespace minbert {

std::string RowColumns::id_of(const Table& table, std::size_t i, std::int64_t number) const {
  const std::string_view cell = id ? table.cell(i, *id) : std::string_view();
  return cell.data() == nullptr ? std::to_string(number) : std::string(cell);
}

RowColumns find_row_columns(const Table& table, const RowColumnNames& names) {
  RowColumns columns;
  if (table.dialect().format == TableFormat::kLines) {
    if (!names.id.empty() && !names.id_may_lack)
      throw Error(ErrorTag::kData, table.name(), fmt::format("id: expected a table with a column \"{}\", got plain lines", names.id));
    if (names.pair) columns.text_pair = 1;
    return columns;
  }
  const auto require = [&](const std::string& name, const char* key) {
    return table.require_column(name.empty() ? key : name, key, names.hint);
  };
  if (!names.text.empty() || table.columns().size() != 1) columns.text = require(names.text, "text");
  if (names.pair) columns.text_pair = require(names.text_pair, "text_pair");
  if (names.id.empty()) return columns;
  columns.id = names.id_may_lack ? table.find_column(names.id) : table.require_column(names.id, "id");
  return columns;
}

std::string column_title(const Table& table, std::size_t column) {
  const std::string& name = table.columns()[column];
  return fmt::format("column \"{}\"", name.empty() ? std::to_string(column) : name);
}

std::string missing_text(const Table& table, std::size_t i, std::size_t column) {
  return table.cell(i, column).data() != nullptr ? "" : fmt::format("{}: expected a text, got none", column_title(table, column));
}

}  // namespace minbert
