// InputRows: the rows of a file or of standard input that a model is to answer: CSV, TSV, JSON lines or plain lines.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "minbert/base/input_bytes.h"
#include "minbert/data/row_columns.h"
#include "minbert/data/table.h"

namespace minbert {

/// A cell of a record.
struct InputCell {
  std::string text;
  bool is_json = false;  ///< see Table::is_json
};

/// One text, or a pair, as it was given.
struct InputRow {
  std::string text, text_pair;
  std::string id;  ///< of its column, else its number from 0 in the input
  /// All cells of its record, if InputOptions::keep_columns; nothing for a key that an object lacks.
  std::vector<std::optional<InputCell>> cells = {};
};

struct InputOptions {
  std::string path = "-";          ///< "-" is standard input
  std::string format = "auto";     ///< auto | csv | tsv | jsonl | lines
  std::string header = "auto";     ///< auto | yes | no: whether a table's first record names its columns
  std::string encoding = "utf-8";  ///< utf-8 | latin-1 | cp1252
  RowColumnNames columns = {};
  bool skip_bad_rows = false;
  bool keep_columns = false;  ///< fill InputRow::cells
};

/// Consecutive whole records of an input.
struct InputPiece {
  std::string text;
  std::string format = {};                ///< jsonl | lines; empty: as the options say
  std::int64_t first_line = 1;            ///< the piece's first line, counted in the whole input
  std::size_t first_row = 0;              ///< number of records before this piece
  std::vector<std::string> columns = {};  ///< columns found in earlier pieces
  std::optional<Dialect> dialect = {};    ///< dialect of the whole input, if that is known
};

class PieceRows;

/// Rows by number. Of an input longer than a few megabytes, one piece is in memory at a time, so that access should be in order; two
/// threads must not read rows at once. A file must not change meanwhile; that is noticed where a piece gets other rows in number.
class InputRows {
 public:
  static constexpr std::size_t kPieceBytes = std::size_t{4} << 20;

  /// Reads all of the input, which may be a pipe, and checks each row: a bad one throws Error(kData) or is left out. Single texts as
  /// "lines" are InputLines: cut at \n alone, bytes kept. Throws Error(kData) too when there is nothing to read. `piece_bytes`: of the
  /// input, and one record more, are in memory at a time.
  explicit InputRows(const InputOptions& options, std::size_t piece_bytes = kPieceBytes);
  /// Reads a piece of the input that the options name. Ids and places in errors count from the start of the whole input.
  InputRows(const InputOptions& options, InputPiece piece);
  ~InputRows();

  /// Usable rows.
  std::size_t size() const { return size_; }
  std::size_t skipped() const { return skipped_; }
  /// Records with an unbalanced quote, which is read as a character.
  std::size_t repaired() const { return repaired_; }
  /// A message such as "FILE: read as a table with the columns a, b", if the format was guessed from the content; else empty.
  const std::string& guess() const { return guess_; }
  /// Names of the record's cells, if InputOptions::keep_columns; of plain lines: text, or text and text_pair.
  std::vector<std::string> columns() const;
  /// Names of all columns, also of those that nobody asks for; none of plain lines.
  const std::vector<std::string>& all_columns() const { return columns_; }
  /// Usable row i, from 0. Throws Error(kData) if the file has changed since the constructor read it.
  InputRow operator[](std::size_t i) const;

 private:
  /// Where a piece stands in the input.
  struct Place {
    TablePiece bytes;
    std::size_t first_row = 0, first_usable = 0;  // records and usable rows before it
  };

  void find_columns(std::span<const TablePiece> pieces, TableOptions how);
  void load(const Place& place) const;
  void add_rows(const PieceRows& rows);

  InputOptions options_;
  std::optional<InputBytes> bytes_;  // where not all rows are in memory
  std::optional<Dialect> dialect_;   // of several pieces
  std::vector<Place> places_;
  std::vector<std::string> columns_;
  std::size_t size_ = 0, skipped_ = 0, repaired_ = 0;
  std::string guess_;
  mutable std::unique_ptr<PieceRows> loaded_;
  mutable const Place* loaded_place_ = nullptr;
};

}  // namespace minbert
