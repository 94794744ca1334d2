// Tokenizer: words and pieces, special tokens in the text, pairs and their truncation, offsets, broken vocabularies.
#include "minbert/tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include "minbert/base/parallel.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

using Ids = std::vector<std::int32_t>;
using Offsets = std::vector<std::array<std::int32_t, 2>>;

std::vector<std::string> words() {
  return {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "un",  "##ab", "##able", "##le", "able", "cafe",
          "café",  "Café",  ",",     "中",    "a",      "##a", "b",    "new",    "##s",  "[",    "]"};
}

/// Tokens between [CLS] and [SEP], joined by spaces.
std::string pieces(const Tokenizer& tokenizer, std::string_view text) {
  const Encoding encoding = tokenizer.encode(text);
  EXPECT_EQ(encoding.ids.front(), tokenizer.cls_id());
  EXPECT_EQ(encoding.ids.back(), tokenizer.sep_id());
  std::string joined;
  for (std::size_t i = 1; i + 1 < encoding.ids.size(); ++i) joined += (i > 1 ? " " : "") + tokenizer.token(encoding.ids[i]);
  return joined;
}

TEST(Tokenizer, TakesTheLongestPieces) {
  const Tokenizer tokenizer(words());
  EXPECT_EQ(pieces(tokenizer, "unable"), "un ##able");
  EXPECT_EQ(pieces(tokenizer, "unable unab able"), "un ##able un ##ab able");
  EXPECT_EQ(pieces(tokenizer, "unablex un"), "[UNK] un") << "a word with a part unknown is one [UNK]";
  EXPECT_EQ(pieces(tokenizer, ""), "");
  EXPECT_EQ(pieces(tokenizer, " \t\n "), "");
}

TEST(Tokenizer, NormalisesAsItsOptionsSay) {
  EXPECT_EQ(pieces(Tokenizer(words()), "CAFÉ,a中b"), "cafe , a 中 b");
  EXPECT_EQ(pieces(Tokenizer(words(), {.strip_accents = false}), "CAFÉ"), "café");
  EXPECT_EQ(pieces(Tokenizer(words(), {.lowercase = false}), "Café cafe\u0301"), "Café [UNK]");
  EXPECT_EQ(pieces(Tokenizer(words(), {.lowercase = false, .strip_accents = true}), "café"), "cafe");
  EXPECT_EQ(pieces(Tokenizer(words(), {.handle_chinese_chars = false}), "a中"), "[UNK]");
  EXPECT_EQ(pieces(Tokenizer(words()),
                   "a\u200B\x01"
                   "a"),
            "a ##a");
  EXPECT_EQ(pieces(Tokenizer(words(), {.clean_text = false}),
                   "a\u200B"
                   "a"),
            "[UNK]");
}

TEST(Tokenizer, CountsTheCharactersOfAWord) {
  const Tokenizer tokenizer(words());
  const auto repeated = [&](int n) { return pieces(tokenizer, std::string(static_cast<std::size_t>(n), 'a')); };
  EXPECT_EQ(repeated(100).size(), std::string("a").size() + 99 * std::string(" ##a").size());
  EXPECT_EQ(repeated(101), "[UNK]");
  EXPECT_EQ(pieces(Tokenizer(words(), {.max_word_chars = 3}), "able un"), "[UNK] un") << "even for a word in the vocabulary";
  EXPECT_EQ(pieces(Tokenizer(words(), {.strip_accents = false, .max_word_chars = 4}), "café"), "café") << "characters, not bytes";
}

TEST(Tokenizer, EndlessTokenCostsLittle) {
  std::vector<std::string> vocabulary = words();
  std::string token;  // 3 MB, of bytes in no order
  for (std::uint32_t i = 0, bits = 1; i < 3'000'000; ++i, bits = bits * 1664525 + 1013904223)
    token += static_cast<char>('!' + (bits >> 24) % 90);
  vocabulary.push_back(token);
  // Too long to be met, and not. A cost that grows with the square of the length would take hours, and so ctest's patience.
  for (const std::int64_t most : {100, 10'000'000})
    EXPECT_EQ(pieces(Tokenizer(vocabulary, {.max_word_chars = most}), "unable"), "un ##able");
  vocabulary.back().append(20'000'000, 'x');
  EXPECT_EQ(pieces(Tokenizer(vocabulary), "unable"), "un ##able");
  expect_error(ErrorTag::kModel, {"vocab.txt", "too large"}, [&] { Tokenizer(vocabulary, {.max_word_chars = 100'000'000}, "vocab.txt"); });
}

