// JsonNode: every accessor's checks, and the key, place and tag of its complaints.
#include "minbert/base/json_node.h"

#include <gtest/gtest.h>

#include <cmath>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

enum class Shade { kPale, kDark };
constexpr std::array<OptionName<Shade>, 2> option_names(Shade) { return {{{Shade::kPale, "pale"}, {Shade::kDark, "dark"}}}; }

JsonNode node(std::string_view text, ErrorTag tag = ErrorTag::kModel) { return {parse_json(text, "f.json", tag), "f.json", tag}; }

/// Runs `take` on each value, which must be refused with these words.
template <class Take>
void expect_refused(std::initializer_list<const char*> values, std::string_view expected, const Take& take) {
  for (const char* value : values)
    expect_error(ErrorTag::kModel, {"f.json: key \"a.b\": expected ", expected, ", got "},
                 [&] { take(node(fmt::format(R"({{"a":{{"b":{}}}}})", value)).at("a").at("b")); });
}

TEST(JsonNode, TakesValuesThatFit) {
  const JsonNode json = node(R"({"flag":true,"text":"x","n":-3,"big":9223372036854775807,"x":0.5,"list":[1,2],"none":null,"shade":"dark",
    "map":{"p":1,"q":null},"words":{"z":"1","a":"2"}})");
  EXPECT_TRUE(json.at("flag").as_flag());
  EXPECT_EQ(json.at("text").as_text(), "x");
  EXPECT_EQ(json.at("n").as_whole<int>(-3, -3), -3);
  EXPECT_EQ(json.at("big").as_whole(), INT64_MAX);
  EXPECT_EQ(json.at("big").as_whole<std::uint64_t>(), static_cast<std::uint64_t>(INT64_MAX));
  EXPECT_EQ(json.at("x").as_number(0, 0.5), 0.5);
  EXPECT_EQ(json.at("n").as_number(), -3);
  EXPECT_EQ(json.at("list").items()[1].as_whole(), 2);
  EXPECT_EQ(json.at("shade").as_choice<Shade>(), Shade::kDark);
  EXPECT_TRUE(std::isnan(json.at("none").as_number_or_nan()));
  EXPECT_TRUE(std::isnan(json.at("map").as_numbers().at("q")));
  EXPECT_EQ(json.at("words").members().front().first, "z") << "in the order of the file";
  EXPECT_EQ(json.at("words").as_texts().at("a"), "2");
  EXPECT_TRUE(json.find("none"));
  EXPECT_FALSE(json.find_set("none"));
  EXPECT_FALSE(json.find("absent"));
}

TEST(JsonNode, OutlivesTheNodeItCameFrom) {
  const JsonNode inner = node(R"({"a":[{"b":"kept"}]})").at("a").items()[0].at("b");
  EXPECT_EQ(inner.as_text(), "kept");
  EXPECT_EQ(inner.key(), "a[0].b");
}

TEST(JsonNode, NamesWhatIsWrong) {
  expect_refused({"1", "null", "\"yes\""}, "true or false", [](const JsonNode& n) { n.as_flag(); });
  expect_refused({"1", "null", "[]", "{}"}, "a text", [](const JsonNode& n) { n.as_text(); });
  expect_refused({"0", "-1", "1.0", "\"1\"", "null", "18446744073709551615", "true", "1e3"}, "a whole number from 1",
                 [](const JsonNode& n) { n.as_whole<std::int64_t>(1); });
  expect_refused({"8", "2147483648"}, "a whole number up to 7", [](const JsonNode& n) { n.as_whole<int>(0, 7); });
  expect_refused({"2147483648"}, "a whole number up to 2147483647", [](const JsonNode& n) { n.as_whole<int>(0); });
  expect_refused({"-0.1", "null", "\"0\"", "[]"}, "a number from 0", [](const JsonNode& n) { n.as_number(0); });
  expect_refused({"1.1"}, "a number up to 1", [](const JsonNode& n) { n.as_number(0, 1); });
  expect_refused({"-1", "{}"}, "a number from 0 or null", [](const JsonNode& n) { n.as_number_or_nan(0); });
  expect_refused({"3", "\"pail\""}, "one of pale, dark", [](const JsonNode& n) { n.as_choice<Shade>(); });
  expect_refused({"{}", "3"}, "a list", [](const JsonNode& n) { n.items(); });
  expect_refused({"[]", "3", "null"}, "an object", [](const JsonNode& n) { n.members(); });
  expect_refused({"[]"}, "an object", [](const JsonNode& n) { n.at("c"); });
  expect_error(ErrorTag::kModel, {"did you mean \"pale\"?"}, [] { node(R"("pail")").as_choice<Shade>(); });
  expect_error(ErrorTag::kData, {"f.json: key \"a.c\" is missing"}, [] { node(R"({"a":{}})", ErrorTag::kData).at("a").at("c"); });
  expect_error(ErrorTag::kModel, {"key \"a.x\": expected a number"}, [] { node(R"({"a":{"x":"1"}})").at("a").as_numbers(); });
  expect_error(ErrorTag::kModel, {"f.json: expected an object, got 3"}, [] { node("3").at("a"); });
}

TEST(JsonNode, RefusesNewerFormats) {
  EXPECT_NO_THROW(node(R"({"format":1})").expect_format(1));
  EXPECT_NO_THROW(node(R"({})").expect_format(1, false));
  expect_error(ErrorTag::kModel, {"\"format\": expected format 1, got 2", "newer"}, [] { node(R"({"format":2})").expect_format(1); });
  for (const char* broken : {"{}", R"({"format":"1"})", R"({"format":0})", R"({"format":null})", "[]"})
    expect_error(ErrorTag::kModel, {"f.json"}, [&] { node(broken).expect_format(1); });
}

TEST(JsonNode, ReadsFiles) {
  const TempFolder folder;
  write_file(folder / "f.json", R"({"a": -1})");
  expect_error(ErrorTag::kData, {(folder / "f.json").string(), "key \"a\""},
               [&] { JsonNode::read(folder / "f.json", ErrorTag::kData).at("a").as_whole<int>(0); });
  write_file(folder / "f.json", "{");
  expect_error(ErrorTag::kData, {"f.json:1"}, [&] { JsonNode::read(folder / "f.json", ErrorTag::kData); });
}

}  // namespace
}  // namespace minbert
