// Reads predictions and word counts as a run's files hold them.
#include "minbert/data/answers.h"

#include <gtest/gtest.h>

#include <cmath>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

TEST(Answers, RowsWithALabelAreRead) {
  const TempFolder folder;
  write_file(folder / "a.tsv", "id\ttext\tgold\tpred\tscore\tp_0\tp_1\n1\ta\\tb\tno\tyes\t0.75\t0.25\t0.75\n2\tc\t\tno\t0.5\t0.5\t0.5\n");
  const std::vector<std::string> classes = {"no", "yes"};
  const auto answers = read_answers(folder / "a.tsv", classes);
  ASSERT_EQ(answers.size(), 1u);
  EXPECT_EQ(answers[0].text, "a\tb");
  EXPECT_EQ(answers[0].gold, 0);
  EXPECT_EQ(answers[0].predicted, 1);
  EXPECT_EQ(answers[0].confidence, 0.75);
  EXPECT_TRUE(answers[0].is_error());
  write_file(folder / "b.tsv", "id\ttext\ttext_pair\tgold\tpred\tscore\n1\ta\tb\t2.5\t2.5\t\n");
  const auto numbers = read_answers(folder / "b.tsv", {});
  EXPECT_EQ(numbers[0].text_pair, "b");
  EXPECT_EQ(numbers[0].gold, 2.5);
  EXPECT_TRUE(std::isnan(numbers[0].confidence));
  EXPECT_FALSE(numbers[0].is_error());
  EXPECT_TRUE(read_answers(folder / "absent.tsv", {}).empty());
}

TEST(Answers, BrokenRowsAreNamed) {
  const TempFolder folder;
  write_file(folder / "a.tsv", "id\ttext\tgold\tpred\tscore\n1\ta\tmaybe\tno\t0.5\n");
  const std::vector<std::string> classes = {"no", "yes"};
  expect_error(ErrorTag::kData, {"a.tsv:2", "no class \"maybe\""}, [&] { read_answers(folder / "a.tsv", classes); });
  expect_error(ErrorTag::kData, {"a.tsv:2", "expected a finite number, got \"maybe\""}, [&] { read_answers(folder / "a.tsv", {}); });
}

TEST(Answers, WordsOfTrain) {
  const TempFolder folder;
  write_file(folder / "w.tsv", "word\tcount\nboat\t3\n");
  const WordCounts counts = WordCounts::read(folder / "w.tsv");
  EXPECT_EQ(counts.of("boat"), 3);
  EXPECT_EQ(counts.of("ship"), 0);
  EXPECT_FALSE(counts.empty());
  EXPECT_TRUE(WordCounts::read(folder / "absent.tsv").empty());
  write_file(folder / "w.tsv", "word\tcount\nboat\tmany\n");
  expect_error(ErrorTag::kData, {"w.tsv:2", "many"}, [&] { WordCounts::read(folder / "w.tsv"); });
}

}  // namespace
}  // namespace minbert
