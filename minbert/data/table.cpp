// Tables: decoding, the three readers, look-up of columns.
#include "minbert/data/table.h"

#include <algorithm>
#include <array>
#include <unordered_map>

#include "minbert/base/input_bytes.h"
#include "minbert/base/json.h"
#include "minbert/base/nearest.h"
#include "minbert/base/number.h"
#include "minbert/base/unicode.h"
#include "minbert/data/delimited.h"
#include "minbert/data/table_builder.h"
#include "minbert/data/text.h"

namespace minbert {

TableBuilder::TableBuilder(std::string name, const Dialect& dialect, std::vector<char> text) {
  table_.name_ = std::move(name);
  table_.dialect_ = dialect;
  table_.text_ = std::move(text);
}

void TableBuilder::add_row(std::int64_t line, std::span<const CellSlice> cells) {
  table_.lines_.push_back(line);
  row_begins_.push_back(slices_.size());
  slices_.insert(slices_.end(), cells.begin(), cells.end());
}

void TableBuilder::add_problem(std::int64_t line, std::string reason) {
  table_.problems_[table_.lines_.size()] = std::move(reason);
  add_row(line, {});
}

Table TableBuilder::take() {
  if (table_.text_.empty()) table_.text_.push_back('\0');  // so that an empty cell has a non-null data()
  const char* const text = table_.text_.data();
  table_.cells_.resize(row_begins_.size() * columns());
  row_begins_.push_back(slices_.size());
  for (std::size_t row = 0; row + 1 < row_begins_.size(); ++row)
    for (std::size_t i = row_begins_[row]; i < row_begins_[row + 1]; ++i) {
      const CellSlice cell = slices_[i];
      const std::size_t place = row * columns() + i - row_begins_[row];
      if (cell.begin != CellSlice::kAbsent) table_.cells_[place] = {text + cell.begin, cell.size};
      if (!cell.is_json) continue;
      table_.is_json_.resize(table_.cells_.size());
      table_.is_json_[place] = true;
    }
  return std::move(table_);
}

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

}  // namespace

void expect_plain_rows(std::string_view bytes, const std::string& name) {
  if (bytes.starts_with("\x1F\x8B"))
    throw Error(ErrorTag::kData, name, "expected text, got a gzip file", fmt::format("gunzip -c {} | minbert ... reads it", name));
  const std::string_view text = strip(bytes);
  if (text.starts_with('[') && strip(text.substr(1)).starts_with('{'))
    throw Error(ErrorTag::kData, name, "expected a JSON object on each line, got an array of them", "jq -c '.[]' makes lines of it");
}

std::string to_utf8(std::string_view bytes, const std::string& encoding) {
  if (encoding == "latin-1") return latin1_to_utf8(bytes);
  if (encoding == "cp1252") return cp1252_to_utf8(bytes);
  throw Error(ErrorTag::kUsage, "encoding", fmt::format("expected utf-8, latin-1 or cp1252, got \"{}\"", encoding));
}

namespace {

// Decodes to UTF-8 without a byte order mark. Refuses binary files and other encodings, and names the line.
std::vector<char> decode(std::string_view bytes, const std::string& name, const TableOptions& options) {
  const std::string& encoding = options.encoding;
  const bool begins = options.first_line == 1;
  if (begins && (bytes.starts_with("\xFF\xFE") || bytes.starts_with("\xFE\xFF")))
    throw Error(ErrorTag::kData, name, "expected UTF-8, got UTF-16", "convert it first: iconv -f utf-16 -t utf-8");
  if (begins && bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  if (begins) expect_plain_rows(bytes, name);
  const auto line_at = [&](std::size_t offset) {
    return options.first_line + std::count(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(offset), '\n');
  };
  if (const std::size_t nul = bytes.find('\0'); nul != bytes.npos)
    throw Error(ErrorTag::kData, fmt::format("{}:{}", name, line_at(nul)), "expected text, got a zero byte (a binary or UTF-16 file?)");
  if (encoding != "utf-8") {
    const std::string text = to_utf8(bytes, encoding);
    return {text.begin(), text.end()};
  }
  if (const std::size_t bad = find_invalid_utf8(bytes); bad != bytes.npos)
    throw Error(ErrorTag::kData, fmt::format("{}:{}", name, line_at(bad)),
                fmt::format("expected UTF-8, got byte 0x{:02x}", static_cast<unsigned char>(bytes[bad])), options.hints.encoding);
  return {bytes.begin(), bytes.end()};
}

// Turns doubled quotes into single ones where they stand and returns the shorter size.
std::size_t unescape(char* begin, std::size_t size, char quote) {
  char* out = begin;
  for (const char* in = begin, *end = begin + size; in < end; ++in) {
    *out++ = *in;
    in += *in == quote;
  }
  return static_cast<std::size_t>(out - begin);
}

std::vector<std::string> numbered_columns(std::size_t n) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < n; ++i) names.push_back(std::to_string(i));
  return names;
}

