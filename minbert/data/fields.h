// Fields of written tables: quoted for CSV, escaped for TSV.
#pragma once

#include <string>
#include <string_view>

namespace minbert {

/// Quotes a text that holds a comma, a quote or a line break, and doubles its quotes (RFC 4180); returns any other text unchanged.
std::string csv_field(std::string_view text);

/// Writes tab, newline, carriage return and backslash as \t, \n, \r and two backslashes, so that a field never ends a line or a column.
std::string tsv_field(std::string_view text);
/// Reverses tsv_field. A backslash before any other character stands for itself.
std::string parse_tsv_field(std::string_view field);

}  // namespace minbert
