// Sheets: the file and the table have the same cells.
#include "minbert/report/sheet.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

TEST(Sheet, TheFileIsQuotedTheTableEscaped) {
  const Sheet sheet{.file = "near.words", .caption = "C.", .columns = {"word", "n"}, .rows = {{"a, \"b\" <c>", "1"}, {"", ""}}};
  Sheets sheets;
  const std::string html = sheets.show(sheet).markup();
  EXPECT_EQ(sheets.files().at("near.words.csv"), "word,n\n\"a, \"\"b\"\" <c>\",1\n,\n");
  EXPECT_NE(html.find("<th scope=\"row\">a, &quot;b&quot; &lt;c&gt;</th><td>1</td>"), std::string::npos) << html;
  EXPECT_NE(html.find("<tr><th scope=\"row\"></th><td></td></tr>"), std::string::npos) << html;
  EXPECT_NE(html.find("id=\"near-words\""), std::string::npos);
  EXPECT_NE(html.find("<code>eval/near.words.csv</code>"), std::string::npos);
}

TEST(Sheet, AFileStaysInItsFolder) {
  Sheets sheets;
  sheets.keep({.file = "../../etc/task.words", .caption = "", .columns = {"a"}});
  EXPECT_EQ(sheets.files().begin()->first, "..-..-etc-task.words.csv");
}

TEST(Sheet, PlotsAndWordsAreForTheEye) {
  Sheets sheets;
  const std::string html = sheets
                               .show({.file = "t",
                                      .caption = "C.",
                                      .columns = {"a", "b", "c"},
                                      .rows = {{"1", "2", "3"}},
                                      .words = 2,
                                      .plots = {element("svg", {})}},
                                     "table-9")
                               .markup();
  EXPECT_EQ(sheets.files().at("t.csv"), "a,b,c\n1,2,3\n");
  EXPECT_NE(html.find("<td class=\"word\">2</td><td>3</td><td class=\"plot\" aria-hidden=\"true\"><svg></svg></td>"), std::string::npos)
      << html;
  EXPECT_NE(html.find("id=\"table-9\""), std::string::npos);
}

}  // namespace
}  // namespace minbert
