// Rows to be answered: one pass that checks them, then access by number.
#include "minbert/data/input_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "minbert/data/known_columns.h"

namespace minbert {

InputRows::InputRows(const InputOptions& options) : keep_columns_(options.keep_columns) {
  const RowColumnNames& names = options.columns;
  if (options.format == "lines" && !names.pair) {
    lines_.emplace(options.path);
    return;
  }
  constexpr const char* kBadRow = "--on-bad-row skip leaves such rows out";
  TableOptions reading{.format = options.format, .pair_lines = names.pair, .hints = {.lines = "--in-format lines reads plain texts"}};
  for (const std::string& name : {names.text, names.text_pair})
    if (is_column_name(name)) reading.wanted.push_back(name);
  table_ = read_table(options.path, reading);
  guessed_ = options.format == "auto" && std::filesystem::path(options.path).extension().empty();
  columns_ = find_row_columns(table_, names);
  for (std::size_t row = 0; row < table_.rows(); ++row) {
    const std::string reason = problem(row);
    if (reason.empty())
      usable_.push_back(row);
    else if (options.skip_bad_rows)
      ++skipped_;
    else
      throw Error(ErrorTag::kData, fmt::format("{}:{}", table_.name(), table_.line(row)), reason, kBadRow);
  }
}

std::string InputRows::guess() const {
  if (!guessed_ || lines_ || table_.dialect().format == TableFormat::kLines) return {};
  constexpr std::size_t kShown = 8;
  const auto shown = std::span(table_.columns()).first(std::min(kShown, table_.columns().size()));
  return fmt::format("{}: read as {} with the columns {}{}; --in-format lines reads each line as a text", table_.name(),
                     table_.dialect().format == TableFormat::kJsonl ? "JSON lines" : "a table", fmt::join(shown, ", "),
                     shown.size() < table_.columns().size() ? " ..." : "");
}

/// Why a row of the table cannot be used, or nothing.
std::string InputRows::problem(std::size_t row) const {
  std::string reason(table_.problem(row));
  if (reason.empty()) reason = missing_text(table_, row, columns_.text);
  if (reason.empty() && columns_.text_pair) reason = missing_text(table_, row, *columns_.text_pair);
  return reason;
}

std::vector<std::string> InputRows::columns() const {
  if (!keep_columns_) return {};
  std::vector<std::string> names = lines_ ? std::vector<std::string>{"text"} : table_.columns();
  for (std::size_t c = 0; c < names.size(); ++c)
    if (names[c].empty()) names[c] = fmt::format("column_{}", c);
  return names;
}

InputRow InputRows::operator[](std::size_t i) const {
  InputRow out;
  if (lines_) {
    out.text = (*lines_)[i];
    out.id = std::to_string(i);
    if (keep_columns_) out.cells = {out.text};
    return out;
  }
  const std::size_t row = usable_[i];
  out.text = table_.cell(row, columns_.text);
  if (columns_.text_pair) out.text_pair = table_.cell(row, *columns_.text_pair);
  out.id = columns_.id_of(table_, row, static_cast<std::int64_t>(row));
  if (keep_columns_) out.cells.assign(table_.row(row).begin(), table_.row(row).end());
  return out;
}

}  // namespace minbert
