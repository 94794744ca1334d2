// Masked-LM corpora, masks and scores: how often tokens are hidden, what is held out, and that neither batches nor threads matter.
#include "minbert/pipeline/mlm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "minbert/base/parallel.h"
#include "tests/base/error_matchers.h"
#include "tests/ops/tested_backend.h"
#include "tests/pipeline/text_fixture.h"

namespace minbert {
namespace {

constexpr std::uint64_t kSeed = 11711;

/// A vocabulary of five special tokens and `words` words.
Tokenizer numbered_tokenizer(int words) {
  std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (int i = 0; i < words; ++i) vocabulary.push_back(fmt::format("w{}", i));
  return Tokenizer(std::move(vocabulary));
}

/// Expects `n` draws with probability p to give a count within four standard errors.
void expect_share(std::int64_t count, std::int64_t n, double p, std::string_view what) {
  const double mean = static_cast<double>(n) * p;
  EXPECT_NEAR(static_cast<double>(count), mean, 4 * std::sqrt(mean * (1 - p))) << what << ", seed " << kSeed;
}

TEST(Masking, SharesAreThoseOfTheBinomialLaw) {
  constexpr std::int64_t kTokens = 1'000'000;
  constexpr int kWords = 35;
  const Tokenizer tokenizer = numbered_tokenizer(kWords);
  const Masking masking(tokenizer, 0.15, kSeed, "shares");
  std::int64_t chosen = 0, both = 0, hidden = 0, same = 0;
  std::map<std::int32_t, std::int64_t> replaced;
  bool before = false;
  for (std::int64_t place = 0; place < kTokens; ++place) {
    const std::int32_t id = 5 + static_cast<std::int32_t>(place % kWords);
    const MaskedToken seen = masking(place, id);
    if (!seen.chosen) {
      EXPECT_EQ(seen.id, id);
    }
    chosen += seen.chosen;
    both += seen.chosen && before;
    before = seen.chosen;
    if (!seen.chosen) continue;
    if (seen.id == id)
      ++same;
    else if (seen.id == tokenizer.mask_id())
      ++hidden;
    else
      ++replaced[seen.id];
  }
  // A random token is the true one, or [MASK], as often as it is any other of the V tokens.
  const double one = 0.1 / static_cast<double>(tokenizer.vocab_size());
  expect_share(chosen, kTokens, 0.15, "chosen");
  expect_share(both, kTokens, 0.15 * 0.15, "neighbours chosen");
  expect_share(hidden, chosen, 0.8 + one, "[MASK]");
  expect_share(same, chosen, 0.1 + one, "unchanged");
  for (std::int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    if (id == tokenizer.mask_id()) continue;
    const double truth = id < 5 ? 0 : 1.0 / kWords;  // share of tokens whose true id is `id`
    expect_share(replaced[id], chosen, one * (1 - truth), fmt::format("replaced by token {}", id));
  }
  EXPECT_EQ(replaced.rbegin()->first, tokenizer.vocab_size() - 1);
}

TEST(Masking, NeverSpecialTokens) {
  const Tokenizer tokenizer = word_tokenizer();
  const Masking masking(tokenizer, 1, kSeed, "specials");
  for (std::int64_t place = 0; place < 1000; ++place) {
    for (const std::int32_t id : {tokenizer.cls_id(), tokenizer.sep_id(), tokenizer.pad_id(), tokenizer.unk_id(), tokenizer.mask_id()}) {
      const MaskedToken seen = masking(place, id);
      EXPECT_FALSE(seen.chosen);
      EXPECT_EQ(seen.id, id);
    }
    EXPECT_TRUE(masking(place, 6).chosen);
  }
}

TEST(Masking, DependsOnSeedAndStream) {
  const Tokenizer tokenizer = word_tokenizer();
  const auto pattern = [&](std::uint64_t seed, std::string_view stream) {
    const Masking masking(tokenizer, 0.5, seed, stream);
    std::vector<bool> chosen;
    for (std::int64_t place = 0; place < 64; ++place) chosen.push_back(masking(place, 6).chosen);
    return chosen;
  };
  EXPECT_EQ(pattern(1, "train/0/1"), pattern(1, "train/0/1"));
  EXPECT_NE(pattern(1, "train/0/1"), pattern(1, "train/0/2"));
  EXPECT_NE(pattern(1, "train/0/1"), pattern(2, "train/0/1"));
}

std::vector<Row> lines(std::initializer_list<std::string_view> texts) {
  std::vector<Row> rows;
  for (const std::string_view text : texts) rows.push_back(make_row(std::string(text)));
  return rows;
}

std::vector<Row> numbered_lines(int count, int words) {
  std::vector<Row> rows;
  for (int i = 0; i < count; ++i) rows.push_back(make_row(fmt::format("w{} w{}", i % words, i / words)));
  return rows;
}

TEST(MlmCorpus, PairsAreSinglesOrJoined) {
  const Tokenizer tokenizer = word_tokenizer();
  const std::vector<Row> rows = {make_row("a b", "c"), make_row("d", "e")};
  const MlmTexts texts[] = {{.name = "same.train", .rows = rows, .pairs = true}};
  const MlmCorpus single = read_mlm_corpus(tokenizer, texts, {.seed = kSeed});
  EXPECT_EQ(single.train.ids, (std::vector<std::int32_t>{2, 5, 6, 3, 2, 7, 3, 2, 8, 3, 2, 9, 3}));
  EXPECT_EQ(single.train.rows(), 4);
  const MlmCorpus joined = read_mlm_corpus(tokenizer, texts, {.joined = true, .seed = kSeed});
  EXPECT_EQ(joined.train.ids, (std::vector<std::int32_t>{2, 5, 6, 3, 7, 3, 2, 8, 3, 9, 3}));
  EXPECT_EQ(joined.train.first_segments, (std::vector<std::int32_t>{4, 3}));
  EXPECT_EQ(joined.sources[0].read, 2);
}

TEST(MlmCorpus, EmptyTextsAreLeftOut) {
  const Tokenizer tokenizer = word_tokenizer();
  const std::vector<Row> rows = lines({"a", "", "  ", "b c", "[SEP]"}), none = lines({"", " "});
  const MlmCorpus corpus = read_mlm_corpus(tokenizer, std::array{MlmTexts{.name = "x.txt", .rows = rows}}, {.seed = kSeed});
  EXPECT_EQ(corpus.sources[0].read, 5);
  EXPECT_EQ(corpus.sources[0].empty, 3);
  EXPECT_EQ(corpus.train.rows(), 2);
  expect_error(ErrorTag::kData, {"y.txt", "none"},
               [&] { read_mlm_corpus(tokenizer, std::array{MlmTexts{.name = "y.txt", .rows = none}}, {}); });
}

TEST(MlmCorpus, HeldOutRowsAreDrawnBySeedAndNotTrainedOn) {
  constexpr int kWords = 40;
  const Tokenizer tokenizer = numbered_tokenizer(kWords);
  const std::vector<Row> rows = numbered_lines(400, kWords), more = numbered_lines(200, kWords), probe = lines({"w1 w0", "w3"});
  const std::vector<MlmTexts> texts = {
      {.name = "a", .rows = rows}, {.name = "b", .rows = more}, {.name = "c", .rows = probe, .probe = true}};
  const MlmCorpus corpus = read_mlm_corpus(tokenizer, texts, {.held_out = 0.1, .seed = kSeed});
  ASSERT_EQ(corpus.sources.size(), 3u);
  EXPECT_EQ(corpus.sources[0].set_aside, 40);
  EXPECT_EQ(corpus.sources[1].set_aside, 20);
  EXPECT_EQ(corpus.sources[2].set_aside, 2);
  EXPECT_EQ(corpus.sources[2].begin, corpus.sources[2].end);
  // The second corpus repeats half of the first one.
  std::int64_t used = 0;
  for (const MlmSource& source : corpus.sources) {
    EXPECT_EQ(source.read, source.empty + source.set_aside + source.repeated + source.end - source.begin) << source.name;
    used += source.end - source.begin;
  }
  EXPECT_EQ(used, corpus.train.rows());
  EXPECT_GT(corpus.sources[0].repeated, 0);
  EXPECT_GT(corpus.sources[1].repeated, 0);
  const auto sequences = [](const TokenizedRows& all) {
    std::vector<std::vector<std::int32_t>> list;
    for (std::size_t s = 0; s + 1 < all.offsets.size(); ++s)
      list.emplace_back(all.ids.begin() + all.offsets[s], all.ids.begin() + all.offsets[s + 1]);
    return list;
  };
  const auto trained = sequences(corpus.train);
  for (std::size_t i = 0; i < 2; ++i)
    for (const auto& held : sequences(corpus.sources[i].held_out)) EXPECT_EQ(std::ranges::count(trained, held), 0);
  for (const auto& measured : sequences(corpus.sources[2].held_out)) EXPECT_LE(std::ranges::count(trained, measured), 2);

  EXPECT_EQ(read_mlm_corpus(tokenizer, texts, {.held_out = 0.1, .seed = kSeed}).train.ids, corpus.train.ids);
  EXPECT_NE(read_mlm_corpus(tokenizer, texts, {.held_out = 0.1, .seed = kSeed + 1}).train.ids, corpus.train.ids);
  const MlmCorpus all = read_mlm_corpus(tokenizer, texts, {.seed = kSeed});
  EXPECT_EQ(all.train.rows(), 600);
  EXPECT_EQ(all.sources[0].held_out.rows(), 0);
}

TEST(MlmCorpus, ProbesAreTrainedOnWhereACorpusHasThem) {
  const Tokenizer tokenizer = word_tokenizer();
  const std::vector<Row> rows = lines({"a b", "c d", "e"}), probe = lines({"c d"});
  const std::vector<MlmTexts> texts = {{.name = "a", .rows = rows}, {.name = "b", .rows = probe, .probe = true}};
  const MlmCorpus corpus = read_mlm_corpus(tokenizer, texts, {.seed = kSeed});
  EXPECT_EQ(corpus.sources[0].repeated, 0);
  EXPECT_EQ(corpus.train.sequences(), 3);
}

TEST(MlmCorpus, AnyShareHoldsOutOneRow) {
  const Tokenizer tokenizer = numbered_tokenizer(10);
  const std::vector<Row> rows = numbered_lines(10, 10);
  const MlmCorpus corpus = read_mlm_corpus(tokenizer, std::array{MlmTexts{.name = "a", .rows = rows}}, {.held_out = 0.01, .seed = kSeed});
  EXPECT_EQ(corpus.sources[0].set_aside, 1);
  EXPECT_EQ(corpus.train.rows(), 9);
}

TEST(MaskedBatch, IsTheMaskingOfItsRows) {
  constexpr int kWords = 40;
  const Tokenizer tokenizer = numbered_tokenizer(kWords);
  const std::vector<Row> rows = numbered_lines(50, kWords);
  const TokenizedRows tokens = tokenize_rows(tokenizer, TaskSpec{}, rows, 0);
  const Masking masking(tokenizer, 0.4, kSeed, "batch");
  const auto seen_of = [&](std::span<const std::uint32_t> which) {
    MaskedBatch batch;
    batch.fill(tokens, which, masking);
    EXPECT_EQ(batch.chosen().size(), batch.labels().size());
    EXPECT_EQ(std::ssize(batch.labels()), count_chosen(tokens, which, masking));
    for (std::size_t i = 0; i < batch.chosen().size(); ++i) EXPECT_GE(batch.labels()[i], 5);
    std::vector<std::pair<std::int32_t, bool>> seen;
    for (const std::int32_t id : batch.tokens().ids) seen.emplace_back(id, false);
    for (const std::int32_t at : batch.chosen()) seen[static_cast<std::size_t>(at)].second = true;
    return seen;
  };
  const std::vector<std::uint32_t> one = {17}, several = {3, 17, 20};
  const auto alone = seen_of(one), among = seen_of(several);
  EXPECT_EQ(std::vector(among.begin() + 4, among.begin() + 8), alone);
  EXPECT_GT(count_chosen(tokens, several, masking), 0);
}

class MlmScoreTest : public ::testing::Test {
 protected:
  MlmScoreTest() {
    ModelShape shape = tiny_shape();
    shape.mlm = MlmHeadKind::kTied;
    params = std::make_unique<Params>(tiny_params(*backend, shape));
    model = std::make_unique<MultitaskModel>(*backend, *params);
    Rng rng(kSeed, "texts");
    std::vector<Row> rows;
    for (int i = 0; i < 300; ++i) {
      std::string text;
      for (std::uint64_t words = 1 + rng.below(6); words > 0; --words) text += fmt::format("{} ", static_cast<char>('a' + rng.below(6)));
      rows.push_back(make_row(text));
    }
    tokens = tokenize_rows(tokenizer, TaskSpec{}, rows, 0);
  }

