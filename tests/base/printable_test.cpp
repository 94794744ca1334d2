// printable() and TextTable: names out of files drive no terminal.
#include <gtest/gtest.h>

#include "minbert/base/text_table.h"
#include "minbert/base/unicode.h"

namespace minbert {
namespace {

TEST(Printable, LeavesTextsAlone) {
  for (const char* text : {"", "encoder.layer.0.weight", "a b", "café 中 \U0001F600", "e\u0301", "\u200D"})
    EXPECT_EQ(printable(text), text);
}

TEST(Printable, ReplacesWhatDrivesATerminal) {
  EXPECT_EQ(printable("a\x1b]0;title\x07z"), "a\uFFFD]0;title\uFFFDz");
  EXPECT_EQ(printable("\x7f\xc2\x9b[31m"), "\uFFFD\uFFFD[31m") << "DEL, and CSI in one character of C1";
  EXPECT_EQ(printable("\x9b[31m\xff"), "\uFFFD[31m\uFFFD") << "bytes that are no UTF-8";
  EXPECT_EQ(printable("one\ntwo\r\tthree"), "one two  three");
  EXPECT_EQ(printable("a\u202Eb\u2066c\u2028d"), "a\uFFFDb\uFFFDc\uFFFDd") << "text that runs backwards, and a line separator";
  EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a\uFFFDb");
}

TEST(Printable, KeepsTheLinesOfATable) {
  EXPECT_EQ(printable_lines("a\x1b\nb\tc\n\n"), "a\uFFFD\nb c\n\n");
  EXPECT_EQ(printable_lines("no end"), "no end");
  EXPECT_EQ(printable_lines(""), "");
}

TEST(Printable, EscapesForStringsOfJsonAndToml) {
  EXPECT_EQ(escape_controls("a\x1b[\x7f\xc2\x9b\u202E\u2069z"), "a\\u001b[\\u007f\\u009b\\u202e\\u2069z");
  EXPECT_EQ(escape_controls("a\tb\nc caf\u00E9 \u2014 \U0001F600\xff"), "a\tb\nc caf\u00E9 \u2014 \U0001F600\xff");
}

TEST(TextTable, CleansItsCells) {
  TextTable table({"na\x1bme", "n"});
  table.add({"two\nlines\x07", "1"});
  EXPECT_EQ(table.text(), "na\uFFFDme       n\ntwo lines\uFFFD  1\n");
}

}  // namespace
}  // namespace minbert
