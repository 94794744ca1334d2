// InputStream: the rows of an input in pieces: all at once, or those of a pipe or a terminal as their lines come.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "minbert/base/input_bytes.h"
#include "minbert/data/input_rows.h"

namespace minbert {

class InputStream {
 public:
  /// Reads nothing yet. Pieces come as the lines do if `as_it_comes` is set, the input is no regular file, and its format is JSON lines or
  /// plain lines. The first line decides about "auto": where it leaves open whether the input is a table, and for a table, whose records
  /// may span lines, all of it is one piece. Throws Error(kData) when it cannot be opened.
  InputStream(const InputOptions& options, bool as_it_comes);

  /// The next rows, possibly none if all were left out; waits for them. Null at the end. Throws as InputRows does.
  std::unique_ptr<InputRows> next();
  /// Whether the piece that next() returned last may have successors.
  bool is_live() const { return stream_ != nullptr; }
  /// Records so far, and how many of them were left out.
  std::size_t records() const { return records_; }
  std::size_t skipped() const { return skipped_; }
  std::size_t repaired() const { return repaired_; }

 private:
  InputPiece first_piece();
  InputPiece later_piece();

  InputOptions options_;
  std::unique_ptr<LineStream> stream_;  // while pieces may come
  bool begun_ = false;
  std::string format_;  // of the pieces
  std::int64_t lines_ = 0;
  std::size_t records_ = 0, skipped_ = 0, repaired_ = 0;
  std::vector<std::string> columns_;  // of the pieces so far
};

}  // namespace minbert
