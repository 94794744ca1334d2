// Rows to be answered: one pass that checks them, then access by number.
#include "minbert/data/input_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <span>

#include "minbert/base/input_bytes.h"
#include "minbert/data/input_lines.h"
#include "minbert/data/known_columns.h"

namespace minbert {

namespace {

/// Whether plain lines are kept byte for byte: only a flag says so, and only for single texts.
bool are_raw_lines(const InputOptions& options) { return options.format == "lines" && !options.columns.pair; }

TableOptions reading(const InputOptions& options) {
  const RowColumnNames& names = options.columns;
  TableOptions out{.format = options.format,
                   .header = options.header,
                   .encoding = options.encoding,
                   .pair_lines = names.pair,
                   .hints = {.lines = "--in-format lines reads plain texts"}};
  for (const std::string& name : {names.text, names.text_pair})
    if (is_column_name(name)) out.wanted.push_back(name);
  return out;
}

/// See InputRows::guess().
std::string guess_of(const InputOptions& options, const Table* table) {
  const bool told = options.format != "auto" || !std::filesystem::path(options.path).extension().empty();
  if (told || table == nullptr || table->dialect().format == TableFormat::kLines) return {};
  constexpr std::size_t kShown = 8;
  const auto shown = std::span(table->columns()).first(std::min(kShown, table->columns().size()));
  return fmt::format("{}: read as {} with the columns {}{}; --in-format lines reads each line as a text", table->name(),
                     table->dialect().format == TableFormat::kJsonl ? "JSON lines" : "a table", fmt::join(shown, ", "),
                     shown.size() < table->columns().size() ? " ..." : "");
}

}  // namespace

/// The rows of a piece, all in memory; checked as InputRows says.
class PieceRows {
 public:
  PieceRows(const InputOptions& options, InputPiece piece);

  /// Usable rows.
  std::size_t size() const { return lines_ ? lines_->size() : usable_.size(); }
  std::size_t skipped() const { return skipped_; }
  std::size_t repaired() const { return table_.repaired_lines().size(); }
  InputRow operator[](std::size_t i) const;
  /// A table; null for raw lines.
  const Table* table() const { return lines_ ? nullptr : &table_; }

 private:
  std::string problem(std::size_t row) const;

