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