TEST(Tokenizer, FindsSpecialTokensInTheText) {
  const Tokenizer tokenizer(words());
  EXPECT_EQ(pieces(tokenizer, "a[MASK]b [SEP]"), "a [MASK] b [SEP]");
  EXPECT_EQ(pieces(tokenizer, "[mask]"), "[ [UNK] ]");
  EXPECT_EQ(pieces(tokenizer, "[[CLS]]"), "[ [CLS] ]");
  EXPECT_TRUE(tokenizer.is_special(tokenizer.mask_id()));
  EXPECT_FALSE(tokenizer.is_special(5));
}

TEST(Tokenizer, AddedTokensFollowTheVocabulary) {
  const Tokenizer tokenizer(words(),
                            {.added = {{.content = "news", .special = false, .normalized = true}, {.content = "<x>", .special = false}}});
  EXPECT_EQ(tokenizer.vocab_size(), 24);
  EXPECT_EQ(tokenizer.token(22), "news");
  EXPECT_EQ(pieces(tokenizer, "aNEWSa b <x>"), "a news a b <x>");
  EXPECT_EQ(pieces(tokenizer, "<X>"), "[UNK] [UNK] [UNK]") << "a raw one is not lower-cased";
  EXPECT_EQ(tokenizer.encode("aN\u00ADEWS", 0, true).offsets, (Offsets{{0, 0}, {0, 1}, {1, 6}, {0, 0}}));
}

TEST(Tokenizer, CutsPairsLongestFirst) {
  const Tokenizer tokenizer(words());
  const auto ids = [&](const char* a, const char* b, std::int64_t max_length) {
    const Encoding encoding = tokenizer.encode_pair(a, b, max_length);
    std::string text;
    for (std::size_t i = 0; i < encoding.ids.size(); ++i)
      text += tokenizer.token(encoding.ids[i])[0] + std::to_string(encoding.type_ids[i]);
    return text;
  };
  EXPECT_EQ(ids("a a", "b", 0), "[0a0a0[0b1[1");
  EXPECT_EQ(ids("a a a a", "b b", 7), "[0a0a0[0b1b1[1");
  EXPECT_EQ(ids("a a a a", "b b b", 8), "[0a0a0a0[0b1b1[1") << "the odd one stays with the longer";
  EXPECT_EQ(ids("a a", "b b b b", 8), "[0a0a0[0b1b1b1[1");
  EXPECT_EQ(ids("a", "b", 3), "[0[0[1");
  EXPECT_EQ(tokenizer.encode("a a a", 3).ids, (Ids{2, 15, 3}));
  const Encoding ends = tokenizer.encode_pair("a b", "new a b", 6, false, CutSide::kStart);
  EXPECT_EQ(ends.ids, (Ids{2, 17, 3, 15, 17, 3})) << "of both texts the end stays";
  EXPECT_EQ(ends.cut, 2);
  expect_error(ErrorTag::kUsage, {"at least 3", "got 2"}, [&] { tokenizer.encode_pair("a", "b", 2); });
  expect_error(ErrorTag::kUsage, {"at least 2", "got 1"}, [&] { tokenizer.encode("a", 1); });
}

TEST(Tokenizer, OffsetsCountCodePointsOfTheRawText) {
  const Tokenizer tokenizer(words());
  EXPECT_EQ(tokenizer.encode("é CAFÉ,[MASK]unable", 0, true).offsets,
            (Offsets{{0, 0}, {0, 1}, {2, 6}, {6, 7}, {7, 13}, {13, 15}, {15, 19}, {0, 0}}));
  EXPECT_EQ(tokenizer.encode("\xFF\xE2\x82 a", 0, true).offsets, (Offsets{{0, 0}, {3, 4}, {0, 0}})) << "one for each invalid part";
  EXPECT_EQ(tokenizer.encode_pair("a a", "b", 0, true).offsets, (Offsets{{0, 0}, {0, 1}, {2, 3}, {0, 0}, {0, 1}, {0, 0}}));
  EXPECT_TRUE(tokenizer.encode("a").offsets.empty());
}

