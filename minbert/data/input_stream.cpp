// Cuts an input into pieces, and tells from a first line what they are.
#include "minbert/data/input_stream.h"

#include <algorithm>

#include "minbert/base/json.h"
#include "minbert/data/known_columns.h"
#include "minbert/data/text.h"

namespace minbert {
namespace {

/// Whether a line may be a table's header: it holds a name that is looked for, between delimiters.
bool may_be_header(std::string_view line, const RowColumnNames& names) {
  constexpr std::string_view kDelimiters = ",\t;|";
  if (line.find_first_of(kDelimiters) == line.npos) return false;
  for (std::size_t begin = 0; begin <= line.size();) {
    const std::size_t end = std::min(line.find_first_of(kDelimiters, begin), line.size());
    std::string_view field = strip(line.substr(begin, end - begin));
    if (field.size() > 1 && field.front() == '"' && field.back() == '"') field = strip(field.substr(1, field.size() - 2));
    if (!field.empty() && (field == names.text || field == names.text_pair)) return true;
    begin = end + 1;
  }
  return false;
}

/// What the first line that is not blank says of the lines after it: "jsonl", "lines", or nothing where only the whole input tells.
std::string format_of(std::string_view line, const InputOptions& options) {
  if (options.format == "jsonl" || options.format == "lines") return options.format;
  const std::string_view named = format_of_name(options.path);
  if (options.format != "auto" || named == "csv" || named == "tsv") return {};
  if (named == "jsonl") return "jsonl";
  if (parse_json_line(line).value.is_object()) return "jsonl";
  const bool opens_quote = line.front() == '"' && std::count(line.begin(), line.end(), '"') % 2 != 0;
  const bool may_be_table = line.find('\t') != line.npos && !options.columns.pair;
  return line.front() == '{' || opens_quote || may_be_table || may_be_header(line, options.columns) ? "" : "lines";
}

std::string_view first_line_of(std::string_view text) {
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    if (const std::string_view line = strip(text.substr(begin, end - begin)); !line.empty()) return line;
  }
  return {};
}

}  // namespace

InputStream::InputStream(const InputOptions& options, bool as_it_comes) : options_(options) {
  if (as_it_comes && comes_over_time(options.path)) stream_ = std::make_unique<LineStream>(options.path);
}

/// Sets format_, or reads all there is.
InputPiece InputStream::first_piece() {
  InputPiece piece{.text = stream_->next()};
  while (first_line_of(piece.text).empty() && !piece.text.empty()) {
    const std::string more = stream_->next();
    if (more.empty()) break;
    piece.text += more;
  }
  const std::string_view line = first_line_of(piece.text);
  if (!line.empty() && piece.text.ends_with('\n')) format_ = format_of(line, options_);
  if (format_.empty()) {
    piece.text += stream_->rest();
    stream_.reset();
  }
  piece.format = format_;
  return piece;
}

InputPiece InputStream::later_piece() {
  InputPiece piece{
      .text = stream_->next(), .format = format_, .first_line = lines_ + 1, .first_row = records_, .columns = std::move(columns_)};
  if (piece.text.empty()) stream_.reset();
  return piece;
}

std::unique_ptr<InputRows> InputStream::next() {
  if (begun_ && !stream_) return nullptr;
  std::unique_ptr<InputRows> rows;
  if (!stream_) {
    rows = std::make_unique<InputRows>(options_);
  } else {
    InputPiece piece = begun_ ? later_piece() : first_piece();
    if (begun_ && piece.text.empty()) return nullptr;
    if (begun_ && !piece.text.ends_with('\n')) piece.text += '\n';  // so that a \r in it ends no line
    lines_ += std::count(piece.text.begin(), piece.text.end(), '\n');
    rows = std::make_unique<InputRows>(options_, std::move(piece));
    columns_ = rows->all_columns();
  }
  begun_ = true;
  records_ += rows->size() + rows->skipped();
  skipped_ += rows->skipped();
  repaired_ += rows->repaired();
  return rows;
}

}  // namespace minbert
