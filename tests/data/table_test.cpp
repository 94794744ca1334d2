// Table readers: dialects, quoting and its recovery, encodings, JSON lines, and what is refused.
#include "minbert/data/table.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

using Cells = std::vector<std::vector<std::string>>;

// Usable rows as strings; an absent cell is "<absent>", a row with a problem one cell "!problem".
Cells cells_of(const Table& table) {
  Cells out;
  for (std::size_t i = 0; i < table.rows(); ++i) {
    auto& row = out.emplace_back();
    if (!table.problem(i).empty())
      row.push_back("!" + std::string(table.problem(i)));
    else
      for (const auto cell : table.row(i)) row.push_back(cell.data() == nullptr ? "<absent>" : std::string(cell));
  }
  return out;
}

std::vector<std::int64_t> lines_of(const Table& table) {
  std::vector<std::int64_t> lines;
  for (std::size_t i = 0; i < table.rows(); ++i) lines.push_back(table.line(i));
  return lines;
}

using Names = std::vector<std::string>;
using Lines = std::vector<std::int64_t>;

TEST(Table, CsvWithQuotesCommasAndLinesInside) {
  const Table table = parse_table("id,text,label\r\n1,\"a, \"\"b\"\"\",0\r\n2,\"two\r\nlines\",1\r\n\r\n3,,2", "a.csv");
  EXPECT_EQ(table.columns(), (Names{"id", "text", "label"}));
  EXPECT_EQ(cells_of(table), (Cells{{"1", "a, \"b\"", "0"}, {"2", "two\r\nlines", "1"}, {"3", "", "2"}}));
  EXPECT_EQ(lines_of(table), (Lines{2, 3, 6}));
}

TEST(Table, TabSeparatedCsvWithUnnamedIndexColumn) {
  const Table table =
      parse_table("\tid\tsentence\tsentiment\n0\tab\t\"So-called \"\"art\"\"\"\t3\n1\tcd\tGood, plain , text .\t2\n", "train.csv");
  EXPECT_EQ(table.dialect().delimiter, '\t');
  EXPECT_EQ(table.columns(), (Names{"", "id", "sentence", "sentiment"}));
  EXPECT_EQ(table.cell(0, 2), "So-called \"art\"");
  EXPECT_EQ(table.cell(1, 2), "Good, plain , text .");
}

TEST(Table, HeaderThatBeginsWithANumberAndAnEmptyName) {
  const Table table = parse_table("0\t\tid\tsentence\n1\t0.0\tab\tFine .\n", "test.csv", {.wanted = {"sentence"}});
  EXPECT_EQ(table.rows(), 1u);
  EXPECT_EQ(table.find_column("sentence"), 3u);
  EXPECT_EQ(table.find_column("0"), 0u);  // a name before a number
  EXPECT_EQ(table.find_column("2"), 2u);
  EXPECT_EQ(table.find_column("9"), std::nullopt);
}

TEST(Table, UnbalancedQuoteCostsOneRowNotTheFile) {
  // Line 2 opens a quote that nothing closes: literal, and the row is whole. Line 5 loses a field and is alone in that.
  const Table table = parse_table(
      "id\ttext\tlabel\n1\t\"open and never closed\t0\n2\tplain 5\" disk\t1\n3\t\"quoted\"\t1\n4\t\"broken\n5\tlast\t0\n", "a.csv");
  EXPECT_EQ(cells_of(table), (Cells{{"1", "\"open and never closed", "0"},
                                    {"2", "plain 5\" disk", "1"},
                                    {"3", "quoted", "1"},
                                    {"!expected 3 fields, got 2 (unbalanced quote)"},
                                    {"5", "last", "0"}}));
  EXPECT_EQ(lines_of(table), (Lines{2, 3, 4, 5, 6}));
  EXPECT_EQ(table.repaired_lines(), (Lines{2, 5}));
}