  const ThreadGuard thread_guard;
  const Tokenizer tokenizer = word_tokenizer();
  std::unique_ptr<Backend> backend = make_backend("cpu");
  std::unique_ptr<Params> params;
  std::unique_ptr<MultitaskModel> model;
  TokenizedRows tokens;
};

TEST_F(MlmScoreTest, IsTheMeanOverHiddenTokensWhateverTheBatches) {
  const Masking masking(tokenizer, 0.3, kSeed, "score");
  set_num_threads(1);
  BatchRunner runner(*model);
  const MlmScore score = score_mlm(runner, tokens, masking);
  set_num_threads(2);
  BatchRunner two(*model);
  const MlmScore same = score_mlm(two, tokens, masking);
  EXPECT_EQ(same.loss, score.loss);
  EXPECT_EQ(same.accuracy, score.accuracy);

  double loss = 0;
  std::int64_t count = 0, correct = 0;
  for (std::uint32_t row = 0; row < static_cast<std::uint32_t>(tokens.rows()); ++row) {
    MaskedBatch batch;
    batch.fill(tokens, std::span(&row, 1), masking);
    if (batch.labels().empty()) continue;
    Arena arena(*backend);
    const Tensor logits = model->mlm_forward(arena, nullptr, batch.tokens(), batch.chosen(), {});
    for (std::size_t i = 0; i < batch.labels().size(); ++i) {
      const auto values =
          logits.span<const float>().subspan(i * static_cast<std::size_t>(logits.cols()), static_cast<std::size_t>(logits.cols()));
      double sum = 0;
      for (const float x : values) sum += std::exp(static_cast<double>(x));
      const auto label = static_cast<std::size_t>(batch.labels()[i]);
      loss += std::log(sum) - static_cast<double>(values[label]);
      correct += std::ranges::max(values) == values[label];
      ++count;
    }
  }
  EXPECT_EQ(score.tokens, count);
  EXPECT_NEAR(score.loss, loss / static_cast<double>(count), 1e-5 * score.loss);
  EXPECT_DOUBLE_EQ(score.accuracy, static_cast<double>(correct) / static_cast<double>(count));
  EXPECT_DOUBLE_EQ(score.perplexity(), std::exp(score.loss));
}

TEST_F(MlmScoreTest, WithoutAHiddenTokenThereIsNone) {
  BatchRunner runner(*model);
  EXPECT_EQ(score_mlm(runner, tokens, Masking(tokenizer, 1e-12, kSeed, "score")).tokens, 0);
}

}  // namespace
}  // namespace minbert
