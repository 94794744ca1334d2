// Rows to be answered: every format, columns, ids, bad rows, and plain lines as they are.
#include "minbert/data/input_rows.h"

#include <gtest/gtest.h>

#include <fstream>
#include <tuple>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

using Found = std::vector<std::tuple<std::string, std::string, std::string>>;  // id, text, text_pair

class InputRowsTest : public testing::Test {
 protected:
  InputOptions file(const std::string& name, const std::string& content) const {
    write_file(folder_ / name, content);
    return {.path = (folder_ / name).string()};
  }
  static Found found(const InputOptions& options) {
    const InputRows rows(options);
    Found out;
    for (std::size_t i = 0; i < rows.size(); ++i) out.emplace_back(rows[i].id, rows[i].text, rows[i].text_pair);
    return out;
  }
  TempFolder folder_;
};

TEST_F(InputRowsTest, FormatsGiveTheSameRows) {
  const Found expected = {{"7", "a, b", "c"}, {"8", "d", "e"}};
  for (auto options :
       {file("a.csv", "n,first,second\n7,\"a, b\",c\n8,d,e\n"), file("a.tsv", "n\tfirst\tsecond\n7\ta, b\tc\n8\td\te\n"),
        file("a.jsonl", "{\"n\": 7, \"first\": \"a, b\", \"second\": \"c\"}\n{\"second\": \"e\", \"first\": \"d\", \"n\": 8}\n")}) {
    options.columns = {.text = "first", .text_pair = "second", .id = "n", .pair = true};
    EXPECT_EQ(found(options), expected) << options.path;
    options.columns = {.text = "first", .text_pair = "second", .id = "", .pair = false};
    EXPECT_EQ(found(options), (Found{{"0", "a, b", ""}, {"1", "d", ""}})) << options.path;
  }
  InputOptions pairs = file("pairs.txt", "a, b\tc\nd\te\n");
  pairs.columns.pair = true;
  EXPECT_EQ(found(pairs), (Found{{"0", "a, b", "c"}, {"1", "d", "e"}}));
}

TEST_F(InputRowsTest, AGuessIsSaidUnlessTheNameTellsTheFormat) {
  const auto guess = [&](const std::string& name, const std::string& content, const std::string& format = "auto") {
    InputOptions options = file(name, content);
    options.format = format;
    options.columns.text = "text";
    return InputRows(options).guess();
  };
  const std::string table = "text,stars\nfine,4\nso so,2\n";
  EXPECT_EQ(guess("rows", table),
            (folder_ / "rows").string() + ": read as a table with the columns text, stars; --in-format lines reads each line as a text");
  EXPECT_NE(guess("objects", "{\"text\": \"fine\"}\n").find("read as JSON lines with the columns text;"), std::string::npos);
  EXPECT_EQ(guess("rows.csv", table), "");
  EXPECT_EQ(guess("rows", table, "csv"), "");
  EXPECT_EQ(guess("lines", "text, and what comes next\nfine, really\n"), "");
  EXPECT_EQ(guess("braces", "{name} is fine\nso so\n"), "");
}

TEST_F(InputRowsTest, UnnamedColumns) {
  EXPECT_EQ(found(file("a.csv", "n,text\n7,a\n")), (Found{{"0", "a", ""}}));
  EXPECT_EQ(found(file("b.csv", "review\na\nb\n")), (Found{{"0", "a", ""}, {"1", "b", ""}})) << "the only column";
  expect_error(ErrorTag::kData, {"c.csv", "text: expected a column \"text\"", "\"n\", \"review\""},
               [&] { found(file("c.csv", "n,review\n7,a\n")); });
  InputOptions lacking = file("d.csv", "text\na\n");
  lacking.columns = {.text = "text", .text_pair = "", .id = "key"};
  expect_error(ErrorTag::kData, {"id: expected a column \"key\""}, [&] { found(lacking); });
  lacking.columns.id_may_lack = true;
  EXPECT_EQ(found(lacking), (Found{{"0", "a", ""}}));
}

TEST_F(InputRowsTest, AFirstRowOfOneWordIsNoHeaderWhereItIsSaid) {
  InputOptions options = file("a.csv", "Superb,fine\na fine film,so so\n");
  options.columns.text = "0";
  EXPECT_EQ(found(options).size(), 1u);  // by its look
  options.header = "no";
  EXPECT_EQ(found(options), (Found{{"0", "Superb", ""}, {"1", "a fine film", ""}}));
}

TEST_F(InputRowsTest, WhatIsNoLinesIsRefused) {
  for (const char* format : {"auto", "lines"})
    for (const auto& [content, got] :
         {std::pair("\x1F\x8B\x08 packed", "gzip"), {"[\n {\"text\": \"a\"},\n {\"text\": \"b\"}\n]\n", "an array"}}) {
      InputOptions options = file("a.json", content);
      options.format = format;
      expect_error(ErrorTag::kData, {"a.json", got}, [&] { InputRows{options}; });
    }
  InputOptions text = file("a.txt", "[1] a text\n");
  text.format = "lines";
  EXPECT_EQ(found(text).size(), 1u);
}

TEST_F(InputRowsTest, BadRowsAreNamedOrLeftOut) {
  InputOptions options = file("a.jsonl", "{\"n\": 7, \"text\": \"a\"}\n{\"n\": 8}\n[]\n{\"text\": \"b\"}\n");
  options.columns.id = "n";
  expect_error(ErrorTag::kData, {"a.jsonl:2", "column \"text\": expected a text, got none", "--on-bad-row skip"}, [&] { found(options); });
  options.skip_bad_rows = true;
  EXPECT_EQ(found(options), (Found{{"7", "a", ""}, {"3", "b", ""}})) << "a number counts all rows";
  EXPECT_EQ(InputRows(options).skipped(), 2u);
}

