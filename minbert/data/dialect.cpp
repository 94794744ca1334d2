// The guess of a file's dialect: extension, first bytes, and how valid and regular the first records are under each candidate delimiter.
#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <tuple>

#include "minbert/base/json.h"
#include "minbert/base/number.h"
#include "minbert/data/delimited.h"
#include "minbert/data/known_columns.h"
#include "minbert/data/text.h"

namespace minbert {
namespace {

constexpr std::size_t kSampleBytes = 64 * 1024;

[[noreturn]] void bad_option(std::string_view key, std::string_view expected, std::string_view got) {
  throw Error(ErrorTag::kUsage, key, fmt::format("expected {}, got \"{}\"", expected, got));
}

char single_character(std::string_view key, std::string_view value, std::string_view expected) {
  if (value == "tab" || value == "\\t") return '\t';
  if (value.size() != 1 || value[0] == '\n' || value[0] == '\r' || static_cast<unsigned char>(value[0]) >= 0x80)
    bad_option(key, expected, value);
  return value[0];
}

bool is_number(std::string_view text) { return number_from<double>(strip(text)).has_value(); }

bool contains(std::span<const std::string> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// '\r' where it alone ends lines: a \n within quotes ends none.
char detect_newline(std::string_view text, char quote) {
  bool inside = false, carriage = false;
  for (const char c : text) {
    inside ^= quote != 0 && c == quote;
    if (c == '\n' && !inside) return '\n';
    carriage |= c == '\r' && !inside;
  }
  return carriage || (text.find('\n') == text.npos && text.find('\r') != text.npos) ? '\r' : '\n';
}

// What the first records, those that begin within the sample, are like when cut at one delimiter.
struct Sample {
  std::size_t fields = 0;  // of the first record
  std::size_t records = 0;
  std::size_t regular = 0;               // records with as many fields as the first
  std::size_t opened = 0, repaired = 0;  // fields that began with a quote; records with a broken one
  bool unbalanced = false;               // some quote lacks its partner
  bool wanted = false;                   // the first record holds a wanted name
  double regularity() const { return records == 0 ? 0 : static_cast<double>(regular) / static_cast<double>(records); }
  bool valid() const { return records > 0 && regular == records && repaired == 0; }
};

Sample read_sample(std::string_view text, const Dialect& dialect, const TableOptions& options) {
  Sample sample;
  RecordReader reader(text, dialect);
  while (reader.position() < kSampleBytes && reader.next()) {
    if (sample.records == 0) {
      sample.fields = reader.fields().size();
      reader.expect(sample.fields);
      for (std::size_t i = 0; i < sample.fields; ++i) sample.wanted |= contains(options.wanted, strip(reader.field(i)));
    }
    ++sample.records;
    sample.regular += reader.fields().size() == sample.fields;
    sample.opened += reader.quotes_opened();
    sample.repaired += reader.repaired();
    sample.unbalanced |= reader.unbalanced();
  }
  return sample;
}

// Read as a valid table first, with recovery where that fails.
Sample take_sample(std::string_view text, const Dialect& dialect, const TableOptions& options) {
  const Sample sample = read_sample(text, dialect, options);
  if (!sample.unbalanced) return sample;
  Dialect recovering = dialect;
  recovering.recover = true;
  return read_sample(text, recovering, options);
}

std::string_view delimiters_by_preference(std::string_view named) { return named == "csv" ? ",\t;|" : "\t,;|"; }

// The delimiter under which a wanted name appears, else one that makes a valid table of two columns or more, else the one that makes the
// most regular table.
Sample detect_delimiter(std::string_view text, std::string_view named, const TableOptions& options, Dialect& dialect) {
  const std::string_view candidates = delimiters_by_preference(named);
  const auto merits = [](const Sample& sample) { return std::tuple(sample.wanted, sample.valid(), sample.regularity()); };
  Sample best;
  dialect.delimiter = candidates[0];
  for (const char candidate : candidates) {
    Dialect tried = dialect;
    tried.delimiter = candidate;
    const Sample sample = take_sample(text, tried, options);
    if (sample.fields < 2 || merits(sample) <= merits(best)) continue;
    best = sample;
    dialect.delimiter = candidate;
  }
  return best;
}

// Whether one of the first lines is a JSON object: a brace alone may begin a text.
bool holds_json_objects(std::string_view text, char newline) {
  constexpr int kLines = 20;
  for (int lines = 0; lines < kLines && !text.empty();) {
    const std::string_view line = text.substr(0, text.find(newline)), record = strip(line);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (record.empty()) continue;
    if (lines++ == 0 && record[0] != '{') return false;
    if (parse_json_line(record).value.is_object()) return true;
  }
  return false;
}

// The first record, and what stands below each of its cells in the next ones.
struct FirstRecord {
  std::vector<std::string> cells;
  std::vector<bool> numbers_below;
  std::vector<std::set<std::string, std::less<>>> values_below;
  std::size_t records_below = 0;
  bool sentences_below = false;

  // Whether a column's values come up again and again, as labels do.
  bool repeats(std::size_t column) const { return records_below >= 8 && 4 * values_below[column].size() <= records_below; }
};

FirstRecord read_first_record(std::string_view text, const Dialect& dialect) {
  FirstRecord first;
  RecordReader reader(text, dialect);
  if (!reader.next()) return first;
  for (std::size_t i = 0; i < reader.fields().size(); ++i) first.cells.emplace_back(reader.field(i));
  first.numbers_below.assign(first.cells.size(), true);
  first.values_below.resize(first.cells.size());
  for (; first.records_below < 50 && reader.next(); ++first.records_below)
    for (std::size_t i = 0; i < std::min(first.cells.size(), reader.fields().size()); ++i) {
      first.numbers_below[i] = first.numbers_below[i] && is_number(reader.field(i));
      first.values_below[i].emplace(reader.field(i));
      first.sentences_below |= count_words(reader.field(i)) > 1;
    }
  if (first.records_below == 0) first.numbers_below.assign(first.cells.size(), false);
  return first;
}

// Whether a first record that holds a wanted name is a header, or a text such as "text, and some more words".
bool is_header_of_names(const FirstRecord& first, const TableOptions& options) {
  constexpr std::size_t kMostWords = 2;
  for (std::size_t i = 0; i < first.cells.size(); ++i) {
    const std::string& cell = first.cells[i];
    const std::string_view name = strip(cell);
    const bool short_name = name.size() == cell.size() && count_words(name) <= kMostWords;
    if (!short_name && !first.numbers_below[i] && !contains(options.wanted, name) && !is_known_column(name)) return false;
  }
  return true;
}

TableFormat detect_format(std::string_view text, std::string_view named, const TableOptions& options, const Sample& sample,
                          const Dialect& dialect) {
  if (!named.empty()) return named == "jsonl" ? TableFormat::kJsonl : TableFormat::kDelimited;
  if (holds_json_objects(text, dialect.newline)) return TableFormat::kJsonl;
  if (sample.wanted && is_header_of_names(read_first_record(text, dialect), options)) return TableFormat::kDelimited;
  const bool tab_table = dialect.delimiter == '\t' && sample.fields >= 2 && sample.records >= 2 && sample.regularity() > 0.9;
  return tab_table && !options.pair_lines ? TableFormat::kDelimited : TableFormat::kLines;
}

// Guesses whether the first record is a header where no name is looked for. The first rule that fits decides:
// 1. A cell is a usual name of a column: header.
// 2. A cell is a number, or a label that the column repeats: data.
// 3. Cells of at most three words, a column that repeats its values, and sentences below: header.
// 4. A column of numbers below: header.
// 5. Cells of single words above sentences: header.
bool detect_header(std::string_view text, const Dialect& dialect) {
  const FirstRecord first = read_first_record(text, dialect);
  const auto& cells = first.cells;
  if (std::any_of(cells.begin(), cells.end(), is_known_column)) return true;
  if (std::any_of(cells.begin(), cells.end(), is_number)) return false;
  bool above_labels = false;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (!first.repeats(i)) continue;
    if (first.values_below[i].contains(cells[i])) return false;
    above_labels = true;
  }
  const auto has_words = [](std::size_t most) { return [most](const std::string& cell) { return count_words(cell) <= most; }; };
  if (above_labels && first.sentences_below && std::ranges::all_of(cells, has_words(3))) return true;
  const bool words_above = std::ranges::all_of(cells, has_words(1));
  const bool numbers_below = std::find(first.numbers_below.begin(), first.numbers_below.end(), true) != first.numbers_below.end();
  return numbers_below || (words_above && first.sentences_below);
}

}  // namespace

std::string_view format_of_name(const std::filesystem::path& name) {
  const std::string ending = lower_case(name.extension().string());
  if (ending == ".csv") return "csv";
  if (ending == ".tsv" || ending == ".tab") return "tsv";
  return ending == ".jsonl" || ending == ".ndjson" || ending == ".json" ? "jsonl" : "";
}

Dialect detect_dialect(std::string_view text, std::string_view named, const TableOptions& options) {
  constexpr std::array kFormats = {"auto", "csv", "tsv", "jsonl", "lines"};
  if (std::find(kFormats.begin(), kFormats.end(), options.format) == kFormats.end())
    bad_option("format", "auto, csv, tsv, jsonl or lines", options.format);

  Dialect dialect;
  if (options.quote == "none")
    dialect.quote = 0;
  else if (options.quote != "auto")
    dialect.quote = single_character("quote", options.quote, "auto, none or one ASCII character");
  dialect.newline = detect_newline(text, dialect.quote);

  if (options.format == "tsv") named = "tsv";
  Sample sample;
  if (options.delimiter != "auto") {
    dialect.delimiter = single_character("delimiter", options.delimiter, "auto, tab or one ASCII character");
    sample = take_sample(text, dialect, options);
  } else if (options.format == "tsv") {
    dialect.delimiter = '\t';
    sample = take_sample(text, dialect, options);
  } else {
    sample = detect_delimiter(text, named, options, dialect);
  }
  if (dialect.delimiter == dialect.quote) bad_option("quote", "another character than the delimiter", options.quote);

  if (options.format == "auto")
    dialect.format = detect_format(text, named, options, sample, dialect);
  else if (options.format == "jsonl")
    dialect.format = TableFormat::kJsonl;
  else if (options.format == "lines")
    dialect.format = TableFormat::kLines;

  // Outside .csv files, quotes that are mostly not closed where a field ends are part of the text, as in the TSV files of many corpora.
  const bool csv = named == "csv" || options.format == "csv";
  if (options.quote == "auto" && !csv && 2 * sample.repaired > sample.opened) dialect.quote = 0;

  constexpr std::array kHeaders = {"auto", "yes", "true", "no", "false"};
  const auto header = std::find(kHeaders.begin(), kHeaders.end(), options.header);
  if (header == kHeaders.end()) bad_option("header", "auto, yes or no", options.header);
  const bool asked = header == kHeaders.begin() ? !options.wanted.empty() || detect_header(text, dialect) : header - kHeaders.begin() <= 2;
  dialect.header = dialect.format == TableFormat::kDelimited && asked;
  return dialect;
}

}  // namespace minbert