// Most frequent number of fields among the first records: one broken record at the top must not condemn the others.
std::size_t usual_field_count(std::string_view text, const Dialect& dialect) {
  std::map<std::size_t, std::size_t> counts;
  RecordReader reader(text, dialect);
  for (int i = 0; i < 100 && reader.next(); ++i) ++counts[reader.fields().size()];
  const auto most = std::max_element(counts.begin(), counts.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == counts.end() ? 0 : most->first;
}

// Fields that each record should have: those of the header, else the usual number.
std::size_t expected_fields(std::string_view text, const Dialect& dialect) {
  RecordReader reader(text, dialect);
  return !dialect.header ? usual_field_count(text, dialect) : reader.next() ? reader.fields().size() : 0;
}

Table read_delimited(TableBuilder& table, const Dialect& dialect, const TableOptions& options) {
  char* const base = table.text().data();
  const std::string_view text(base, table.text().size());
  RecordReader reader(text, dialect);
  std::vector<CellSlice> cells;
  const auto take_cells = [&]() -> std::span<const CellSlice> {
    cells.clear();
    for (const Field& field : reader.fields())
      cells.push_back({field.begin, field.escaped ? unescape(base + field.begin, field.size, dialect.quote) : field.size});
    return cells;
  };
  if (dialect.header && reader.next()) {
    std::vector<std::string> names;
    for (const CellSlice& cell : take_cells()) names.emplace_back(strip(text.substr(cell.begin, cell.size)));
    table.set_columns(std::move(names));
  } else {
    table.set_columns(options.columns.empty() ? numbered_columns(usual_field_count(text, dialect)) : options.columns);
  }
  reader.expect(table.columns());
  while (reader.next()) {
    const std::int64_t line = options.first_line + reader.line() - 1;
    if (reader.repaired()) table.add_repaired(line);
    if (reader.fields().size() == table.columns())
      table.add_row(line, take_cells());
    else
      table.add_problem(line, fmt::format("expected {} fields, got {}{}", table.columns(), reader.fields().size(),
                                          reader.repaired() ? " (unbalanced quote)" : ""));
  }
  return table.take();
}

// Calls fn(line number, begin, size) for every line, without its line end.
template <class Fn>
void for_each_line(std::string_view text, char newline, std::int64_t line, Fn&& fn) {
  for (std::size_t begin = 0; begin < text.size(); ++line) {
    const std::size_t end = std::min(text.find(newline, begin), text.size());
    const std::size_t size = end - begin;
    const bool carriage = newline == '\n' && size > 0 && text[end - 1] == '\r';
    fn(line, begin, size - carriage);
    begin = end + 1;
  }
}

Table read_lines(TableBuilder& table, const Dialect& dialect, const TableOptions& options) {
  const bool pairs = options.pair_lines;
  const std::string_view text(table.text().data(), table.text().size());
  table.set_columns(pairs ? std::vector<std::string>{"text", "text_pair"} : std::vector<std::string>{"text"});
  for_each_line(text, dialect.newline, options.first_line, [&](std::int64_t line, std::size_t begin, std::size_t size) {
    if (!pairs) return table.add_row(line, std::array{CellSlice{begin, size}});
    const std::size_t tab = text.substr(begin, size).find('\t');
    if (tab == text.npos) return table.add_problem(line, "expected two texts with a tab between them, got no tab");
    table.add_row(line, std::array{CellSlice{begin, tab}, CellSlice{begin + tab + 1, size - tab - 1}});
  });
  return table.take();
}

Table read_jsonl(TableBuilder& table, const Dialect& dialect, const TableOptions& options) {
  const auto among = [](const std::vector<std::string>& names, const std::string& key) {
    return std::find(names.begin(), names.end(), key) != names.end();
  };
  const std::vector<char> source = std::exchange(table.text(), {});
  std::vector<char>& text = table.text();
  std::vector<std::string> columns = options.columns;
  std::unordered_map<std::string, std::size_t> index;
  for (std::size_t c = 0; c < columns.size(); ++c) index[columns[c]] = c;
  std::vector<CellSlice> cells;
  std::string first_problem;
  std::int64_t first_line = 0;
  const auto append = [&](std::string_view value) {
    text.insert(text.end(), value.begin(), value.end());
    return CellSlice{text.size() - value.size(), value.size()};
  };
  const auto add_object = [&](std::int64_t line, const Json& object) {
    cells.clear();
    for (const auto& [key, value] : object.items()) {
      if (value.is_null()) continue;
      const auto [place, added] = index.try_emplace(key, columns.size());
      if (added) columns.push_back(key);
      if (value.is_structured() && among(options.wanted, key) && !(value.is_array() && among(options.lists, key)))
        return table.add_problem(line, fmt::format("column \"{}\": expected a string or a number, got an {}", key, value.type_name()));
      if (cells.size() <= place->second) cells.resize(place->second + 1);
      CellSlice& cell = cells[place->second];
      cell = append(value.is_string() ? value.get_ref<const std::string&>() : dump_json(value));
      cell.is_json = !value.is_string();
    }
    table.add_row(line, cells);
  };
  for_each_line({source.data(), source.size()}, dialect.newline, options.first_line,
                [&](std::int64_t line, std::size_t begin, std::size_t size) {
                  const std::string_view record = strip({source.data() + begin, size});
                  if (record.empty()) return;
                  const auto [value, broken] = parse_json_line(record);
                  if (value.is_object()) return add_object(line, value);
                  std::string problem = fmt::format("expected a JSON object, got {}", broken.empty() ? value.type_name() : broken);
                  if (first_problem.empty()) first_problem = problem, first_line = line;
                  table.add_problem(line, std::move(problem));
                });
  // Without a single object, an error about missing columns would hide the cause.
  if (columns.empty() && !first_problem.empty() && !options.dialect)
    throw Error(ErrorTag::kData, fmt::format("{}:{}", table.name(), first_line), first_problem, options.hints.lines);
  table.set_columns(std::move(columns));
  return table.take();
}

std::string listed(std::span<const std::string> names) {
  std::string out;
  for (const std::string& name : names) out += fmt::format("{}\"{}\"", out.empty() ? "" : ", ", name);
  return out.empty() ? "none" : out;
}

}  // namespace

