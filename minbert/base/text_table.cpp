// TextTable: widths by characters, numbers to the right.
#include "minbert/base/text_table.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "minbert/base/unicode.h"

namespace minbert {
namespace {

std::size_t width_of(std::string_view text) {
  std::size_t width = 0;
  for (std::size_t position = 0; position < text.size(); ++width) next_code_point(text, position);
  return width;
}

bool is_numeric(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789.+-%, []e\u00B1") == text.npos;  // either byte of plus-minus will do
}

}  // namespace

void TextTable::add(std::vector<std::string> row) {
  for (std::string& cell : row) cell = printable(cell);
  rows_.push_back(std::move(row));
}

std::string TextTable::text() const {
  const std::size_t columns = rows_.front().size();
  std::vector<std::size_t> widths(columns, 0);
  std::vector<bool> right(columns, true);
  for (std::size_t r = 0; r < rows_.size(); ++r)
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string& cell = rows_[r].at(c);
      widths[c] = std::max(widths[c], width_of(cell));
      if (c == 0 || (r > 0 && !cell.empty() && !is_numeric(cell))) right[c] = false;
    }
  std::string text;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t c = 0; c < columns; ++c) {
      const std::string padding(widths[c] - width_of(row[c]), ' ');
      line += (c == 0 ? "" : "  ") + (right[c] ? padding + row[c] : row[c] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace minbert
