// Fields of the tables we write: quoted for CSV, escaped for TSV.
#pragma once

#include <string>
#include <string_view>

namespace minbert {

/// RFC 4180: in quotes, with quotes doubled, when the text holds a comma, a quote or a line break; else the text itself.
std::string csv_field(std::string_view text);

/// Tab, newline, carriage return and backslash as \t \n \r and two backslashes, so that a field is one piece of one line.
std::string tsv_field(std::string_view text);
/// The text of a tsv_field. A backslash before anything else stands for itself.
std::string parse_tsv_field(std::string_view field);

}  // namespace minbert
