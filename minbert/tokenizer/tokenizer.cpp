// Encoding: added tokens first, then normalised words, then the longest pieces of each word.
#include "minbert/tokenizer/tokenizer.h"

#include <algorithm>
#include <unordered_map>

#include "minbert/base/check.h"
#include "minbert/base/unicode.h"

namespace minbert {
namespace {

constexpr std::int64_t kSingleSpecials = 2, kPairSpecials = 3;

std::int32_t count_code_points(std::string_view valid) {
  return static_cast<std::int32_t>(std::count_if(valid.begin(), valid.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

/// How many tokens fit beside the special ones.
std::size_t room_for(std::int64_t max_length, std::int64_t specials) {
  if (max_length == 0) return SIZE_MAX / 2;
  if (max_length < specials)
    throw Error(ErrorTag::kUsage, "max_length", fmt::format("expected at least {} for the special tokens, got {}", specials, max_length));
  return static_cast<std::size_t>(max_length - specials);
}

/// How many tokens of each text stay. The longer text is cut first; when both are cut, an odd token goes to the longer one.
std::pair<std::size_t, std::size_t> longest_first(std::size_t a, std::size_t b, std::size_t room) {
  if (room >= a + b) return {a, b};
  const bool swapped = a > b;
  if (swapped) std::swap(a, b);
  b = a > room ? a : std::max(a, room - a);
  if (a + b > room) {
    a = room / 2;
    b = a + room % 2;
  }
  return swapped ? std::pair{b, a} : std::pair{a, b};
}

/// Keeps `room` of the tokens from index `first` on, with their offsets if there are any.
void cut(Encoding& encoding, std::size_t first, std::size_t room, CutSide side) {
  const std::size_t size = encoding.ids.size() - first;
  if (size <= room) return;
  encoding.cut += static_cast<std::int64_t>(size - room);
  const auto erase = [&](auto& values) {
    if (values.empty()) return;
    const auto begin = values.begin() + static_cast<std::ptrdiff_t>(first);
    if (side == CutSide::kStart)
      values.erase(begin, begin + static_cast<std::ptrdiff_t>(size - room));
    else
      values.erase(begin + static_cast<std::ptrdiff_t>(room), values.end());
  };
  erase(encoding.ids);
  erase(encoding.offsets);
}

}  // namespace

NormalizerOptions TokenizerOptions::normalizer() const {
  return {.clean_text = clean_text,
          .handle_chinese_chars = handle_chinese_chars,
          .strip_accents = strip_accents.value_or(lowercase),
          .lowercase = lowercase};
}

Tokenizer::Tokenizer(std::vector<std::string> vocabulary, TokenizerOptions options, const std::string& place)
    : options_(std::move(options)),
      vocabulary_(std::move(vocabulary)),
      model_size_(vocabulary_.size()),
      normalizer_(options_.normalizer()) {
  if (options_.max_word_chars < 1)
    throw Error(ErrorTag::kModel, place, fmt::format("characters of a word: expected 1 or more, got {}", options_.max_word_chars));
  resolve_added(place);
  build_trie(place);
}

std::array<std::pair<const std::string*, std::int32_t*>, 5> Tokenizer::named_specials() {
  // transformers adds those that a vocabulary lacks in this order (tokenization_utils_base.py, SPECIAL_TOKENS_ATTRIBUTES).
  return {{{&options_.unk, &unk_}, {&options_.sep, &sep_}, {&options_.pad, &pad_}, {&options_.cls, &cls_}, {&options_.mask, &mask_}}};
}

void Tokenizer::resolve_added(const std::string& place) {
  // The map's keys stay where they are.
  vocabulary_.reserve(vocabulary_.size() + options_.added.size() + named_specials().size() + options_.more_special.size());
  std::unordered_map<std::string_view, std::int32_t> ids;
  for (std::size_t i = vocabulary_.size(); i-- > 0;) {  // of two equal tokens the later one holds
    std::string& token = vocabulary_[i];
    if (find_invalid_utf8(token) != std::string::npos) throw Error(ErrorTag::kModel, place, fmt::format("token {} is not valid UTF-8", i));
    if (!token.empty() && !ids.emplace(token, static_cast<std::int32_t>(i)).second) token.clear();
  }
  std::vector<AddedToken> all = options_.added;
  const auto add = [&](const AddedToken& added) {
    if (added.content.empty() || find_invalid_utf8(added.content) != std::string::npos)
      throw Error(ErrorTag::kModel, place, "an added token is empty or not valid UTF-8");
    if (const auto id = static_cast<std::int32_t>(vocabulary_.size()); !ids.contains(added.content))
      ids.emplace(vocabulary_.emplace_back(added.content), id);
  };
  const auto add_special = [&](const std::string& name) {
    if (std::ranges::find(all, name, &AddedToken::content) != all.end()) return;
    add(all.emplace_back(AddedToken{.content = name}));
  };
  if (!ids.contains(options_.unk))
    throw Error(ErrorTag::kModel, place, fmt::format("the special token \"{}\" is not in the vocabulary", options_.unk));
  for (const AddedToken& added : all) add(added);
  for (const auto& [name, id] : named_specials()) {
    add_special(*name);
    *id = ids.at(*name);
  }
  for (const std::string& name : options_.more_special) add_special(name);
  special_.resize(vocabulary_.size(), false);
  for (const AddedToken& added : all) {
    const std::int32_t id = ids[added.content];
    if (added.special) special_[static_cast<std::size_t>(id)] = true;
    added_.emplace_back(added, id);
    (added.normalized ? normalized_patterns_ : raw_patterns_).push_back({added.content, id});
  }
  std::sort(added_.begin(), added_.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  for (const Pattern& pattern : raw_patterns_) normalizer_.stop_at(pattern.text[0]);
  for (Pattern& pattern : normalized_patterns_) pattern.text = normalized_pattern(pattern.text);
  std::erase_if(normalized_patterns_, [](const Pattern& pattern) { return pattern.text.empty(); });
  for (auto* patterns : {&raw_patterns_, &normalized_patterns_})
    std::stable_sort(patterns->begin(), patterns->end(), [](const Pattern& a, const Pattern& b) { return a.text.size() > b.text.size(); });
}

/// The normalised form of `text`, without breaks at its ends: inside a longer text they may be absent.
std::string Tokenizer::normalized_pattern(std::string_view text) const {
  NormalizedText normalized(text, false);
  while (!normalized.rest().empty()) normalizer_.step<false>(normalized);
  normalizer_.finish<false>(normalized);
  std::string_view pattern(normalized.begin(), normalized.end());
  while (pattern.starts_with(kBreak)) pattern.remove_prefix(1);
  while (pattern.ends_with(kBreak)) pattern.remove_suffix(1);
  return std::string(pattern);
}

void Tokenizer::build_trie(const std::string& place) {
  Trie::Entries entries;
  // No word holds a token with a space, or one longer than the longest word that is looked up. Added tokens are no pieces of words.
  const std::int64_t prefix_chars = count_code_points(options_.continuing_prefix);
  for (std::size_t i = 0; i < model_size_; ++i) {
    const std::string& token = vocabulary_[i];
    if (!token.empty() && token.find(kSpace) == std::string::npos && count_code_points(token) - prefix_chars <= options_.max_word_chars)
      entries.emplace_back(token, static_cast<std::int32_t>(i));
  }
  trie_ = Trie(std::move(entries), place);
  continuing_ = trie_.descend(options_.continuing_prefix);
}

const Tokenizer::Pattern* Tokenizer::find_prefix(const std::vector<Pattern>& patterns, std::string_view text) {
  const auto at = std::find_if(patterns.begin(), patterns.end(), [&](const Pattern& pattern) { return text.starts_with(pattern.text); });
  return at == patterns.end() ? nullptr : &*at;
}

template <bool kOffsets>
void Tokenizer::tokenize(std::string_view raw, Encoding& out) const {
  out.ids.reserve(raw.size() / 3 + 4);
  NormalizedText text(raw, kOffsets);
  for (;;) {
    normalizer_.advance<kOffsets>(text);
    const bool at_end = text.rest().empty();
    const Pattern* const added = at_end ? nullptr : find_prefix(raw_patterns_, text.rest());
    if (!at_end && added == nullptr) {
      normalizer_.step<kOffsets>(text);
      continue;
    }
    normalizer_.finish<kOffsets>(text);
    match_segment<kOffsets>(text, out);
    if (at_end) return;
    const std::int32_t start = text.code_points(), length = count_code_points(added->text);
    out.ids.push_back(added->id);
    if constexpr (kOffsets) out.offsets.push_back({start, start + length});
    text.skip(added->text.size(), length);
    text.clear();
  }
}

/// Finds added tokens in normalised text; what lies between them is words.
template <bool kOffsets>
void Tokenizer::match_segment(NormalizedText& text, Encoding& out) const {
  char* from = text.begin();
  if (!normalized_patterns_.empty()) {
    for (char* at = from; at < text.end();) {
      const Pattern* const added = find_prefix(normalized_patterns_, std::string_view(at, text.end()));
      if (added == nullptr) {
        ++at;
        continue;
      }
      match_words<kOffsets>(text, from, at, out);
      from = at + added->text.size();
      out.ids.push_back(added->id);
      if constexpr (kOffsets) out.offsets.push_back({text.source(at), text.source(from - 1) + 1});
      at = from;
    }
  }
  match_words<kOffsets>(text, from, text.end(), out);
}

template <bool kOffsets>
void Tokenizer::match_words(NormalizedText& text, char* begin, char* end, Encoding& out) const {
  const char after = std::exchange(*end, kSpace);  // stops every walk
  for (const char* word = begin;;) {
    while (word < end && is_break(*word)) ++word;
    if (word == end) break;
    const auto [id, piece_end] = trie_.longest(trie_.root(), word);
    if (is_break(*piece_end) && piece_end - word <= options_.max_word_chars) {  // most words are one token
      out.ids.push_back(id);
      if constexpr (kOffsets) out.offsets.push_back({text.source(word), text.source(piece_end - 1) + 1});
      word = piece_end;
    } else {
      const char* const word_end = std::find_if(piece_end, static_cast<const char*>(end), is_break);
      match_pieces<kOffsets>(text, word, word_end, out);
      word = word_end;
    }
  }
  *end = after;
}

/// Splits a word into the longest pieces possible, or makes it one unknown token when a part of it matches no piece.
template <bool kOffsets>
void Tokenizer::match_pieces(NormalizedText& text, const char* word, const char* word_end, Encoding& out) const {
  const std::size_t first = out.ids.size();
  const bool too_long = word_end - word > options_.max_word_chars && count_code_points({word, word_end}) > options_.max_word_chars;
  Trie::Node node = trie_.root();
  for (const char* piece = word; piece < word_end;) {
    const auto [id, end] = too_long ? Trie::Match{.id = -1, .end = piece} : trie_.longest(node, piece);
    if (id < 0) {
      out.ids.resize(first);
      out.ids.push_back(unk_);
      if constexpr (kOffsets) {
        out.offsets.resize(first);
        out.offsets.push_back({text.source(word), text.source(word_end - 1) + 1});
      }
      return;
    }
    out.ids.push_back(id);
    if constexpr (kOffsets) out.offsets.push_back({text.source(piece), text.source(end - 1) + 1});
    piece = end;
    node = continuing_;
  }
}

void Tokenizer::limit_ids(std::int64_t count, std::string place) {
  limit_ = count;
  limit_place_ = std::move(place);
}

std::string Tokenizer::limit_text() const {
  const auto beyond = std::find_if(vocabulary_.begin() + usable_ids(), vocabulary_.end(), [](const auto& token) { return !token.empty(); });
  if (beyond == vocabulary_.end()) return {};
  return fmt::format(
      "{}: the tokenizer has more tokens than the {} of config.json; a text with one of the others, such as \"{}\", is refused",
      limit_place_, limit_, *beyond);
}

void Tokenizer::expect_usable(std::span<const std::int32_t> ids) const {
  if (limit_ >= vocab_size()) return;
  const auto beyond = std::ranges::find_if(ids, [&](std::int32_t id) { return id >= limit_; });
  if (beyond != ids.end())
    throw Error(ErrorTag::kModel, limit_place_,
                fmt::format("expected tokens below {}, as config.json says, got \"{}\" with the id {}", limit_, token(*beyond), *beyond),
                "the tokenizer and the weights are of two models, or tokens were added without resizing the embeddings");
}

/// Appends the tokens of `text` to `out`.
void Tokenizer::tokenize(std::string_view text, Encoding& out, bool with_offsets) const {
  with_offsets ? tokenize<true>(text, out) : tokenize<false>(text, out);
}

/// Ends `out` with [SEP].
void Tokenizer::close(Encoding& out, std::int32_t type_id, bool with_offsets) const {
  out.ids.push_back(sep_);
  out.type_ids.resize(out.ids.size(), type_id);
  if (with_offsets) out.offsets.push_back({0, 0});
}

Encoding Tokenizer::encode(std::string_view text, std::int64_t max_length, bool with_offsets, CutSide side) const {
  const std::size_t room = room_for(max_length, kSingleSpecials);
  Encoding out{.ids = {cls_}, .type_ids = {}, .offsets = {}};
  if (with_offsets) out.offsets.push_back({0, 0});
  tokenize(text, out, with_offsets);
  cut(out, 1, room, side);
  close(out, 0, with_offsets);
  expect_usable(out.ids);
  return out;
}

Encoding Tokenizer::encode_pair(std::string_view a, std::string_view b, std::int64_t max_length, bool with_offsets, CutSide side) const {
  const std::size_t room = room_for(max_length, kPairSpecials);
  Encoding out{.ids = {cls_}, .type_ids = {}, .offsets = {}}, second;
  if (with_offsets) out.offsets.push_back({0, 0});
  tokenize(a, out, with_offsets);
  tokenize(b, second, with_offsets);
  const auto [size_a, size_b] = longest_first(out.ids.size() - 1, second.ids.size(), room);
  cut(out, 1, size_a, side);
  cut(second, 0, size_b, side);
  close(out, 0, with_offsets);
  out.cut += second.cut;
  out.ids.insert(out.ids.end(), second.ids.begin(), second.ids.end());
  out.offsets.insert(out.offsets.end(), second.offsets.begin(), second.offsets.end());
  close(out, 1, with_offsets);
  expect_usable(out.ids);
  return out;
}

const std::string& Tokenizer::token(std::int32_t id) const {
  MINBERT_CHECK(id >= 0 && id < vocab_size(), "token {} of {}", id, vocab_size());
  return vocabulary_[static_cast<std::size_t>(id)];
}

}  // namespace minbert
