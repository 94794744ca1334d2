// Known columns: names that people usually give to texts, labels and ids.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace minbert {

/// False for an empty text and for a column number.
bool is_column_name(std::string_view name_or_number);

/// True for usual names in any case: "sentence", "Label", "pair_ID".
bool is_known_column(std::string_view name);

/// Columns recognised by their names, as indices into the names.
struct KnownColumns {
  std::optional<std::size_t> text, text_pair, label, id;
};
KnownColumns find_known_columns(std::span<const std::string> names);

}  // namespace minbert
