// Text to token ids, exactly as Hugging Face's fast BERT tokenizer, and the files that describe one.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minbert/tokenizer/normalizer.h"
#include "minbert/tokenizer/trie.h"

namespace minbert {

/// A token that is searched for in the text before it is split into words.
struct AddedToken {
  std::string content;
  std::int32_t id = -1;  ///< its id in the vocabulary; tokens that the vocabulary lacks get the next ids, in order
  bool special = true;
  bool normalized = false;              ///< searched for in normalised text, not in raw text
  bool lstrip = false, rstrip = false;  ///< it takes white space beside it along; no id depends on it
};

/// transformers' BertTokenizer settings and their defaults.
struct TokenizerOptions {
  bool lowercase = true;
  std::optional<bool> strip_accents = {};  ///< absent: as lowercase
  bool handle_chinese_chars = true;
  bool clean_text = true;
  std::string unk = "[UNK]", cls = "[CLS]", sep = "[SEP]", pad = "[PAD]", mask = "[MASK]";
  std::string continuing_prefix = "##";
  std::int64_t max_word_chars = 100;           ///< a longer word is unknown
  std::int64_t max_length = 512;               ///< written to tokenizer_config.json as model_max_length; encode() does not apply it
  std::vector<AddedToken> added = {};          ///< beyond the five above; one of the five too if it is not special or is normalised
  std::vector<std::string> more_special = {};  ///< special tokens that come last, such as transformers' additional_special_tokens

  NormalizerOptions normalizer() const;
};

/// Where a text that is too long loses tokens.
enum class CutSide : std::uint8_t { kEnd, kStart };

struct Encoding {
  std::vector<std::int32_t> ids;
  std::vector<std::int32_t> type_ids;
  /// [start, end) in code points of the raw text; [0, 0] for special tokens that encode() adds. Empty unless requested.
  std::vector<std::array<std::int32_t, 2>> offsets;
  std::int64_t cut = 0;  ///< tokens that max_length took away
};

/// Immutable once made: every const function may be called from any thread.
class Tokenizer {
 public:
  /// Token i of `vocabulary` has id i, an empty one is none, and of two equal ones the later holds, as in transformers. [SEP], [PAD], [CLS]
  /// and [MASK] follow the vocabulary and the added tokens if these lack them. Throws Error(kModel) naming `place`: no unknown token,
  /// invalid UTF-8.
  explicit Tokenizer(std::vector<std::string> vocabulary, TokenizerOptions options = {}, const std::string& place = "vocabulary");

  /// From tokenizer.json if present, else tokenizer_config.json and the settings of sentence-transformers with vocab.txt; BertTokenizer's
  /// defaults for what is missing. Throws Error(kModel) for missing, broken or unsupported files.
  static Tokenizer load(const std::filesystem::path& folder);
  /// Writes vocab.txt, tokenizer.json, tokenizer_config.json and special_tokens_map.json, which transformers loads with equal behaviour.
  /// A `max_length` above 0 is written in place of the option.
  void save(const std::filesystem::path& folder, std::int64_t max_length = 0) const;

  /// [CLS] text [SEP]. `max_length` counts the special tokens; 0 = no limit. Throws Error(kUsage) when it is too small for the special
  /// tokens. Invalid UTF-8 counts as one U+FFFD per maximal invalid part.
  Encoding encode(std::string_view text, std::int64_t max_length = 0, bool with_offsets = false, CutSide side = CutSide::kEnd) const;
  /// [CLS] a [SEP] b [SEP] with type ids 0 and 1; longest-first truncation as in tokenizers (utils/truncation.rs).
  Encoding encode_pair(std::string_view a, std::string_view b, std::int64_t max_length = 0, bool with_offsets = false,
                       CutSide side = CutSide::kEnd) const;

  /// From now on encode() throws Error(kModel) naming `place` for a token with an id of `count` or more: a model may have fewer vectors
  /// than the vocabulary has tokens.
  void limit_ids(std::int64_t count, std::string place);
  /// The number of ids that encode() may give.
  std::int64_t usable_ids() const { return std::min(limit_, vocab_size()); }
  /// What people are told of tokens beyond the limit; empty without any.
  std::string limit_text() const;

  /// Empty for an id that no token has.
  const std::string& token(std::int32_t id) const;
  std::int64_t vocab_size() const { return static_cast<std::int64_t>(vocabulary_.size()); }
  std::int32_t unk_id() const { return unk_; }
  std::int32_t cls_id() const { return cls_; }
  std::int32_t sep_id() const { return sep_; }
  std::int32_t pad_id() const { return pad_; }
  std::int32_t mask_id() const { return mask_; }
  bool is_special(std::int32_t id) const { return special_[static_cast<std::size_t>(id)]; }
  const TokenizerOptions& options() const { return options_; }
  /// Warnings about settings on which the files that load() read disagree, one line for each pair of files.
  const std::vector<std::string>& warnings() const { return warnings_; }
  /// All added tokens with their ids, in the order of ids.
  const std::vector<std::pair<AddedToken, std::int32_t>>& added_tokens() const { return added_; }

 private:
  /// The form of an added token that is searched for.
  struct Pattern {
    std::string text;
    std::int32_t id;
  };

  std::array<std::pair<const std::string*, std::int32_t*>, 5> named_specials();
  void expect_usable(std::span<const std::int32_t> ids) const;
  void resolve_added(const std::string& place);
  std::string normalized_pattern(std::string_view text) const;
  void build_trie(const std::string& place);
  static const Pattern* find_prefix(const std::vector<Pattern>& patterns, std::string_view text);
  template <bool kOffsets>
  void tokenize(std::string_view raw, Encoding& out) const;
  void tokenize(std::string_view text, Encoding& out, bool with_offsets) const;
  template <bool kOffsets>
  void match_segment(NormalizedText& text, Encoding& out) const;
  template <bool kOffsets>
  void match_words(NormalizedText& text, char* begin, char* end, Encoding& out) const;
  template <bool kOffsets>
  void match_pieces(NormalizedText& text, const char* word, const char* word_end, Encoding& out) const;
  void close(Encoding& out, std::int32_t type_id, bool with_offsets) const;

  TokenizerOptions options_;
  std::vector<std::string> warnings_;
  std::vector<std::string> vocabulary_;  // the model's tokens, then the added tokens that it lacks
  std::size_t model_size_ = 0;           // number of the model's tokens
  std::int64_t limit_ = INT64_MAX;       // of ids
  std::string limit_place_;
  std::vector<bool> special_;
  std::int32_t unk_ = 0, cls_ = 0, sep_ = 0, pad_ = 0, mask_ = 0;
  std::vector<std::pair<AddedToken, std::int32_t>> added_;
  std::vector<Pattern> raw_patterns_, normalized_patterns_;  // longest first
  Trie trie_;
  Trie::Node continuing_ = Trie::kNowhere;
  Normalizer normalizer_;
};

/// The file with sentence-transformers' settings of the encoder in this folder, sentence_bert_config.json or one of its older names; empty
/// if there is none.
std::filesystem::path find_sentence_settings(const std::filesystem::path& folder);

}  // namespace minbert
