// Records of delimited text, one at a time, and the guess of a file's dialect from its beginning.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "minbert/data/table.h"

namespace minbert {

/// A field as it stands in the text, quotes around it left out.
struct Field {
  std::size_t begin = 0, size = 0;
  bool escaped = false;  ///< holds doubled quotes
};

/// Walks over delimited text. A quoted field follows RFC 4180 and may span lines; a quote that does not open such a field, because nothing
/// closes it or text follows the closing one, is a plain character.
class RecordReader {
 public:
  RecordReader(std::string_view text, const Dialect& dialect) : text_(text), dialect_(dialect) {}

  /// Fields that a record should have. With Dialect::recover, a quote that would swallow lines which have this many fields by themselves is
  /// a plain character too.
  void expect(std::size_t fields_per_record) { expected_ = fields_per_record; }

  /// Moves to the next record, leaving empty lines out; false at the end.
  bool next();
  const std::vector<Field>& fields() const { return fields_; }
  std::string_view field(std::size_t i) const { return text_.substr(fields_[i].begin, fields_[i].size); }
  /// Physical line, from 1, where the record starts.
  std::int64_t line() const { return line_; }
  /// Offset in the text behind the record.
  std::size_t position() const { return position_; }
  /// True when a quote of this record was read as a plain character.
  bool repaired() const { return repaired_; }
  /// True when a quote of this record seems to lack its partner: nothing closes it, or what closes it on a later line leaves a broken field
  /// or a wrong number of them.
  bool unbalanced() const { return unbalanced_; }
  /// Fields of this record that began with a quote.
  std::size_t quotes_opened() const { return quotes_opened_; }

 private:
  bool read_quoted();
  void read_plain();
  bool swallows_records(std::size_t close) const;
  std::size_t line_end(std::size_t from) const;
  bool at_field_end(std::size_t position) const;

  std::string_view text_;
  Dialect dialect_;
  std::size_t expected_ = 0;  // 0: unknown
  std::size_t position_ = 0;
  std::int64_t line_ = 0, next_line_ = 1;
  bool repaired_ = false, unbalanced_ = false;
  std::size_t quotes_opened_ = 0;
  std::vector<Field> fields_;
};

/// Whether some record of the text is unbalanced(), so that it is no valid table whatever else it holds.
bool has_unbalanced_quotes(std::string_view text, const Dialect& dialect, std::size_t fields_per_record);

/// Decides format, delimiter, quote, newline and header where the options leave them open. `named` is what format_of_name() returns.
Dialect detect_dialect(std::string_view text, std::string_view named, const TableOptions& options);

}  // namespace minbert