TEST(Table, QuoteThatWouldSwallowWholeRecordsIsACharacter) {
  // The quote of line 2 could be closed by the one that ends a field in line 3, and both lines are records by themselves. Line 4 shows
  // that this file's quotes are broken.
  const Table table = parse_table("id,text,label\n1,\"six inches,0\n2,five inches\",1\n3,\"a \"\"b\"\"\",1\n4,\"never closed,0\n", "a.csv");
  EXPECT_EQ(cells_of(table),
            (Cells{{"1", "\"six inches", "0"}, {"2", "five inches\"", "1"}, {"3", "a \"b\"", "1"}, {"4", "\"never closed", "0"}}));
  EXPECT_EQ(table.repaired_lines(), (Lines{2, 5}));
}

TEST(Table, ValidQuotesAreNeverCutApart) {
  // Each line of the quoted fields holds as many delimiters as a record, yet read by RFC 4180 every record has three fields.
  const Table table = parse_table("label,text,other\n0,\"one, two\nthree, four\",five\n1,\"x, y\",z\n0,\"p, q\nr, s, t\",u\n", "a.csv");
  EXPECT_EQ(cells_of(table), (Cells{{"0", "one, two\nthree, four", "five"}, {"1", "x, y", "z"}, {"0", "p, q\nr, s, t", "u"}}));
  EXPECT_EQ(lines_of(table), (Lines{2, 4, 5}));
  EXPECT_TRUE(table.repaired_lines().empty());
}

TEST(Table, RowWithAFieldTooFewLeavesValidQuotesAlone) {
  const Table table = parse_table("label,text,other\n0,\"one, two\nthree, four\",five\n1,short\n2,\"Hello\" she said,z\n", "a.csv");
  EXPECT_EQ(cells_of(table),
            (Cells{{"0", "one, two\nthree, four", "five"}, {"!expected 3 fields, got 2"}, {"2", "\"Hello\" she said", "z"}}));
  EXPECT_EQ(table.repaired_lines(), (Lines{5}));
}

TEST(Table, ValidQuotesOfATsvStayQuotes) {
  // By the sample alone, quotes that span lines look like plain characters.
  std::string text = "text\tlabel\n";
  for (int i = 0; i < 40; ++i) text += fmt::format("\"one\ttwo {}\nthree four\"\t1\n", i);
  const Table table = parse_table(text, "a.tsv");
  EXPECT_EQ(table.dialect().quote, '"');
  ASSERT_EQ(table.rows(), 40u);
  EXPECT_EQ(table.cell(39, 0), "one\ttwo 39\nthree four");
  EXPECT_TRUE(table.repaired_lines().empty());
}

TEST(Table, QuotedFieldAcrossTheEndOfTheSampleHidesNoDelimiter) {
  // 64 KiB from the start, a quoted field of many lines is open; each of its lines holds one comma.
  std::string text = "text, all of it;label\n";
  while (text.size() < 64000) text += "plain words, more;1\n";
  text += "\"";
  for (int i = 0; i < 4000; ++i) text += "a, b\n";
  text += "\";0\n";
  const Table table = parse_table(text, "a.csv");
  EXPECT_EQ(table.dialect().delimiter, ';');
  EXPECT_TRUE(table.repaired_lines().empty());
}

TEST(Table, TextAfterAClosingQuoteKeepsTheQuotes) {
  const Table table = parse_table("id,text,label\n1,\"Hello\" she said,0\n2,\"x, y\",1\n", "a.csv");
  EXPECT_EQ(cells_of(table), (Cells{{"1", "\"Hello\" she said", "0"}, {"2", "x, y", "1"}}));
}

TEST(Table, TsvWithLiteralQuotes) {
  const Table table = parse_table("text\tlabel\n\"Yes,\" he said.\t1\n\"No,\" she said.\t0\nplain\t0\n", "a.tsv");
  EXPECT_EQ(table.dialect().quote, 0);
  EXPECT_EQ(cells_of(table), (Cells{{"\"Yes,\" he said.", "1"}, {"\"No,\" she said.", "0"}, {"plain", "0"}}));
  EXPECT_TRUE(table.repaired_lines().empty());
}

