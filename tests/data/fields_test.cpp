// Fields written for CSV and TSV read back as they were.
#include "minbert/data/fields.h"

#include <gtest/gtest.h>

#include <array>

#include "minbert/data/delimited.h"

namespace minbert {
namespace {

TEST(Fields, TsvKeepsEveryTextOnOneLineAndGivesItBack) {
  EXPECT_EQ(tsv_field("a\tb\nc\rd\\e"), "a\\tb\\nc\\rd\\\\e");
  const std::array<std::string_view, 6> texts = {"", "plain", "\t\n\r\\", "\\t is not a tab", "ends in \\", "caf\u00e9 \"q\""};
  for (const auto text : texts) {
    EXPECT_EQ(tsv_field(text).find_first_of("\t\n\r"), std::string::npos);
    EXPECT_EQ(parse_tsv_field(tsv_field(text)), text);
  }
  EXPECT_EQ(parse_tsv_field("a\\x\\"), "a\\x\\");
}

TEST(Fields, CsvReadsBackThroughTheRecordReader) {
  EXPECT_EQ(csv_field("plain text"), "plain text");
  EXPECT_EQ(csv_field("say \"hi\", twice"), "\"say \"\"hi\"\", twice\"");
  const std::string line = csv_field("a,b") + "," + csv_field("c\nd") + "," + csv_field("e") + "\n";
  Dialect dialect;
  dialect.delimiter = ',';
  dialect.quote = '"';
  RecordReader reader(line, dialect);
  ASSERT_TRUE(reader.next());
  ASSERT_EQ(reader.fields().size(), 3u);
  EXPECT_EQ(reader.field(0), "a,b");
  EXPECT_EQ(reader.field(1), "c\nd");
  EXPECT_EQ(reader.field(2), "e");
}

}  // namespace
}  // namespace minbert
