// The reader of delimited records: RFC 4180, and recovery from unbalanced quotes where that fails.
#include "minbert/data/delimited.h"

#include <algorithm>

namespace minbert {

std::size_t RecordReader::line_end(std::size_t from) const { return std::min(text_.find(dialect_.newline, from), text_.size()); }

bool RecordReader::at_field_end(std::size_t position) const {
  if (position >= text_.size()) return true;
  const char c = text_[position];
  if (c == dialect_.delimiter || c == dialect_.newline) return true;
  // The \r of \r\n, or of a last line that lost its \n.
  return c == '\r' && (position + 1 == text_.size() || text_[position + 1] == dialect_.newline);
}

bool RecordReader::next() {
  while (position_ < text_.size()) {
    fields_.clear();
    repaired_ = unbalanced_ = false;
    quotes_opened_ = 0;
    line_ = next_line_;
    bool more = true;
    while (more) {
      const bool opens = dialect_.quote != 0 && position_ < text_.size() && text_[position_] == dialect_.quote;
      quotes_opened_ += opens;
      if (!opens || !read_quoted()) {
        repaired_ |= opens;
        read_plain();
      }
      more = position_ < text_.size() && text_[position_] == dialect_.delimiter;
      position_ += more;
    }
    const bool spans_lines = next_line_ > line_;
    unbalanced_ = unbalanced_ || (spans_lines && expected_ > 0 && fields_.size() != expected_);
    if (position_ < text_.size() && text_[position_] == '\r' && dialect_.newline == '\n') ++position_;
    if (position_ < text_.size()) ++position_, ++next_line_;
    const bool blank = fields_.size() == 1 && fields_[0].size == 0 && quotes_opened_ == 0;
    if (!blank) return true;
  }
  return false;
}

void RecordReader::read_plain() {
  const std::size_t begin = position_;
  while (!at_field_end(position_)) ++position_;
  fields_.push_back({begin, position_ - begin, false});
}

bool RecordReader::read_quoted() {
  const std::size_t begin = position_ + 1;
  bool escaped = false;
  std::size_t close = text_.find(dialect_.quote, begin);
  while (close != text_.npos && close + 1 < text_.size() && text_[close + 1] == dialect_.quote) {
    escaped = true;
    close = text_.find(dialect_.quote, close + 2);
  }
  const std::string_view inside = text_.substr(begin, std::min(close, text_.size()) - begin);
  const auto newlines = std::count(inside.begin(), inside.end(), dialect_.newline);
  if (close == text_.npos || !at_field_end(close + 1)) {
    unbalanced_ = unbalanced_ || close == text_.npos || newlines > 0;
    return false;
  }
  if (newlines > 0 && swallows_records(close)) return false;
  next_line_ += newlines;
  fields_.push_back({begin, inside.size(), escaped});
  position_ = close + 1;
  return true;
}

// A closing quote was found some lines below. If the line of the opening quote and every line down to the closing one has the right
// number of fields on its own, they are records of their own and the opening quote is a broken one. In a valid table this would cut texts
// apart that happen to hold delimiters.
bool RecordReader::swallows_records(std::size_t close) const {
  if (!dialect_.recover || expected_ < 2) return false;
  const auto separate = [&](std::size_t from, std::size_t to) {
    const std::string_view part = text_.substr(from, to - from);
    return std::count(part.begin(), part.end(), dialect_.delimiter);
  };
  std::size_t end = line_end(position_);
  if (fields_.size() + 1 + static_cast<std::size_t>(separate(position_, end)) != expected_) return false;
  while (end < close) {
    const std::size_t begin = end + 1;
    end = line_end(begin);
    if (static_cast<std::size_t>(separate(begin, end)) + 1 != expected_) return false;
  }
  return true;
}

bool has_unbalanced_quotes(std::string_view text, const Dialect& dialect, std::size_t fields_per_record) {
  if (dialect.quote == 0 || text.find(dialect.quote) == text.npos) return false;
  RecordReader reader(text, dialect);
  reader.expect(fields_per_record);
  while (reader.next())
    if (reader.unbalanced()) return true;
  return false;
}

}  // namespace minbert