TEST(Table, ByteOrderMarkAndLoneCarriageReturns) {
  const Table marked = parse_table("\xEF\xBB\xBFtext,label\na b,1\n", "a.csv");
  EXPECT_EQ(marked.columns(), (Names{"text", "label"}));
  const Table old = parse_table("text,label\ra b,1\rc d,0\r", "a.csv");
  EXPECT_EQ(cells_of(old), (Cells{{"a b", "1"}, {"c d", "0"}}));
  EXPECT_EQ(lines_of(old), (Lines{2, 3}));
  const Table mixed = parse_table("text,label\na\rb,1\n", "a.csv");  // beside \n, a lone \r is a character
  EXPECT_EQ(cells_of(mixed), (Cells{{"a\rb", "1"}}));
  const Table within = parse_table("text,label\r\"a\nb\",1\rc,0\r", "a.csv");  // a \n in quotes ends no line
  EXPECT_EQ(cells_of(within), (Cells{{"a\nb", "1"}, {"c", "0"}}));
}

TEST(Table, CarriageReturnThatLostItsNewlineEndsTheFile) {
  EXPECT_EQ(cells_of(parse_table("text,label\na b,1\nc d,0\r", "a.csv")), (Cells{{"a b", "1"}, {"c d", "0"}}));
  EXPECT_EQ(cells_of(parse_table("text,label\na b,1\nc d,\"0\"\r", "a.csv")), (Cells{{"a b", "1"}, {"c d", "0"}}));
  EXPECT_EQ(cells_of(parse_table("one\ntwo\r", "a.txt")), (Cells{{"one"}, {"two"}}));
  EXPECT_EQ(cells_of(parse_table("a\tb\nc\td\r", "a.txt", {.pair_lines = true})), (Cells{{"a", "b"}, {"c", "d"}}));
  EXPECT_EQ(cells_of(parse_table("{\"text\": \"a\"}\n{\"text\": \"b\"}\r", "a.jsonl")), (Cells{{"a"}, {"b"}}));
}

TEST(Table, DelimitersAreDetected) {
  EXPECT_EQ(parse_table("a;b\nx, y;1\nz;2\n", "a.csv").dialect().delimiter, ';');
  EXPECT_EQ(parse_table("a|b\nx|1\n", "a.csv").dialect().delimiter, '|');
  EXPECT_EQ(parse_table("text\tlabel\nx, y\t1\n", "a.csv").dialect().delimiter, '\t');
  EXPECT_EQ(parse_table("text\nx, y\nz\n", "a.csv", {.wanted = {"text"}}).columns(), (Names{"text"}));
  EXPECT_EQ(parse_table("a:b\nx:1\n", "a.csv", {.delimiter = ":"}).columns(), (Names{"a", "b"}));
  EXPECT_EQ(parse_table("text\tlabel\nx\t1\n", "noname", {.wanted = {"label"}}).dialect().format, TableFormat::kDelimited);
}