TEST_F(InputRowsTest, PiecesGiveTheRowsOfTheWhole) {
  std::string csv = "\xEF\xBB\xBFn,text,more\r\n", jsonl = "\xEF\xBB\xBF",
              lines =
                  "\xEF\xBB\xBF"
                  "first\n",
              broken = "n,text,more\n", old_mac = "n,text\r", headless, bare;
  for (int i = 0; i < 200; ++i) {
    csv += fmt::format("{},\"line {}\n\"\"and\"\" another, {}\",{}\r\n{}", i, i, std::string(static_cast<std::size_t>(i), 'x'), i % 7,
                       i % 50 == 0 ? "\r\n" : "");
    jsonl += fmt::format("{{\"text\": \"t{}\", \"only{}\": {}}}\n", i, i / 60, i);
    lines += i % 3 == 0 ? "\n" : fmt::format("\xEF\xBB\xBF{}\r\xFF\n", i);
    broken += fmt::format("{},\"open {}{},4\n", i, i, i % 5 == 0 ? "\"" : "");
    bare += fmt::format("words of {}\tand more\n", i);
    old_mac += fmt::format("{},line {}\r", i, i);
    headless += fmt::format("{}\tline {}\n", i, i);
  }
  for (auto options : {file("a.csv", csv), file("a.jsonl", jsonl), file("a.txt", lines), file("b.csv", broken), file("pairs", bare),
                       file("c.csv", old_mac), file("d.tsv", headless)}) {
    if (options.path.ends_with("d.tsv")) options.columns.text = "1";
    options.keep_columns = true;
    options.columns.pair = options.path.ends_with("pairs");
    if (options.path.ends_with(".txt")) options.format = "lines";
    const InputRows whole(options);
    EXPECT_GE(whole.size(), 200u);
    for (const std::size_t piece_bytes : {1, 100, 1000, 5000}) {
      const InputRows rows(options, piece_bytes);
      ASSERT_EQ(rows.size(), whole.size()) << options.path << " in pieces of " << piece_bytes;
      EXPECT_EQ(rows.columns(), whole.columns());
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const InputRow row = rows[i], expected = whole[i];
        EXPECT_EQ(std::tie(row.text, row.text_pair, row.id), std::tie(expected.text, expected.text_pair, expected.id));
        ASSERT_EQ(row.cells.size(), expected.cells.size());
        for (std::size_t c = 0; c < row.cells.size(); ++c) {
          ASSERT_EQ(row.cells[c].has_value(), expected.cells[c].has_value());
          if (!row.cells[c]) continue;
          EXPECT_EQ(row.cells[c]->text, expected.cells[c]->text);
          EXPECT_EQ(row.cells[c]->is_json, expected.cells[c]->is_json);
        }
      }
      EXPECT_EQ(rows[0].text, whole[0].text) << "and back";
    }
  }
}

TEST_F(InputRowsTest, WhatOnlyLaterPiecesHoldCounts) {
  std::string odd, blank(300, '\n'), broken;
  for (int i = 0; i < 50; ++i) odd += fmt::format("{{\"n\": {}}}\n", i), broken += "no object\n";
  const std::string good = "{\"text\": \"a\", \"id\": \"x\"}\n{\"text\": \"b\"}\n";
  for (InputOptions options : {file("odd.jsonl", odd + good), file("broken.jsonl", broken + good), file("blank.jsonl", blank + good)}) {
    options.skip_bad_rows = true;
    options.columns.text = "text";
    options.columns.id = "id";
    const InputRows rows(options, 50);
    ASSERT_EQ(rows.size(), 2u) << options.path;
    EXPECT_EQ(rows[0].id, "x");
    EXPECT_EQ(rows[1].text, "b");
  }
  InputOptions none = file("none.jsonl", broken);
  expect_error(ErrorTag::kData, {"none.jsonl:1", "expected a JSON object"}, [&] { InputRows(none, 50); });
}

TEST_F(InputRowsTest, PiecesNameAndSkipTheSameBadRows) {
  std::string text;
  for (int i = 0; i < 100; ++i) text += i % 10 == 3 ? "{\"n\": 1}\n" : fmt::format("{{\"text\": \"{}\"}}\n", i);
  InputOptions options = file("a.jsonl", text);
  expect_error(ErrorTag::kData, {"a.jsonl:4", "column \"text\""}, [&] { InputRows(options, 50); });
  options.skip_bad_rows = true;
  const InputRows rows(options, 50);
  EXPECT_EQ(rows.size(), 90u);
  EXPECT_EQ(rows.skipped(), 10u);
  EXPECT_EQ(rows[80].id, "89");
  EXPECT_EQ(rows[80].text, "89");
  std::fstream(options.path, std::ios::in | std::ios::out).seekp(static_cast<std::streamoff>(text.find('\n'))).put(' ');  // joins two rows
  expect_error(ErrorTag::kData, {"a.jsonl:1", "another program writes the file"}, [&] { rows[0]; });
}

TEST_F(InputRowsTest, PlainLinesAreTakenAsTheyAre) {
  InputOptions options = file("a.csv", "{\"text\"\r\n\n\xFF,b\n");
  options.format = "lines";
  EXPECT_EQ(found(options), (Found{{"0", "{\"text\"\r", ""}, {"1", "", ""}, {"2", "\xFF,b", ""}}));
}

}  // namespace
}  // namespace minbert
