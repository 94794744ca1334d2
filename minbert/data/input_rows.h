// InputRows: the rows of a file or of standard input that a model is to answer: CSV, TSV, JSON lines or plain lines.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "minbert/data/input_lines.h"
#include "minbert/data/row_columns.h"

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
  std::string path = "-";       ///< "-" is standard input
  std::string format = "auto";  ///< auto | csv | tsv | jsonl | lines
  RowColumnNames columns = {};
  bool skip_bad_rows = false;
  bool keep_columns = false;  ///< fill InputRow::cells
};

/// A part of an input: whole lines of JSON lines or of plain lines, or all of it.
struct InputPiece {
  std::string text;
  std::string format = {};                ///< jsonl | lines; empty: as the options say, for all of an input
  std::int64_t first_line = 1;            ///< of the input
  std::size_t first_row = 0;              ///< records before it
  std::vector<std::string> columns = {};  ///< that the pieces before it had
};

class InputRows {
 public:
  /// Reads all of the input, which may be a pipe, and checks each row: a bad one throws Error(kData) or is left out. Single texts as
  /// "lines" are InputLines: cut at \n alone, bytes kept. Throws Error(kData) too when there is nothing to read.
  explicit InputRows(const InputOptions& options);
  /// Reads a piece of the input that the options name. Ids and places in errors count from the start of the whole input.
  InputRows(const InputOptions& options, InputPiece piece);

  /// Usable rows.
  std::size_t size() const { return lines_ ? lines_->size() : usable_.size(); }
  std::size_t skipped() const { return skipped_; }
  /// A line for people that says what the input was taken for, if its content alone says that it is a table; else empty.
  std::string guess() const;
  /// Names of the record's cells, if InputOptions::keep_columns; of plain lines: text, or text and text_pair.
  std::vector<std::string> columns() const;
  /// Names of all columns, also of those that nobody asks for; none of plain lines.
  std::vector<std::string> all_columns() const { return lines_ ? std::vector<std::string>{} : table_.columns(); }
  InputRow operator[](std::size_t i) const;

 private:
  static TableOptions reading(const InputOptions& options);
  void check_rows(const InputOptions& options);
  std::string problem(std::size_t row) const;

  std::optional<InputLines> lines_;  // either these
  Table table_;                      // or a table
  RowColumns columns_;
  std::vector<std::size_t> usable_;  // rows of the table
  std::size_t skipped_ = 0, first_row_ = 0;
  bool guessed_ = false;  // neither a flag nor the name of the file told the format
  bool keep_columns_;
};

}  // namespace minbert