TEST(Table, HeadersAreDetected) {
  const auto header = [](std::string_view text) { return parse_table(text, "a.csv").dialect().header; };
  EXPECT_TRUE(header("sentence,label\nx y,1\n"));
  EXPECT_TRUE(header("foo,bar\nx y,1\nz w,0\n"));     // a number below a word
  EXPECT_TRUE(header("foo,bar\nx y,yes\nz w,no\n"));  // words above sentences
  EXPECT_FALSE(header("x y,1\nz w,0\n"));
  EXPECT_FALSE(header("some words,more words\nx y,a b\n"));
  EXPECT_FALSE(parse_table("sentence,label\nx y,1\n", "a.csv", {.header = "no"}).dialect().header);
  std::string rows;  // with labels that come up again
  for (int i = 0; i < 12; ++i) rows += fmt::format("the film number {} was so so,{}\n", i, i % 2 == 0 ? "good" : "not so bad");
  EXPECT_TRUE(header("Customer Review,Ticket Category\n" + rows));
  EXPECT_TRUE(header("What it is,The verdict\n" + rows));
  EXPECT_FALSE(header("Superb!,good\n" + rows));
  EXPECT_FALSE(header("Superb!,not so bad\n" + rows));
  EXPECT_FALSE(header("a film that nobody could name,mixed\n" + rows));
  EXPECT_EQ(parse_table("x y,1\nz w,0\n", "a.csv").columns(), (Names{"0", "1"}));
  EXPECT_EQ(parse_table("x y,1\nz w,0\n", "a.csv", {.header = "yes"}).columns(), (Names{"x y", "1"}));
}

TEST(Table, HeaderOnlyHasNoRows) { EXPECT_EQ(parse_table("id,text,label\n", "a.csv").rows(), 0u); }

TEST(Table, LinesKeepEmptyOnesAndSplitPairs) {
  const Table lines = parse_table("one, two\r\n\nthree\tfour\nlast", "a.txt");
  EXPECT_EQ(lines.dialect().format, TableFormat::kLines);
  EXPECT_EQ(cells_of(lines), (Cells{{"one, two"}, {""}, {"three\tfour"}, {"last"}}));
  const Table pairs = parse_table("a\tb\tc\nno tab\n", "a.txt", {.pair_lines = true});
  EXPECT_EQ(cells_of(pairs), (Cells{{"a", "b\tc"}, {"!expected two texts with a tab between them, got no tab"}}));
}

TEST(Table, LinesAreCutAtNewlinesOnly) {
  // 0x85 and U+2028 end a line for Python's splitlines; here they are characters.
  EXPECT_EQ(parse_table("a\x85z\nb\n", "rt.pos", {.encoding = "latin-1"}).rows(), 2u);
  EXPECT_EQ(parse_table("a\u2028z\nb\n", "rt.txt").rows(), 2u);
}

TEST(Table, JsonLines) {
  const Table table = parse_table(
      "{\"text\": \"caf\\u00e9\", \"label\": 1}\n\n"
      "{\"label\": 2.5, \"text\": \"\", \"extra\": true}\n"
      "{\"text\": null, \"extra\": [1, 2]}\n"
      "[1]\n{\"text\": \n{\"text\": [\"a\"]}\n",
      "a.jsonl", {.wanted = {"text"}});
  EXPECT_EQ(table.columns(), (Names{"text", "label", "extra"}));
  EXPECT_EQ(cells_of(table), (Cells{{"café", "1", "<absent>"},
                                    {"", "2.5", "true"},
                                    {"<absent>", "<absent>", "[1,2]"},
                                    {"!expected a JSON object, got array"},
                                    {"!expected a JSON object, got invalid JSON"},
                                    {"!column \"text\": expected a string or a number, got an array"}}));
  EXPECT_EQ(lines_of(table), (Lines{1, 3, 4, 5, 6, 7}));
}

TEST(Table, DeepJsonIsABrokenRow) {
  const std::string deep = "{\"text\": \"b\", \"meta\": " + std::string(100000, '[') + std::string(100000, ']') + "}";
  EXPECT_EQ(cells_of(parse_table("{\"text\": \"a\"}\n" + deep + "\n", "a.jsonl", {.wanted = {"text"}})),
            (Cells{{"a"}, {"!expected a JSON object, got one nested deeper than 512 levels"}}));
}

