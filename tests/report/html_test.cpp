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

TEST(Html, ATableHasItsFrame) {
  EXPECT_EQ(table({.id = "t", .kind = "sheet", .caption = "a < b", .search = "Find"}, header_row({"x"}),
                  element("tr", {}, element("td", {}, "1")))
                .markup(),
            "<div class=\"scroll\" tabindex=\"0\"><table class=\"sheet\" id=\"t\" data-search=\"Find\"><caption>a &lt; b</caption>"
            "<thead><tr><th scope=\"col\">x</th></tr></thead>\n<tbody><tr><td>1</td></tr></tbody></table></div>\n");
}

}  // namespace
}  // namespace minbert
