// page(): the page loads nothing, and its policy allows exactly the script that it has.
#include "minbert/report/page.h"

#include <gtest/gtest.h>

#include "minbert/base/hash.h"

namespace minbert {
namespace {

std::string between(const std::string& text, std::string_view from, std::string_view to) {
  const std::size_t begin = text.find(from) + from.size();
  return text.substr(begin, text.find(to, begin) - begin);
}

/// Converts base64 to hexadecimal digits.
std::string hex_of(std::string_view base64) {
  constexpr std::string_view kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bits, hex;
  for (const char c : base64)
    for (int bit = 5; bit >= 0 && c != '='; --bit) bits += (kLetters.find(c) >> bit & 1) != 0 ? '1' : '0';
  for (std::size_t i = 0; i + 4 <= bits.size() && hex.size() < 64; i += 4)
    hex += "0123456789abcdef"[std::stoul(bits.substr(i, 4), nullptr, 2)];
  return hex;
}

TEST(Page, LoadsNothing) {
  const std::string html = page("a < b", element("h1", {}, "a"), {{"one", "One", element("p", {}, "text")}});
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>"));
  EXPECT_NE(html.find("<title>a &lt; b</title>"), std::string::npos);
  for (const char* part : {"http:", "https:", "src=", "url(", "@import", "href=\"h"}) EXPECT_EQ(html.find(part), std::string::npos) << part;
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
}

TEST(Page, ItsPolicyAllowsItsScriptAlone) {
  const std::string html = page("", {}, {});
  const std::string script = between(html, "<script>", "</script>"), digest = between(html, "'sha256-", "'");
  EXPECT_GT(script.size(), 100u);
  EXPECT_EQ(digest.size(), 44u);
  EXPECT_EQ(hex_of(digest), sha256_hex(script));
}

TEST(Page, ContentsListWhatIsThere) {
  const std::string html = page("", {}, {{"one", "One", element("p", {}, "text")}, {"two", "Two", {}}});
  EXPECT_NE(html.find("<a href=\"#one\">One</a>"), std::string::npos);
  EXPECT_NE(html.find("<section id=\"one\" aria-labelledby=\"one-title\"><h2 id=\"one-title\">One</h2>"), std::string::npos);
  EXPECT_EQ(html.find("Two"), std::string::npos);
}

}  // namespace
}  // namespace minbert