TEST(Table, TextThatBeginsWithABraceIsNoJson) {
  EXPECT_EQ(cells_of(parse_table("{name} is a good film\nbad\n", "standard input")), (Cells{{"{name} is a good film"}, {"bad"}}));
  EXPECT_EQ(parse_table("{\"text\": \"a\"}\n{\"text\": \n", "standard input").dialect().format, TableFormat::kJsonl);
  EXPECT_EQ(parse_table("{\"text\": \n{\"text\": \"a\"}\n", "standard input").dialect().format, TableFormat::kJsonl);
  // Where the name or the caller says JSON lines, the first broken line is the cause of all else.
  for (const char* name : {"a.jsonl", "standard input"})
    expect_error(ErrorTag::kData, {std::string(name) + ":1: expected a JSON object, got invalid JSON", "lines"}, [&] {
      parse_table("{name} is a good film\nbad\n", name, {.format = name[0] == 'a' ? "auto" : "jsonl", .hints = {.lines = "plain lines"}});
    });
}

TEST(Table, FirstTextIsNotAHeader) {
  const TableOptions wanted{.wanted = {"text"}};
  const auto lines = [&](std::string_view text) { return cells_of(parse_table(text, "standard input", wanted)).size(); };
  EXPECT_EQ(lines("text, some more words\nbad, film\ngood, one\n"), 3u);
  EXPECT_EQ(lines("text; and so on\nbad; film\n"), 2u);
  EXPECT_EQ(lines("good text\ttext\nbad\tfilm\n"), 1u);  // a tab and a name: a table
  const auto columns = [&](std::string_view text) { return parse_table(text, "standard input", wanted).columns(); };
  EXPECT_EQ(columns("text,label\nbad,1\n"), (Names{"text", "label"}));
  EXPECT_EQ(columns("id, text, label\n1, bad, 1\n"), (Names{"id", "text", "label"}));
  EXPECT_EQ(columns("text,number of stars\nbad,1\ngood,2\n"), (Names{"text", "number of stars"}));
  EXPECT_EQ(parse_table("text, some more words\nbad, film\n", "a.csv", wanted).columns(), (Names{"text", "some more words"}));
}

TEST(Table, ExcelsFirstLineNamesTheDelimiter) {
  const std::string text = "sep=;\r\ntext;label\r\na, b; c;1\r\n\"d;e\";0\r\n";
  const Table table = parse_table("\xEF\xBB\xBF" + text, "a.csv", {.wanted = {"text", "label"}});
  EXPECT_EQ(table.columns(), (std::vector<std::string>{"text", "label"}));
  EXPECT_EQ(table.rows(), 2u);
  EXPECT_EQ(table.line(1), 4);
  EXPECT_EQ(parse_table("sep=;\nfilm\n", "a.txt", {.format = "lines"}).rows(), 2u);
  TableOptions options{.wanted = {"text", "label"}};
  const TablePieces cut = cut_table(text, "a.csv", options, 30, [] {});
  ASSERT_EQ(cut.pieces.size(), 2u);
  options.dialect = cut.dialect;
  EXPECT_EQ(parse_table(text.substr(0, cut.pieces[0].size), "a.csv", options).columns(), table.columns());
}

TEST(Table, Cp1252) { EXPECT_EQ(parse_table("it\x92s\n", "a.txt", {.encoding = "cp1252"}).cell(0, 0), "it\u2019s"); }
TEST(Table, Latin1) { EXPECT_EQ(parse_table("caf\xE9\n", "a.txt", {.encoding = "latin-1"}).cell(0, 0), "café"); }

TEST(Table, MovesWithoutLosingItsCells) {
  Table first = parse_table("text,label\n\"a \"\"b\"\"\",1\n", "a.csv");
  const Table second = std::move(first);
  EXPECT_EQ(cells_of(second), (Cells{{"a \"b\"", "1"}}));
}

TEST(Table, ReadsFiles) {
  const TempFolder folder;
  write_file(folder / "a.csv", "text,label\nx,1\n");
  EXPECT_EQ(read_table(folder / "a.csv").rows(), 1u);
  expect_error(ErrorTag::kData, {"absent.csv"}, [&] { read_table(folder / "absent.csv"); });
}

