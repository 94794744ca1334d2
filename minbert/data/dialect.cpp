// The guess of a file's dialect: extension, first bytes, and how regular the first records are under each candidate delimiter.
#include <algorithm>
#include <array>
#include <charconv>

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

bool is_number(std::string_view text) {
  text = strip(text);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && !text.empty();
}

bool contains(std::span<const std::string> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Whole lines from the beginning of the text.
std::string_view sample_of(std::string_view text, char newline) {
  if (text.size() <= kSampleBytes) return text;
  const std::size_t end = text.rfind(newline, kSampleBytes);
  return text.substr(0, end == text.npos ? kSampleBytes : end + 1);
}

// How the sample looks when cut at one delimiter.
struct Look {
  std::size_t fields = 0;  // of the first record
  std::size_t records = 0;
  std::size_t regular = 0;               // records with as many fields as the first
  std::size_t opened = 0, repaired = 0;  // fields that began with a quote; records with a broken one
  bool wanted = false;                   // the first record holds a wanted name
  double regularity() const { return records == 0 ? 0 : static_cast<double>(regular) / static_cast<double>(records); }
};

Look look_at(std::string_view sample, const Dialect& dialect, const TableOptions& options) {
  Look look;
  RecordReader reader(sample, dialect);
  while (reader.next()) {
    if (look.records == 0) {
      look.fields = reader.fields().size();
      reader.expect(look.fields);
      for (std::size_t i = 0; i < look.fields; ++i) look.wanted |= contains(options.wanted, strip(reader.field(i)));
    }
    ++look.records;
    look.regular += reader.fields().size() == look.fields;
    look.opened += reader.quotes_opened();
    look.repaired += reader.repaired();
  }
  return look;
}

std::string_view delimiters_by_preference(std::string_view extension) { return extension == ".csv" ? ",\t;|" : "\t,;|"; }

// The delimiter under which a wanted name appears, else the one that makes the most regular table of two columns or more.
Look detect_delimiter(std::string_view sample, std::string_view extension, const TableOptions& options, Dialect& dialect) {
  const std::string_view candidates = delimiters_by_preference(extension);
  Look best;
  dialect.delimiter = candidates[0];
  for (const char candidate : candidates) {
    Dialect tried = dialect;
    tried.delimiter = candidate;
    const Look look = look_at(sample, tried, options);
    const bool better = look.wanted != best.wanted ? look.wanted : look.regularity() > best.regularity();
    if (look.fields < 2 || !better) continue;
    best = look;
    dialect.delimiter = candidate;
  }
  return best;
}

TableFormat detect_format(std::string_view text, std::string_view extension, const TableOptions& options, const Look& look,
                          char delimiter) {
  if (extension == ".jsonl" || extension == ".ndjson" || extension == ".json") return TableFormat::kJsonl;
  if (extension == ".csv" || extension == ".tsv" || extension == ".tab") return TableFormat::kDelimited;
  const std::string_view start = strip(text.substr(0, std::min<std::size_t>(text.size(), 256)));
  if (!start.empty() && start[0] == '{') return TableFormat::kJsonl;
  if (look.wanted) return TableFormat::kDelimited;
  const bool tab_table = delimiter == '\t' && look.fields >= 2 && look.records >= 2 && look.regularity() > 0.9;
  return tab_table && !options.pair_lines ? TableFormat::kDelimited : TableFormat::kLines;
}

// Without a name to look for: a header has no numbers and either a usual name, a number below a word, or words above sentences.
bool detect_header(std::string_view sample, const Dialect& dialect) {
  RecordReader reader(sample, dialect);
  if (!reader.next()) return false;
  std::vector<std::string> first;
  for (std::size_t i = 0; i < reader.fields().size(); ++i) first.emplace_back(reader.field(i));
  if (std::any_of(first.begin(), first.end(), is_known_column)) return true;
  if (std::any_of(first.begin(), first.end(), is_number)) return false;
  reader.expect(first.size());
  std::vector<bool> numeric(first.size(), true);
  bool words_above = std::none_of(first.begin(), first.end(), [](const std::string& cell) { return count_words(cell) > 1; });
  bool sentences_below = false;
  std::size_t records = 0;
  for (; records < 50 && reader.next(); ++records)
    for (std::size_t i = 0; i < std::min(first.size(), reader.fields().size()); ++i) {
      numeric[i] = numeric[i] && is_number(reader.field(i));
      sentences_below |= count_words(reader.field(i)) > 1;
    }
  if (records == 0) return false;
  return std::find(numeric.begin(), numeric.end(), true) != numeric.end() || (words_above && sentences_below);
}

}  // namespace

Dialect detect_dialect(std::string_view text, std::string_view extension, const TableOptions& options) {
  constexpr std::array kFormats = {"auto", "csv", "tsv", "jsonl", "lines"};
  if (std::find(kFormats.begin(), kFormats.end(), options.format) == kFormats.end())
    bad_option("format", "auto, csv, tsv, jsonl or lines", options.format);

  Dialect dialect;
  dialect.newline = text.find('\n') == text.npos && text.find('\r') != text.npos ? '\r' : '\n';
  const std::string_view sample = sample_of(text, dialect.newline);
  if (options.quote == "none")
    dialect.quote = 0;
  else if (options.quote != "auto")
    dialect.quote = single_character("quote", options.quote, "auto, none or one ASCII character");

  if (options.format == "tsv") extension = ".tsv";
  Look look;
  if (options.delimiter != "auto") {
    dialect.delimiter = single_character("delimiter", options.delimiter, "auto, tab or one ASCII character");
    look = look_at(sample, dialect, options);
  } else if (options.format == "tsv") {
    dialect.delimiter = '\t';
    look = look_at(sample, dialect, options);
  } else {
    look = detect_delimiter(sample, extension, options, dialect);
  }
  if (dialect.delimiter == dialect.quote) bad_option("quote", "another character than the delimiter", options.quote);

  if (options.format == "auto")
    dialect.format = detect_format(text, extension, options, look, dialect.delimiter);
  else if (options.format == "jsonl")
    dialect.format = TableFormat::kJsonl;
  else if (options.format == "lines")
    dialect.format = TableFormat::kLines;

  // Outside .csv files, quotes that are mostly not closed where a field ends are part of the text, as in the TSV files of many corpora.
  const bool csv = extension == ".csv" || options.format == "csv";
  if (options.quote == "auto" && !csv && 2 * look.repaired > look.opened) dialect.quote = 0;

  constexpr std::array kHeaders = {"auto", "yes", "true", "no", "false"};
  const auto header = std::find(kHeaders.begin(), kHeaders.end(), options.header);
  if (header == kHeaders.end()) bad_option("header", "auto, yes or no", options.header);
  const bool asked =
      header == kHeaders.begin() ? !options.wanted.empty() || detect_header(sample, dialect) : header - kHeaders.begin() <= 2;
  dialect.header = dialect.format == TableFormat::kDelimited && asked;
  return dialect;
}

}  // namespace minbert
