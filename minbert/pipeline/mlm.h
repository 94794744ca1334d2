// Masked-LM training (paper 3.4): turns texts into sequences, hides some of their tokens, and scores how well a model finds them.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/pipeline/batch_runner.h"

namespace minbert {

/// The texts of one source.
struct MlmTexts {
  std::string name;  ///< "sst.train", or a file's name
  std::span<const Row> rows;
  bool pairs = false;  ///< rows have two texts
  bool probe = false;  ///< only measured, never trained on
};

/// How texts become sequences.
struct MlmReading {
  bool joined = false;     ///< [CLS] a [SEP] b [SEP]; else each text of a pair on its own
  double held_out = 0;     ///< share of each source's rows to measure on
  std::uint64_t seed = 0;  ///< draws the held-out rows
  std::int64_t max_length = 0;
};

/// What became of a source. Texts are counted as sequences, so a joined pair is one text.
struct MlmSource {
  std::string name;
  bool probe = false;
  std::int64_t read = 0;            ///< texts found: trained on + empty + set_aside + repeated
  std::int64_t empty = 0;           ///< texts without a word piece, left out
  std::int64_t set_aside = 0;       ///< texts in held_out
  std::int64_t repeated = 0;        ///< texts that some source holds out, left out of training
  std::int64_t truncated = 0;       ///< rows that max_length cut
  std::int64_t begin = 0, end = 0;  ///< its sequences in MlmCorpus::train; a probe has none
  TokenizedRows held_out;           ///< sequences to measure on; all of a probe
};

/// The texts of one stage. Its TokenizedRows have one sequence a row.
struct MlmCorpus {
  TokenizedRows train;  ///< one source after the other
  std::vector<MlmSource> sources;
};

/// Tokenises on all threads. Which rows a source holds out depends on its name, its number of rows and the seed. Throws Error(kData) if a
/// source has no text, or if nothing is left to train on.
MlmCorpus read_mlm_corpus(const Tokenizer& tokenizer, std::span<const MlmTexts> texts, const MlmReading& reading);

/// What a model sees in place of a token.
struct MaskedToken {
  std::int32_t id = 0;
  bool chosen = false;  ///< the model must predict the token
};

/// Hides tokens in one pass over a corpus as BERT does (Devlin et al. 2019, 3.1; transformers' DataCollatorForLanguageModeling). Every
/// token that is not special is chosen with the same probability; 80% of the chosen ones become [MASK], 10% a random token of the
/// vocabulary, and 10% stay. The choice is a pure function of seed, stream and the token's place in the corpus.
class Masking {
 public:
  /// `stream` names the pass; the tokenizer must outlive this object.
  Masking(const Tokenizer& tokenizer, double probability, std::uint64_t seed, std::string_view stream);

  /// Decides about the token `id` at index `place` of TokenizedRows::ids.
  MaskedToken operator()(std::int64_t place, std::int32_t id) const;

 private:
  const Tokenizer& tokenizer_;
  double probability_;
  Rng rng_;
};

/// The ids of a row as the model sees them, appended to `ids`.
void append_masked(std::vector<std::int32_t>& ids, const TokenizedRows& rows, std::uint32_t row, const Masking& masking);

/// A Batch with some tokens hidden; owns its memory and is reused from step to step.
class MaskedBatch {
 public:
  /// Overwrites the batch with the rows `which`, numbered from `first_row` as in Batch::fill, and hides tokens as `masking` says.
  void fill(const TokenizedRows& rows, std::span<const std::uint32_t> which, const Masking& masking, std::uint32_t first_row = 0);

  TokenBatch tokens() const;
  /// Indices in the batch of the tokens to predict, ascending, and their true ids. May be empty.
  std::span<const std::int32_t> chosen() const { return chosen_; }
  std::span<const std::int32_t> labels() const { return labels_; }

 private:
  Batch batch_;
  std::vector<std::int32_t> ids_, chosen_, labels_;
};

/// Counts the tokens of the rows `which` that `masking` chooses.
std::int64_t count_chosen(const TokenizedRows& rows, std::span<const std::uint32_t> which, const Masking& masking);

/// How well a model finds hidden tokens.
struct MlmScore {
  std::int64_t tokens = 0;  ///< chosen tokens; if 0, so is the rest
  double loss = 0;          ///< mean cross-entropy (paper eq. 8)
  double accuracy = 0;      ///< share of tokens whose logit is the highest

  double perplexity() const;
};

/// Scores all rows, or those of the share, with dropout off.
MlmScore score_mlm(BatchRunner& runner, const TokenizedRows& rows, const Masking& masking, const RowProgress& progress = {},
                   BatchShare share = {});

}  // namespace minbert
