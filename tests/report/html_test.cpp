// Html: escaping and elements.
#include "minbert/report/html.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

TEST(Html, TextIsEscapedOnce) {
  const Html inner = element("b", {}, "<&>");
  EXPECT_EQ(inner.markup(), "<b>&lt;&amp;&gt;</b>");
  EXPECT_EQ(element("p", {{"title", "\"'<"}}, inner + " & " + inner).markup(),
            "<p title=\"&quot;&#39;&lt;\"><b>&lt;&amp;&gt;</b> &amp; <b>&lt;&amp;&gt;</b></p>");
}

TEST(Html, WhatAPageMayNotHoldIsReplaced) {
  EXPECT_EQ(Html::escape(std::string_view("a\0\x1b\r\xff\tb\n", 8)), "a\uFFFD\uFFFD\uFFFD\uFFFD\tb\n");
  EXPECT_EQ(Html::escape("é\u0085€😀"), "é\uFFFD€😀");
}

TEST(Html, APageLoadsNothing) {
  const std::string html = page("a < b", element("p", {}, "text"));
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>"));
  EXPECT_NE(html.find("<title>a &lt; b</title>"), std::string::npos);
  for (const char* part : {"http:", "https:", "src=", "href=", "url(", "@import", "<script"})
    EXPECT_EQ(html.find(part), std::string::npos) << part;
}

}  // namespace
}  // namespace minbert
