// JSON: places of errors, order of keys, and what dump_json repairs.
#include "minbert/base/json.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

TEST(Json, KeepsTheOrderOfKeys) {
  const std::string text = R"({"z":1,"a":{"y":[1.5,null,true],"b":"é"}})";
  EXPECT_EQ(dump_json(parse_json(text, "f", ErrorTag::kData)), text);
}

TEST(Json, SyntaxErrorsNameFileLineAndColumn) {
  expect_error(ErrorTag::kModel, {"config.json:3:7: not valid JSON"},
               [] { parse_json("{\n \"a\": 1,\n \"b\": x\n}", "config.json", ErrorTag::kModel); });
  expect_error(ErrorTag::kData, {"f:1:1: not valid JSON"}, [] { parse_json("", "f", ErrorTag::kData); });
  expect_error(ErrorTag::kData, {"f:1:"}, [] { parse_json("{\"a\": \"\xFF\"}", "f", ErrorTag::kData); });
  expect_error(ErrorTag::kData, {"f: not valid JSON"}, [] { parse_json("1e999", "f", ErrorTag::kData); });
}

TEST(Json, RefusesDeepNesting) {
  EXPECT_NO_THROW(parse_json(std::string(500, '[') + std::string(500, ']'), "f", ErrorTag::kData));
  expect_error(ErrorTag::kData, {"f:1:513", "nested deeper"}, [] { parse_json(std::string(100000, '['), "f", ErrorTag::kData); });
  EXPECT_NO_THROW(parse_json("\"" + std::string(1000, '[') + "\\\"" + std::string(1000, '{') + "\"", "f", ErrorTag::kData));
}

TEST(Json, BrokenLinesAreToldNotThrown) {
  EXPECT_EQ(parse_json_line("{\"a\": [1]}").value, (Json{{"a", {1}}}));
  EXPECT_EQ(parse_json_line("{\"a\": [1]}").problem, "");
  for (const char* broken : {"", "{", "{\"a\":1", "{}{}", "1e999", "\"\xFF\""}) {
    EXPECT_EQ(parse_json_line(broken).problem, "invalid JSON") << broken;
    EXPECT_TRUE(parse_json_line(broken).value.is_null());
  }
  const std::string deep(100000, '[');
  EXPECT_EQ(parse_json_line(deep + std::string(100000, ']')).problem, "one nested deeper than 512 levels");
}

TEST(Json, ANulByteIsNotTheEnd) {
  using namespace std::string_view_literals;
  expect_error(ErrorTag::kData, {"f:1:6", "NUL"}, [] { parse_json("{\"a\":\0 1}"sv, "f", ErrorTag::kData); });
  expect_error(ErrorTag::kData, {"f:1:3", "NUL"}, [] { parse_json("{}\0{}"sv, "f", ErrorTag::kData); });
  EXPECT_EQ(parse_json_line("{}\0{}"sv).problem, "invalid JSON");
}

TEST(Json, RefusesTextsWithoutEnd) {
  const std::string blanks(kMaxJsonBytes + 1, ' ');
  expect_error(ErrorTag::kModel, {"f: expected at most 268435456 bytes of JSON, got 268435457"},
               [&] { parse_json(blanks, "f", ErrorTag::kModel); });
  EXPECT_EQ(parse_json_line(blanks).problem, "268435457 bytes, more than 268435456");
}

TEST(Json, EscapesWhatDrivesATerminal) {
  const Json value = {{"na\x1bme", "\x7f\u009b31m \u202E"}, {"plain", "caf\u00E9 \u2014"}};
  const std::string text = dump_json(value);
  EXPECT_EQ(text, "{\"na\\u001bme\":\"\\u007f\\u009b31m \\u202e\",\"plain\":\"caf\u00E9 \u2014\"}");
  EXPECT_EQ(parse_json(text, "f", ErrorTag::kData), value);
}

TEST(Json, WritesNothingWithoutEnd) {
  Json value = 1;
  for (int i = 0; i < 600; ++i) value = Json::array({std::move(value)});
  EXPECT_EQ(dump_json(value).size(), 1201u);
  for (int i = 0; i < 100000; ++i) value = Json::array({std::move(value)});
  expect_error(ErrorTag::kInternal, {"nested deeper"}, [&] { dump_json(value); });
}

TEST(Json, ReadsFiles) {
  const TempFolder folder;
  write_file(folder / "f.json", "{\"a\": 1}");
  EXPECT_EQ(read_json(folder / "f.json", ErrorTag::kModel).at("a"), 1);
  expect_error(ErrorTag::kModel, {"none.json", "No such file"}, [&] { read_json(folder / "none.json", ErrorTag::kModel); });
}

TEST(Json, WritesNoInvalidText) {
  Json value;
  value["nan"] = std::nan("");
  value["inf"] = std::numeric_limits<double>::infinity();
  value["text"] = "a\xFF\xE2\x82z";
  EXPECT_EQ(dump_json(value), "{\"nan\":null,\"inf\":null,\"text\":\"a\xEF\xBF\xBD\xEF\xBF\xBDz\"}");
  EXPECT_EQ(dump_json(Json::array({1, 2}), 1), "[\n 1,\n 2\n]");
}

}  // namespace
}  // namespace minbert
