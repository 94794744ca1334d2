// Rows to be answered: one pass that checks them, then access by number.
#include "minbert/data/input_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "minbert/base/input_bytes.h"
#include "minbert/data/known_columns.h"

namespace minbert {

namespace {

/// Whether plain lines are kept byte for byte: only a flag says so, and only for single texts.
bool are_raw_lines(const InputOptions& options) { return options.format == "lines" && !options.columns.pair; }

}  // namespace

TableOptions InputRows::reading(const InputOptions& options) {
  const RowColumnNames& names = options.columns;
  TableOptions out{.format = options.format, .pair_lines = names.pair, .hints = {.lines = "--in-format lines reads plain texts"}};
  for (const std::string& name : {names.text, names.text_pair})
    if (is_column_name(name)) out.wanted.push_back(name);
  return out;
}

InputRows::InputRows(const InputOptions& options) : keep_columns_(options.keep_columns) {
  if (are_raw_lines(options)) {
    lines_.emplace(options.path);
    return;
  }
  table_ = read_table(options.path, reading(options));
  check_rows(options);
}

InputRows::InputRows(const InputOptions& options, InputPiece piece) : first_row_(piece.first_row), keep_columns_(options.keep_columns) {
  const std::string name = input_name(options.path);
  if (are_raw_lines(options)) {
    lines_.emplace(name, std::move(piece.text));
    return;
  }
  if (piece.text.empty()) throw Error(ErrorTag::kData, name, "expected rows, got nothing");
  TableOptions how = reading(options);
  if (!piece.format.empty()) how.format = piece.format;
  how.first_line = piece.first_line;
  how.columns = std::move(piece.columns);
  table_ = parse_table(piece.text, name, how);
  check_rows(options);
}

void InputRows::check_rows(const InputOptions& options) {
  constexpr const char* kBadRow = "--on-bad-row skip leaves such rows out";
  guessed_ = first_row_ == 0 && options.format == "auto" && std::filesystem::path(options.path).extension().empty();
  columns_ = find_row_columns(table_, options.columns);
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
    out.id = std::to_string(first_row_ + i);
    if (keep_columns_) out.cells.push_back(InputCell{out.text});
    return out;
  }
  const std::size_t row = usable_[i];
  out.text = table_.cell(row, columns_.text);
  if (columns_.text_pair) out.text_pair = table_.cell(row, *columns_.text_pair);
  out.id = columns_.id_of(table_, row, static_cast<std::int64_t>(first_row_ + row));
  if (!keep_columns_) return out;
  const auto cells = table_.row(row);
  for (std::size_t c = 0; c < cells.size(); ++c)
    out.cells.push_back(cells[c].data() == nullptr ? std::nullopt
                                                   : std::optional(InputCell{std::string(cells[c]), table_.is_json(row, c)}));
  return out;
}

}  // namespace minbert
