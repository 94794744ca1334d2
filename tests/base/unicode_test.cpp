// UTF-8: expected values are those of Python's bytes.decode("utf-8", "replace"), which also replaces maximal subparts.
#include "minbert/base/unicode.h"

#include <gtest/gtest.h>

#include <vector>

namespace minbert {
namespace {

std::u32string decode(std::string_view text) {
  std::u32string out;
  for (std::size_t position = 0; position < text.size();) out += next_code_point(text, position);
  return out;
}

TEST(Utf8, EveryCodePointRoundTrips) {
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c == 0xD800) c = 0xE000;
    std::string text;
    append_utf8(text, c);
    std::size_t position = 0;
    ASSERT_EQ(next_code_point(text, position), c);
    ASSERT_EQ(position, text.size());
    ASSERT_EQ(find_invalid_utf8(text), std::string::npos);
    ASSERT_EQ(find_invalid_utf8(std::string_view(text).substr(0, text.size() - 1)), text.size() > 1 ? 0u : std::string::npos);
  }
}

TEST(Utf8, ReplacesMaximalSubparts) {
  const char32_t r = 0xFFFD;
  struct Case {
    std::string_view bytes;
    std::u32string expected;
  };
  const std::vector<Case> cases = {
      {"\x80", {r}},
      {"\xC0\xAF", {r, r}},  // overlong lead is never valid
      {"\xC3", {r}},         // cut after a lead
      {"\xC3(", {r, U'('}},
      {"\xE2\x82", {r}},  // one part, one replacement
      {"\xE2\x82z", {r, U'z'}},
      {"\xE0\x80\xAF", {r, r, r}},         // overlong three bytes
      {"\xED\xA0\x80", {r, r, r}},         // surrogate
      {"\xF0\x80\x80\xAF", {r, r, r, r}},  // overlong four bytes
      {"\xF0\x9F\x98", {r}},
      {"\xF0\x9F\xC3\xA9", {r, U'\u00E9'}},
      {"\xF4\x90\x80\x80", {r, r, r, r}},  // above 0x10FFFF
      {"\xF5\x80\xFF", {r, r, r}},
      {"a\xF1\x80\x80\xE1\x80\xC2"
       "b\x80"
       "c\x80\xBF"
       "d",
       {U'a', r, r, r, U'b', r, U'c', r, r, U'd'}},  // Unicode 15, table 3-8
  };
  for (const Case& c : cases) {
    EXPECT_EQ(decode(c.bytes), c.expected) << testing::PrintToString(c.bytes);
    EXPECT_NE(find_invalid_utf8(c.bytes), std::string_view::npos);
  }
}

TEST(Utf8, FindsTheFirstInvalidSequence) {
  EXPECT_EQ(find_invalid_utf8(""), std::string::npos);
  EXPECT_EQ(find_invalid_utf8("h\xC3\xA9llo\xFFx\xFF"), 6u);
  EXPECT_EQ(find_invalid_utf8("ab\xF0\x9F\x98"), 2u);
}

TEST(Utf8, RefusesToEncodeNonCharacters) {
  std::string out;
  append_utf8(out, 0xD800);
  append_utf8(out, 0x110000);
  EXPECT_EQ(out, "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Latin1, EveryByteBecomesItsCodePoint) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
  const auto decoded = decode(latin1_to_utf8(bytes));
  ASSERT_EQ(decoded.size(), 256u);
  for (char32_t i = 0; i < 256; ++i) EXPECT_EQ(decoded[i], i);
}

TEST(Cp1252, QuotesAndTheEuroStandWhereLatin1HasControls) {
  EXPECT_EQ(cp1252_to_utf8("\x80 \x93it\x92s\x94 \x97 \x9f \x8d caf\xe9"), "\u20AC \u201Cit\u2019s\u201D \u2014 \u0178 \u008D caf\u00E9");
}

}  // namespace
}  // namespace minbert
