// Vocabularies of a few words, whose merges can be made by hand.
#include "minbert/tokenizer/train_vocabulary.h"

#include <gtest/gtest.h>

#include "tests/base/error_matchers.h"

namespace minbert {
namespace {

/// The tokens behind the five special ones.
std::vector<std::string> trained(const std::vector<std::string>& texts, const VocabularyTraining& training = {}) {
  const std::vector<std::string> tokens = train_vocabulary(texts, training);
  const std::vector<std::string> specials = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  EXPECT_EQ(std::vector(tokens.begin(), tokens.begin() + 5), specials);
  return {tokens.begin() + 5, tokens.end()};
}

using Tokens = std::vector<std::string>;

TEST(TrainVocabulary, MergesTheMostFrequentPairFirst) {
  EXPECT_EQ(trained({"ab ab cd cd"}), (Tokens{"a", "b", "c", "d", "##b", "##d", "ab", "cd"})) << "of equals the one with smaller ids";
  EXPECT_EQ(trained({"ab ab cd cd cd"}), (Tokens{"a", "b", "c", "d", "##b", "##d", "cd", "ab"}));
  EXPECT_EQ(trained({"ab", "cd", "AB cd"}), trained({"ab ab cd cd"})) << "words count over all texts, after the normaliser";
  EXPECT_EQ(trained({"abc abc"}), (Tokens{"a", "b", "c", "##b", "##c", "ab", "abc"})) << "what was merged is merged further";
  EXPECT_EQ(trained({"abb abb"}, {.size = 9}), (Tokens{"a", "b", "##b", "ab"}));
}

TEST(TrainVocabulary, StopsAtItsSize) {
  EXPECT_EQ(trained({"ab ab cd cd"}, {.size = 12}), (Tokens{"a", "b", "c", "d", "##b", "##d", "ab"}));
  EXPECT_EQ(trained({"ab ab cd cd"}, {.size = 11}), (Tokens{"a", "b", "c", "d", "##b", "##d"}));
  for (const std::int64_t size : {5, 10})
    expect_error(ErrorTag::kUsage, {"vocabulary size", "at least 11", fmt::format("got {}", size)},
                 [&] { train_vocabulary(std::vector<std::string>{"ab ab cd cd"}, {.size = size}); });
}

TEST(TrainVocabulary, RarePairsStayApart) {
  EXPECT_EQ(trained({"ab cd"}), (Tokens{"a", "b", "c", "d", "##b", "##d"}));
  EXPECT_EQ(trained({"ab ab cd"}), (Tokens{"a", "b", "c", "d", "##b", "##d", "ab"}));
  EXPECT_EQ(trained({"ab cd"}, {.min_frequency = 1}), (Tokens{"a", "b", "c", "d", "##b", "##d", "ab", "cd"}));
  EXPECT_EQ(trained({"ab ab cd cd cd"}, {.min_frequency = 3}), (Tokens{"a", "b", "c", "d", "##b", "##d", "cd"}));
}

TEST(TrainVocabulary, KeepsTheMostFrequentCharacters) {
  EXPECT_EQ(trained({"ab b"}, {.alphabet_limit = 1}), (Tokens{"b"}));
  EXPECT_EQ(trained({"ab"}, {.alphabet_limit = 1}), (Tokens{"a"})) << "of equals the smaller";
  EXPECT_EQ(trained({"axb axb b"}, {.alphabet_limit = 2}), (Tokens{"a", "b", "##b", "ab"})) << "the others are left out of words";
}

}  // namespace
}  // namespace minbert
