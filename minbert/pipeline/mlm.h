// Masked-LM training (paper 3.4): texts as sequences, the tokens that are hidden in them, and how well a model finds these.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/pipeline/batch_runner.h"

namespace minbert {

/// Where the texts of a source come from.
struct MlmTexts {
  std::string name;             ///< "sst.train", or a file's name
  std::span<const Row> rows;
  bool pairs = false;           ///< rows have two texts
  bool probe = false;           ///< measured, never trained on
};

/// How texts become sequences.
struct MlmReading {
  bool joined = false;    ///< [CLS] a [SEP] b [SEP]; else each text of a pair on its own
  double held_out = 0;    ///< share of each source's rows
  std::uint64_t seed = 0; ///< draws them
  std::int64_t max_length = 0;
};

/// What became of a source. A text is a sequence: of a joined pair there is one.
struct MlmSource {
  std::string name;
  bool probe = false;
  std::int64_t read = 0;       ///< texts found: the sum of the next three and those trained on
  std::int64_t empty = 0;      ///< texts without a word piece, left out
  std::int64_t set_aside = 0;  ///< texts in held_out
  std::int64_t repeated = 0;   ///< other texts that also stand in some source's held_out, left out
  std::int64_t truncated = 0;  ///< rows that max_length cut
  std::int64_t begin = 0, end = 0;  ///< its sequences in MlmCorpus::train; none of a probe
  TokenizedRows held_out;           ///< one sequence a row; of a probe all of it
};

/// The texts of one stage. One sequence a row throughout.
struct MlmCorpus {
  TokenizedRows train;  ///< of all sources, one after the other
  std::vector<MlmSource> sources;
};

/// Tokenises on all threads. The rows held out of a source depend on its name, its number of rows and the seed. Throws Error(kData) when
/// a source has no text, or nothing is left to train on.
MlmCorpus read_mlm_corpus(const Tokenizer& tokenizer, std::span<const MlmTexts> texts, const MlmReading& reading);

/// What a model sees in place of a token.
struct MaskedToken {
  std::int32_t id = 0;
  bool chosen = false;  ///< to be predicted
};

/// Which tokens of one pass over a corpus are hidden, as in BERT (Devlin et al. 2019, 3.1; transformers' DataCollatorForLanguageModeling):
/// each token but the special ones is chosen with the same probability; of those 80% become [MASK], 10% any token of the vocabulary, 10%
/// stay. A pure function of seed, stream and the token's place in the corpus.
class Masking {
 public:
  /// `stream` names the pass. The tokenizer must outlive this object.
  Masking(const Tokenizer& tokenizer, double probability, std::uint64_t seed, std::string_view stream);

  /// Token number `place` of all tokens of a TokenizedRows, which is `id`.
  MaskedToken operator()(std::int64_t place, std::int32_t id) const;

 private:
  const Tokenizer& tokenizer_;
  double probability_;
  Rng rng_;
};

/// A micro-batch with some tokens hidden, and the memory behind its views; reused from step to step.
class MaskedBatch {
 public:
  /// Overwrites the batch with these rows (Batch::fill with 0), hidden as `masking` says.
  void fill(const TokenizedRows& rows, std::span<const std::uint32_t> which, const Masking& masking);

  TokenBatch tokens() const;
  /// The tokens to be predicted: their indices in the batch, ascending, and what they are. May be none.
  std::span<const std::int32_t> chosen() const { return chosen_; }
  std::span<const std::int32_t> labels() const { return labels_; }

 private:
  Batch batch_;
  std::vector<std::int32_t> ids_, chosen_, labels_;
};

/// How many tokens of these rows `masking` chooses.
std::int64_t count_chosen(const TokenizedRows& rows, std::span<const std::uint32_t> which, const Masking& masking);

/// How well a model finds hidden tokens.
struct MlmScore {
  std::int64_t tokens = 0;  ///< chosen ones; without any the rest is 0
  double loss = 0;          ///< mean cross-entropy (paper eq. 8)
  double accuracy = 0;      ///< share of them with the highest score

  double perplexity() const;
};

/// Over all rows, with dropout off.
MlmScore score_mlm(BatchRunner& runner, const TokenizedRows& rows, const Masking& masking, const RowProgress& progress = {});

}  // namespace minbert