TEST(Table, ReadsPipes) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  constexpr std::string_view kText = "a,b\n1,2\n";
  ASSERT_EQ(::write(ends[1], kText.data(), kText.size()), std::ssize(kText));
  ::close(ends[1]);
  EXPECT_EQ(cells_of(read_table(fmt::format("/dev/fd/{}", ends[0]), {.format = "csv"})), (Cells{{"1", "2"}}));
  ::close(ends[0]);
}

TEST(Table, ManyUnbalancedQuotesTakeLinearTime) {
  std::string text = "text,label\n";
  for (int i = 0; i < 200000; ++i) text += "\"\"\"open,1\n";
  EXPECT_EQ(parse_table(text, "a.csv", {.quote = "\""}).rows(), 200000u);
}

struct BadInput {
  const char* title;
  std::string bytes;
  TableOptions options;
  ErrorTag tag;
  std::vector<const char*> parts;
};

TEST(Table, BadInputs) {
  const std::vector<BadInput> table = {
      {"empty file", "", {}, ErrorTag::kData, {"a.csv", "expected rows, got an empty file"}},
      {"blank file", " \r\n\n", {}, ErrorTag::kData, {"empty file"}},
      {"only a byte order mark", "\xEF\xBB\xBF", {}, ErrorTag::kData, {"empty file"}},
      {"invalid UTF-8", "text,label\nok,1\ncaf\xE9,2\n", {}, ErrorTag::kData, {"a.csv:3", "expected UTF-8, got byte 0xe9", "iconv"}},
      {"truncated UTF-8", "text\ncaf\xC3", {}, ErrorTag::kData, {"a.csv:2", "0xc3"}},
      {"UTF-16",
       std::string("\xFF\xFE"
                   "a\0",
                   4),
       {},
       ErrorTag::kData,
       {"UTF-16", "iconv"}},
      {"binary", std::string("ab\nc\0d", 6), {}, ErrorTag::kData, {"a.csv:2", "zero byte"}},
      {"format", "a,b\n", {.format = "xlsx"}, ErrorTag::kUsage, {"format", "auto, csv, tsv, jsonl or lines", "xlsx"}},
      {"delimiter", "a,b\n", {.delimiter = ",,"}, ErrorTag::kUsage, {"delimiter", "one ASCII character", ",,"}},
      {"delimiter is a newline", "a,b\n", {.delimiter = "\n"}, ErrorTag::kUsage, {"delimiter"}},
      {"quote", "a,b\n", {.quote = "both"}, ErrorTag::kUsage, {"quote", "auto, none or one ASCII character"}},
      {"quote is the delimiter", "a,b\n", {.delimiter = "'", .quote = "'"}, ErrorTag::kUsage, {"quote", "delimiter"}},
      {"header", "a,b\n", {.header = "maybe"}, ErrorTag::kUsage, {"header", "auto, yes or no", "maybe"}},
      {"encoding", "a,b\n", {.encoding = "utf-16"}, ErrorTag::kUsage, {"encoding", "utf-8, latin-1 or cp1252", "utf-16"}},
  };
  for (const BadInput& bad : table) {
    SCOPED_TRACE(bad.title);
    for (const char* part : bad.parts) expect_error(bad.tag, {part}, [&] { parse_table(bad.bytes, "a.csv", bad.options); });
  }
}

TEST(Table, MissingColumnListsTheColumnsAndTheNearest) {
  const Table table = parse_table("id,sentence,label\n1,x,0\n", "a.csv");
  expect_error(ErrorTag::kData,
               {"a.csv", "text: expected a column \"sentense\"", "\"id\", \"sentence\", \"label\"", "did you mean \"sentence\"?"},
               [&] { table.require_column("sentense", "text"); });
}

}  // namespace
}  // namespace minbert
