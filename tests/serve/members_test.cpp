// Members: bodies that are no JSON, and members of wrong types.
#include "minbert/serve/members.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

/// Status and text of what `read` throws.
template <class Read>
std::string refusal(Read&& read) {
  try {
    read();
  } catch (const ApiError& error) {
    return fmt::format("{} {} [{}]", error.status(), error.what(), error.param());
  }
  return "accepted";
}

TEST(Body, IsUtf8AndJsonWithinLimits) {
  const auto of = [](std::string_view body) { return refusal([&] { parse_body(body); }); };
  EXPECT_EQ(of("{\"a\": 1}"), "accepted");
  EXPECT_EQ(of("{\"a\": \"\xff\"}"), "400 the body is not UTF-8: byte 7 is 0xff []");
  EXPECT_EQ(of("{\"a\": 1").substr(0, 18), "400 body:1:8: not ");
  EXPECT_EQ(of("").substr(0, 9), "400 body:");
  EXPECT_EQ(of(std::string_view("{\"a\": \"\0\"}", 10)).substr(0, 9), "400 body:");
  EXPECT_EQ(of(std::string(10'000, '[')), "400 body:1:513: nested deeper than 512 levels []");
}

TEST(Body, LoneSurrogatesBecomeReplacements) {
  const auto text = [](std::string_view escaped) { return parse_body(fmt::format("[\"{}\"]", escaped))[0].get<std::string>(); };
  EXPECT_EQ(text(R"(a\ud83d\ude00b)"), "a\U0001F600b");
  EXPECT_EQ(text(R"(a\ud83db)"), "a\uFFFDb");
  EXPECT_EQ(text(R"(a\ude00\ud83d)"), "a\uFFFD\uFFFD");
  EXPECT_EQ(text(R"(\ud83d\ud83d\ude00)"), "\uFFFD\U0001F600");
  EXPECT_EQ(text(R"(\\ud83d)"), R"(\ud83d)");
  EXPECT_EQ(text(R"(\u0041\uD83D)"), "A\uFFFD");
}

TEST(Body, HasAsManyMembersAsItsSizeAllows) {
  std::string body = "{";
  for (int i = 0; i < 200'000; ++i) body += fmt::format("\"{}\":0,", i);
  EXPECT_EQ(parse_body(body + "\"inputs\":\"a\"}").size(), 200'001u);
}

TEST(MembersOfABody, NamesWhatIsWrong) {
  const SortedJson body =
      parse_body(R"({"flag": 1, "text": [], "number": 1.5, "large": 18446744073709551615, "null": null, "choice": "c", "texts": ["a", 1],
                                         "inner": {"x": 2}})");
  const Members members(body);
  EXPECT_EQ(refusal([&] { members.flag("flag"); }), "422 `flag`: expected true or false, got the number 1 [flag]");
  EXPECT_EQ(refusal([&] { members.text("text"); }), "422 `text`: expected a text, got a list of 0 [text]");
  EXPECT_EQ(refusal([&] { members.whole_number("number", 1, 9); }),
            "422 `number`: expected a whole number from 1 to 9, got the number 1.5 [number]");
  EXPECT_EQ(refusal([&] { members.whole_number("large", 1, 9); }).substr(0, 20), "422 `large`: expecte");
  EXPECT_EQ(refusal([&] { members.choice("choice", {"a", "b"}); }), "422 `choice`: expected a or b, got another text [choice]");
  EXPECT_EQ(refusal([&] { members.required_texts("texts"); }), "422 `texts[1]`: expected a text, got the number 1 [texts[1]]");
  EXPECT_EQ(refusal([&] { members.required_text("null"); }), "422 `null`: expected a text, got null [null]");
  EXPECT_EQ(refusal([&] { members.required_text("none"); }), "422 `none`: expected a text, got nothing [none]");
  EXPECT_EQ(refusal([&] { Members(body["inner"], "inner").flag("x"); }),
            "422 `inner.x`: expected true or false, got the number 2 [inner.x]");
  EXPECT_EQ(refusal([&] { const Members wrong(body["texts"]); }), "422 body: expected an object, got a list of 2 []");
  EXPECT_FALSE(members.flag("null").has_value());
  EXPECT_FALSE(members.text("none").has_value());
}

}  // namespace
}  // namespace minbert
