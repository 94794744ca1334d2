// Files of records: CSV, TSV, JSON lines and plain lines read into one table of text cells.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/check.h"

namespace minbert {

/// What a person can do about input that cannot be read, in the words of the verb in use: its flags, or keys of a config.
struct ReadingHints {
  /// Where the text is no UTF-8.
  std::string encoding = "--encoding latin-1, or cp1252 of Windows, reads it as it is; iconv -f cp1252 -t utf-8 rewrites it";
  std::string lines = {};     ///< where plain texts are taken for JSON lines
  std::string bad_row = {};   ///< where a row cannot be used
  std::string no_label = {};  ///< where plain lines should have labels
  std::string columns = {};   ///< where a column is missing; else the nearest name is the hint
};
/// The hints for a table that [task.data] of a config names.
ReadingHints config_hints();

enum class TableFormat { kDelimited, kJsonl, kLines };

/// How a file is read.
struct Dialect {
  TableFormat format = TableFormat::kDelimited;
  char delimiter = ',';
  char quote = '"';     ///< 0: quotes are plain characters
  char newline = '\n';  ///< '\r' only in a file without any \n; with '\n', one \r before it is dropped
  bool header = true;
  bool recover = false;  ///< some quote lacks its partner, so that records are read by RecordReader's recovery
};

/// How a file is to be read. "auto" is decided from the first 64 KiB, the file's extension and the columns wanted.
struct TableOptions {
  std::string format = "auto";           ///< auto | csv | tsv | jsonl | lines
  std::string delimiter = "auto";        ///< auto | tab | any one ASCII character
  std::string quote = "auto";            ///< auto | none | any one ASCII character, doubled inside a quoted field (RFC 4180)
  std::string header = "auto";           ///< auto | yes | no  (true and false too)
  std::string encoding = "utf-8";        ///< utf-8 | latin-1 | cp1252
  std::vector<std::string> wanted = {};  ///< names that the caller will look up; a first record that holds one is a header
  std::vector<std::string> lists = {};   ///< names of columns that may hold a JSON list in JSON lines; the cell is then its JSON text
  bool pair_lines = false;               ///< lines: the first tab of a line splits it into text and text_pair
  ReadingHints hints = {};
  /// Columns found in earlier pieces of the file. JSON lines append new ones to them; a delimited file has these alone.
  std::vector<std::string> columns = {};
  std::int64_t first_line = 1;          ///< physical line of the first byte; above 1 for a later piece of a file
  std::optional<Dialect> dialect = {};  ///< dialect of the whole file, where the bytes are a piece of it; a piece may hold no row
};

/// Records as rows of cells. A cell is a view into storage owned by the table; one with a null data() is absent (JSON lines
/// without the key, or null). A row with a problem keeps its place and line, its cells must not be used.
class Table {
 public:
  const std::string& name() const { return name_; }
  const Dialect& dialect() const { return dialect_; }
  const std::vector<std::string>& columns() const { return columns_; }
  std::size_t rows() const { return lines_.size(); }
  std::span<const std::string_view> row(std::size_t i) const { return std::span(cells_).subspan(i * columns_.size(), columns_.size()); }
  std::string_view cell(std::size_t i, std::size_t column) const { return row(i)[column]; }
  /// True for a cell of JSON lines that is no string there but a number, true, false, a list or an object: it is then its JSON text.
  bool is_json(std::size_t i, std::size_t column) const { return !is_json_.empty() && is_json_[i * columns_.size() + column]; }
  /// Physical line, from 1, where the record starts.
  std::int64_t line(std::size_t i) const { return lines_[i]; }
  /// Why row i cannot be used ("expected 4 fields, got 3"), or empty.
  std::string_view problem(std::size_t i) const;
  /// Lines where an unbalanced quote was read as a plain character. None in a table that is valid by RFC 4180.
  const std::vector<std::int64_t>& repaired_lines() const { return repaired_; }

  /// Index of the column of this name, else of this number (from 0).
  std::optional<std::size_t> find_column(std::string_view name_or_number) const;
  /// As find_column, but throws Error(kData) that lists the columns and names the nearest, or gives the hint. `key` is the setting, such
  /// as "text".
  std::size_t require_column(std::string_view name_or_number, std::string_view key, std::string_view hint = {}) const;

 private:
  friend class TableBuilder;
  std::string name_;
  Dialect dialect_;
  std::vector<std::string> columns_;
  std::vector<std::string_view> cells_;  // rows() x columns().size()
  std::vector<bool> is_json_;            // of each cell; empty if there is none
  std::vector<std::int64_t> lines_;
  std::vector<std::int64_t> repaired_;
  std::map<std::size_t, std::string> problems_;  // row -> reason
  std::vector<char> text_;                       // what the cells view
};

/// The format that the ending of a file's name stands for, in any case: "csv", "tsv" (also .tab) or "jsonl" (also .ndjson and .json); empty
/// for other endings.
std::string_view format_of_name(const std::filesystem::path& name);

/// Reads a file, or standard input for "-". Throws Error(kData) when it cannot be read, is empty or is not text in the encoding,
/// Error(kUsage) for an option without meaning.
Table read_table(const std::filesystem::path& path, const TableOptions& options = {});

/// Throws Error(kData) for the first bytes of a file whose lines are no rows, though they may pass for text: gzip, and an array of JSON
/// objects.
void expect_plain_rows(std::string_view bytes, const std::string& name);

/// Text of another encoding as UTF-8. Throws Error(kUsage) if `encoding` is neither latin-1 nor cp1252.
std::string to_utf8(std::string_view bytes, const std::string& encoding);

/// Reads bytes in memory. Errors show `name`, and its extension counts as the file's.
Table parse_table(std::string_view bytes, std::string name, const TableOptions& options = {});

/// A part of a file's bytes that holds whole records.
struct TablePiece {
  std::size_t begin = 0, size = 0;
  std::int64_t first_line = 1;
};

/// A file whose pieces parse_table() reads one by one, with this dialect (only the first piece has the header), into the rows of the whole.
struct TablePieces {
  Dialect dialect;
  std::vector<TablePiece> pieces;
};

/// Cuts UTF-8 into pieces of at least `piece_bytes`, but for the last. Calls `after_piece` whenever it has gone through a piece. Errors as
/// those of parse_table().
TablePieces cut_table(std::string_view bytes, const std::string& name, const TableOptions& options, std::size_t piece_bytes,
                      const std::function<void()>& after_piece);

}  // namespace minbert