  std::optional<InputLines> lines_;  // either these
  Table table_;                      // or a table
  RowColumns columns_;
  std::vector<std::size_t> usable_;  // rows of the table
  std::size_t skipped_ = 0, first_row_;
  bool keep_columns_;
};

PieceRows::PieceRows(const InputOptions& options, InputPiece piece) : first_row_(piece.first_row), keep_columns_(options.keep_columns) {
  constexpr const char* kBadRow = "--on-bad-row skip leaves such rows out";
  const std::string name = input_name(options.path);
  if (are_raw_lines(options)) {
    if (piece.first_row == 0) expect_plain_rows(piece.text, name);
    lines_.emplace(name, options.encoding == "utf-8" ? std::move(piece.text) : to_utf8(piece.text, options.encoding));
    return;
  }
  if (piece.text.empty() && is_read_once(options.path)) throw Error(ErrorTag::kData, name, "expected rows, got nothing");
  TableOptions how = reading(options);
  if (!piece.format.empty()) how.format = piece.format;
  how.first_line = piece.first_line;
  how.columns = std::move(piece.columns);
  how.dialect = piece.dialect;
  table_ = parse_table(piece.text, name, how);
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

/// Why a row of the table cannot be used, or nothing.
std::string PieceRows::problem(std::size_t row) const {
  std::string reason(table_.problem(row));
  if (reason.empty()) reason = missing_text(table_, row, columns_.text);
  if (reason.empty() && columns_.text_pair) reason = missing_text(table_, row, *columns_.text_pair);
  return reason;
}

InputRow PieceRows::operator[](std::size_t i) const {
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

InputRows::InputRows(const InputOptions& options, std::size_t piece_bytes) : options_(options), bytes_(options.path) {
  const std::string_view text = bytes_->text();
  std::vector<TablePiece> pieces = {{.begin = 0, .size = text.size()}};
  if (text.size() > piece_bytes) {
    TableOptions how = reading(options);
    if (are_raw_lines(options)) how.dialect = Dialect{.format = TableFormat::kLines};
    TablePieces cut = cut_table(text, input_name(options.path), how, piece_bytes, [&] { bytes_->release(); });
    dialect_ = how.dialect = cut.dialect;
    pieces = std::move(cut.pieces);
    if (dialect_->format == TableFormat::kJsonl) find_columns(pieces, how);
  }
  places_.reserve(pieces.size());
  for (const TablePiece& piece : pieces) {
    load(places_.emplace_back(Place{piece, size_ + skipped_, size_}));
    add_rows(*loaded_);
  }
  if (places_.size() == 1) bytes_.reset();
}

/// Sets the columns of JSON lines, because any object may bring one that all rows then have.
void InputRows::find_columns(std::span<const TablePiece> pieces, TableOptions how) {
  const std::string name = input_name(options_.path);
  for (const TablePiece& piece : pieces) {
    how.columns = columns_;
    how.first_line = piece.first_line;
    columns_ = parse_table(bytes_->text().substr(piece.begin, piece.size), name, how).columns();
    bytes_->release();
  }
  if (columns_.empty()) read_table(options_.path, reading(options_));  // throws what is wrong with the whole
}

InputRows::InputRows(const InputOptions& options, InputPiece piece) : options_(options) {
  places_.push_back({.bytes = {}, .first_row = piece.first_row});
  loaded_ = std::make_unique<PieceRows>(options, std::move(piece));
  loaded_place_ = &places_.front();
  add_rows(*loaded_);
}

InputRows::~InputRows() = default;

/// Counts the rows of the next piece.
void InputRows::add_rows(const PieceRows& rows) {
  if (loaded_place_ == &places_.front() && loaded_place_->first_row == 0) guess_ = guess_of(options_, rows.table());
  if (rows.table() != nullptr) columns_ = rows.table()->columns();
  size_ += rows.size();
  skipped_ += rows.skipped();
  repaired_ += rows.repaired();
}

void InputRows::load(const Place& place) const {
  loaded_.reset();  // so that two pieces are never in memory
  loaded_place_ = nullptr;
  InputPiece piece{.text = std::string(bytes_->text().substr(place.bytes.begin, place.bytes.size)),
                   .first_line = place.bytes.first_line,
                   .first_row = place.first_row,
                   .columns = columns_,
                   .dialect = dialect_};
  bytes_->release();
  if (piece.dialect) piece.dialect->header = piece.dialect->header && place.bytes.begin == 0;
  loaded_ = std::make_unique<PieceRows>(options_, std::move(piece));
  loaded_place_ = &place;
}

std::vector<std::string> InputRows::columns() const {
  if (!options_.keep_columns) return {};
  std::vector<std::string> names = loaded_->table() == nullptr ? std::vector<std::string>{"text"} : columns_;
  for (std::size_t c = 0; c < names.size(); ++c)
    if (names[c].empty()) names[c] = fmt::format("column_{}", c);
  return names;
}

InputRow InputRows::operator[](std::size_t i) const {
  const auto after = std::ranges::upper_bound(places_, i, {}, &Place::first_usable);
  if (const Place& place = *std::prev(after); &place != loaded_place_) {
    load(place);
    const std::size_t rows = (after == places_.end() ? size_ : after->first_usable) - place.first_usable;
    if (loaded_->size() != rows) {
      loaded_place_ = nullptr;
      throw Error(ErrorTag::kData, fmt::format("{}:{}", input_name(options_.path), place.bytes.first_line),
                  fmt::format("expected {} rows from here, as before, got {}: another program writes the file", rows, loaded_->size()));
    }
  }
  return (*loaded_)[i - loaded_place_->first_usable];
}

}  // namespace minbert
