// RowColumns: where texts and the id of a row stand in a table; the same rules for training data and for input to predict and embed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "minbert/data/table.h"

namespace minbert {

/// Columns that are asked for, by name or by number from 0; empty: not named.
struct RowColumnNames {
  std::string text, text_pair, id;
  bool pair = false;         ///< rows have a second text
  bool id_may_lack = false;  ///< a table without the id column is good too
  std::string hint = {};     ///< ReadingHints::columns
};

/// Indices into Table::columns().
struct RowColumns {
  std::size_t text = 0;
  std::optional<std::size_t> text_pair, id;

  /// Row i's id: its cell, or `number` as text where it has none.
  std::string id_of(const Table& table, std::size_t i, std::int64_t number) const;
};

/// Unnamed texts are the column "text", or the only column, and "text_pair". Plain lines have their texts in order and no id. Throws
/// Error(kData) for a missing column.
RowColumns find_row_columns(const Table& table, const RowColumnNames& names);

/// "column \"NAME\"", or its number where the name is empty.
std::string column_title(const Table& table, std::size_t column);

/// Why a cell cannot be a text (a JSON line lacks the key), or nothing.
std::string missing_text(const Table& table, std::size_t i, std::size_t column);

}  // namespace minbert
