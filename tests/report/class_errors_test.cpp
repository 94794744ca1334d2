// Errors among ordered classes, counted by hand.
#include "minbert/report/class_errors.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

Answer answer(double gold, double predicted, std::string text = "") {
  return {.id = {}, .text = std::move(text), .text_pair = {}, .gold = gold, .predicted = predicted};
}

TEST(ClassErrors, OffByCountsErrorsAlone) {
  const std::vector<Answer> answers = {answer(0, 0), answer(0, 1), answer(3, 2), answer(4, 2), answer(0, 3), answer(4, 0)};
  EXPECT_EQ(errors_off_by(answers), (std::array<std::int64_t, 3>{2, 1, 2}));
  EXPECT_EQ(errors_by_predicted(answers, 5), (std::vector<std::int64_t>{1, 1, 2, 1, 0}));
  EXPECT_EQ(errors_off_by({}), (std::array<std::int64_t, 3>{}));
}

TEST(ClassErrors, TheMiddleIsOneClassOrTwo) {
  std::vector<int> five, four;
  for (int c = 0; c < 5; ++c)
    if (is_middle_class(c, 5)) five.push_back(c);
  for (int c = 0; c < 4; ++c)
    if (is_middle_class(c, 4)) four.push_back(c);
  EXPECT_EQ(five, (std::vector<int>{2}));
  EXPECT_EQ(four, (std::vector<int>{1, 2}));
}

TEST(ClassErrors, UnseenAndRareWordsAreTold) {
  WordCounts counts;
  counts.set("the", 900);
  counts.set("plot", 4);
  counts.set("soggy", 3);
  counts.set("meander", 1);
  const std::vector<Answer> answers = {answer(0, 0, "The plot, the plot!"),              // every word is known
                                       answer(0, 2, "The SOGGY plot"),                   // one rare word
                                       answer(4, 2, "Soggy quibbles quibbles meander"),  // one unseen word twice, two rare words
                                       answer(1, 3, "zesty quaint humdrum plot")};       // three unseen words
  const auto unseen = errors_by_words(answers, 5, counts, 0);
  EXPECT_EQ(unseen[0].rows, 2);
  EXPECT_EQ(unseen[0].errors, 1);
  EXPECT_EQ(unseen[0].middle, 1);
  EXPECT_EQ(unseen[1].rows, 1);
  EXPECT_EQ(unseen[2].rows, 0);
  EXPECT_EQ(unseen[3].rows, 1);
  EXPECT_EQ(unseen[3].errors, 1);
  EXPECT_EQ(unseen[3].middle, 0);
  const auto rare = errors_by_words(answers, 5, counts, kRareWord);
  EXPECT_EQ(rare[0].rows, 1);
  EXPECT_EQ(rare[1].rows, 1);
  EXPECT_EQ(rare[3].rows, 2);
}

}  // namespace
}  // namespace minbert
