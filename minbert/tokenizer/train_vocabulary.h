// A WordPiece vocabulary from texts, for models trained from scratch.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/tokenizer/tokenizer.h"

namespace minbert {

/// The parameters of Hugging Face's BertWordPieceTokenizer.train.
struct VocabularyTraining {
  std::int64_t size = 30000;           ///< tokens, the special ones included; fewer when the texts hold no more
  std::int64_t min_frequency = 2;      ///< a pair that is rarer is not merged
  std::int64_t alphabet_limit = 1000;  ///< characters kept, most frequent first
};

/// Splits the texts into words by the normaliser of `options`, then merges the most frequent neighbours (ties: the smaller ids) until
/// the size is reached. Order: [PAD] [UNK] [CLS] [SEP] [MASK] by their names in `options`, characters, merges. The result depends on
/// the arguments only.
/// Throws Error(kUsage) when the size has no room for the special tokens and the characters.
std::vector<std::string> train_vocabulary(std::span<const std::string> texts, const VocabularyTraining& training = {},
                                          const TokenizerOptions& options = {});

}  // namespace minbert
