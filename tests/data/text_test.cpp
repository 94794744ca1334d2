// Text helpers against what Python's str methods and the course's preprocessing give.
#include "minbert/data/text.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

TEST(Text, LowerCaseBeyondAscii) {
  EXPECT_EQ(lower_case("ÀÉÎØ Œuvre ŽIŽEK ΣΑΣ ЖУК Ёж ԱԲ ＡＢ ỆU ƠƯ"), "àéîø œuvre žižek σασ жук ёж աբ ａｂ ệu ơư");
  EXPECT_EQ(lower_case("×÷ 漢字 ǅ \U0001F600"), "×÷ 漢字 ǅ \U0001F600");
}

TEST(Text, StripTakesEveryBlankOfPython) {
  EXPECT_EQ(strip("\t\x1c \u00a0\u3000 a b\u2009\u0085\r\n"), "a b");
  EXPECT_EQ(strip(" \n"), "");
  EXPECT_EQ(strip(""), "");
  EXPECT_EQ(strip("x"), "x");
}

TEST(Text, CountWords) {
  EXPECT_EQ(count_words(""), 0u);
  EXPECT_EQ(count_words("  one\ttwo  three\u00a0four "), 4u);
}

// The pair form is ' '.join(s.lower().replace('.', ' .') ... .split()) of the course's own code.
TEST(Text, TokensAreWordsEndingsAndSigns) {
  using Tokens = std::vector<std::string>;
  EXPECT_EQ(split_tokens("It's a half-baked Plan, n'est-ce pas ?"),
            (Tokens{"it", "'s", "a", "half", "-", "baked", "plan", ",", "n", "'est", "-", "ce", "pas", "?"}));
  EXPECT_EQ(split_tokens("it \u2019s"), split_tokens("it's"));
  EXPECT_EQ(split_tokens("  ÉTÉ 2024…! "), (Tokens{"été", "2024", "…", "!"}));
  EXPECT_EQ(split_tokens("dogs' tails '' "), (Tokens{"dogs", "'", "tails", "'", "'"}));
  EXPECT_TRUE(split_tokens(" \t").empty());
  for (const char* word : {"a", "'s", "été", "7"}) EXPECT_TRUE(is_word(word)) << word;
  for (const char* sign : {"", "'", "…", "-"}) EXPECT_FALSE(is_word(sign)) << sign;
}

TEST(Text, CoursePreprocessing) {
  EXPECT_EQ(course_text("  It 's GOOD . "), "it 's good .");
  EXPECT_EQ(course_pair_text("Isn't it?  Yes,\tit's  fine..."), "isn 't it ? yes , it 's fine . . .");
  EXPECT_EQ(course_pair_text(".start and end "), ".start and end");
  EXPECT_EQ(course_pair_text(" , "), ",");
  EXPECT_EQ(course_pair_text(""), "");
}

TEST(Text, ComparisonKeyIgnoresCaseBlanksAndPunctuation) {
  EXPECT_EQ(comparison_key("Can't stop ."), comparison_key("can 't STOP"));
  EXPECT_EQ(comparison_key("He said `` Café '' — now"), comparison_key("he said \"CAFÉ\" now"));
  EXPECT_NE(comparison_key("a b c"), comparison_key("a b d"));
  EXPECT_EQ(comparison_key(" ?! "), "?!");
  EXPECT_EQ(comparison_key("  "), "");
}

}  // namespace
}  // namespace minbert