TEST(Tokenizer, LongTextsAndManyThreadsGiveTheSame) {
  const Tokenizer tokenizer(words());
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "Unable, café 中 ";
  const Ids expected = tokenizer.encode(text).ids;
  EXPECT_EQ(expected.size(), 2000u * 5 + 2);
  std::vector<Ids> results(16);
  parallel_for(16, 1, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = begin; i < end; ++i) results[static_cast<std::size_t>(i)] = tokenizer.encode(text).ids;
  });
  for (const Ids& ids : results) EXPECT_EQ(ids, expected);
}

// tokenizers_test.py compares the same with transformers.
TEST(Tokenizer, OfTwoEqualTokensTheLaterHolds) {
  auto vocabulary = words();
  vocabulary[7] = "un";
  vocabulary.push_back("[UNK]");
  vocabulary.insert(vocabulary.end(), 2, "");
  const Tokenizer tokenizer(vocabulary);
  EXPECT_EQ(tokenizer.encode("un zz").ids, (Ids{2, 7, 22, 3}));
  EXPECT_EQ(tokenizer.token(5) + tokenizer.token(1), "");
  const TempFolder folder;
  tokenizer.save(folder.path());
  EXPECT_EQ(Tokenizer::load(folder.path()).encode("un zz").ids, (Ids{2, 7, 22, 3}));
  std::filesystem::remove(folder / "tokenizer.json");
  EXPECT_EQ(Tokenizer::load(folder.path()).encode("un zz").ids, (Ids{2, 7, 22, 3}));
}

TEST(Tokenizer, SpecialTokensThatAreMissingFollow) {
  auto vocabulary = words();
  for (const std::size_t id : {0, 2, 3, 4}) vocabulary[id] = fmt::format("x{}", id);
  const Tokenizer tokenizer(vocabulary, {.more_special = {"<a>", "new"}});
  EXPECT_EQ(tokenizer.encode("a[MASK]<a> anew").ids, (Ids{24, 15, 25, 26, 15, 18, 22}));
  EXPECT_EQ(tokenizer.pad_id(), 23);
  EXPECT_TRUE(tokenizer.is_special(18)) << "a token of the vocabulary can be special too";
}

TEST(Tokenizer, TokensBeyondTheModelAreRefusedWhenTheyAreMet) {
  Tokenizer tokenizer(words(), {.more_special = {"<a>"}});
  EXPECT_EQ(tokenizer.limit_text(), "");
  tokenizer.limit_ids(22, "some/model");
  EXPECT_EQ(tokenizer.usable_ids(), 22);
  EXPECT_NE(tokenizer.limit_text().find("\"<a>\""), std::string::npos) << tokenizer.limit_text();
  EXPECT_EQ(pieces(tokenizer, "a"), "a");
  expect_error(ErrorTag::kModel, {"some/model", "\"<a>\" with the id 22"}, [&] { tokenizer.encode("a <a>"); });
  expect_error(ErrorTag::kModel, {"some/model"}, [&] { tokenizer.encode_pair("a", "<a>"); });
  tokenizer.limit_ids(23, "some/model");
  EXPECT_EQ(pieces(tokenizer, "a <a>") + tokenizer.limit_text(), "a <a>");
}

TEST(Tokenizer, RefusesBrokenVocabularies) {
  const auto with = [](auto&& change) {
    return [change] {
      auto vocabulary = words();
      change(vocabulary);
      Tokenizer(vocabulary, {}, "some/vocab.txt");
    };
  };
  expect_error(ErrorTag::kModel, {"some/vocab.txt", "[UNK]", "not in the vocabulary"}, with([](auto& v) { v[1] = "x"; }));
  expect_error(ErrorTag::kModel, {"token 6 is not valid UTF-8"}, with([](auto& v) { v[6] = "\xC3"; }));
  expect_error(ErrorTag::kModel, {"1 or more, got 0"}, [] { Tokenizer(words(), {.max_word_chars = 0}); });
  expect_error(ErrorTag::kModel, {"an added token is empty"}, [] { Tokenizer(words(), {.added = {{.content = ""}}}); });
  expect_error(ErrorTag::kInternal, {"token 22 of 22"}, [] { (void)Tokenizer(words()).token(22); });
}

}  // namespace
}  // namespace minbert