ReadingHints config_hints() {
  return {.encoding =
              "encoding = \"latin-1\", or \"cp1252\" of Windows, in [task.data] reads it as it is; iconv -f cp1252 -t utf-8 rewrites it",
          .lines = "format = \"lines\" in [task.data] reads a file of plain texts",
          .bad_row = "on_bad_row = \"skip\" in [task.data] leaves such rows out",
          .no_label = "train = [{ path = \"...\", label = \"...\" }]"};
}

std::string_view Table::problem(std::size_t i) const {
  const auto found = problems_.find(i);
  return found == problems_.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<std::size_t> Table::find_column(std::string_view wanted) const {
  const auto found = std::find(columns_.begin(), columns_.end(), wanted);
  if (found != columns_.end()) return static_cast<std::size_t>(found - columns_.begin());
  const auto number = number_from<std::size_t>(wanted);
  return number && *number < columns_.size() ? number : std::nullopt;
}

std::size_t Table::require_column(std::string_view wanted, std::string_view key, std::string_view hint) const {
  if (std::ranges::count(columns_, wanted) > 1)
    throw Error(ErrorTag::kData, name_,
                fmt::format("{}: expected one column \"{}\", got {}", key, wanted, std::ranges::count(columns_, wanted)),
                "its number, counted from 0, names one of them");
  if (const auto found = find_column(wanted)) return *found;
  const std::string* name = nearest(wanted, columns_);
  throw Error(ErrorTag::kData, name_, fmt::format("{}: expected a column \"{}\", got columns {}", key, wanted, listed(columns_)),
              !hint.empty()     ? std::string(hint)
              : name == nullptr ? ""
                                : fmt::format("did you mean \"{}\"?", *name));
}

namespace {

/// Bytes of "sep=;", the line by which Excel is told a delimiter, before its line end; 0 where there is none. It sets the options.
std::size_t take_separator_line(std::string_view text, TableOptions& options) {
  constexpr std::string_view kName = "sep=";
  const std::size_t size = kName.size() + 1;
  const bool may_be_csv =
      options.dialect ? options.dialect->format == TableFormat::kDelimited : options.format == "auto" || options.format == "csv";
  if (options.first_line != 1 || !may_be_csv || !text.starts_with(kName) || text.size() <= size ||
      (text[size] != '\n' && text[size] != '\r'))
    return 0;
  options.format = "csv";
  if (options.delimiter == "auto") options.delimiter = std::string(1, text[kName.size()]);
  return size;
}

}  // namespace

Table parse_table(std::string_view bytes, std::string name, const TableOptions& given) {
  TableOptions options = given;
  std::vector<char> text = decode(bytes, name, options);
  // Its line end stays, so that lines are counted as the file has them; a blank line is no record.
  text.erase(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(take_separator_line({text.data(), text.size()}, options)));
  if (!options.dialect && options.first_line == 1 && strip({text.data(), text.size()}).empty())
    throw Error(ErrorTag::kData, name, "expected rows, got an empty file");
  const std::string_view all(text.data(), text.size());
  Dialect dialect = options.dialect ? *options.dialect : detect_dialect(all, format_of_name(name), options);
  if (!options.dialect && dialect.format == TableFormat::kDelimited)
    dialect.recover = has_unbalanced_quotes(all, dialect, expected_fields(all, dialect));
  TableBuilder table(std::move(name), dialect, std::move(text));
  switch (dialect.format) {
    case TableFormat::kJsonl: return read_jsonl(table, dialect, options);
    case TableFormat::kLines: return read_lines(table, dialect, options);
    case TableFormat::kDelimited: break;
  }
  return read_delimited(table, dialect, options);
}

TablePieces cut_table(std::string_view bytes, const std::string& name, const TableOptions& given, std::size_t piece_bytes,
                      const std::function<void()>& after_piece) {
  TableOptions options = given;
  std::size_t mark = bytes.starts_with(kByteOrderMark) ? kByteOrderMark.size() : 0;
  mark += take_separator_line(bytes.substr(mark), options);
  const std::string_view text = bytes.substr(mark);
  TablePieces out{.dialect = options.dialect ? *options.dialect : detect_dialect(text, format_of_name(name), options), .pieces = {}};
  TablePiece piece;
  const auto end_at = [&](std::size_t end) {
    piece.size = end - piece.begin;
    out.pieces.push_back(piece);
    piece.first_line += std::ranges::count(bytes.substr(piece.begin, piece.size), out.dialect.newline);
    piece.begin = end;
    after_piece();
  };
  if (out.dialect.format == TableFormat::kDelimited) {
    RecordReader reader(text, out.dialect);
    const std::size_t fields = expected_fields(text, out.dialect);
    reader.expect(fields);
    while (reader.next()) {
      if (reader.unbalanced() && !out.dialect.recover) {  // so that the pieces so far may not be whole records
        out = {.dialect = out.dialect, .pieces = {}};
        out.dialect.recover = true;
        piece = {};
        reader = RecordReader(text, out.dialect);
        reader.expect(fields);
      } else if (const std::size_t end = mark + reader.position(); end - piece.begin >= piece_bytes) {
        end_at(end);
      }
    }
  } else {
    while (piece.begin < bytes.size())
      end_at(std::min(bytes.find(out.dialect.newline, piece.begin + piece_bytes - 1), bytes.size() - 1) + 1);
  }
  if (piece.begin < bytes.size()) end_at(bytes.size());
  return out;
}

Table read_table(const std::filesystem::path& path, const TableOptions& options) {
  const InputBytes input(path);
  if (input.text().empty() && is_read_once(path)) throw Error(ErrorTag::kData, input_name(path), "expected rows, got nothing");
  return parse_table(input.text(), input_name(path), options);
}

}  // namespace minbert
