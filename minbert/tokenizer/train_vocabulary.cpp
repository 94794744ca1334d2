// Byte-pair merges over counted words, with ## before every piece that does not begin its word.
#include "minbert/tokenizer/train_vocabulary.h"

#include <algorithm>
#include <map>
#include <optional>
#include <queue>
#include <set>
#include <unordered_map>
#include <utility>

#include "minbert/base/check.h"
#include "minbert/base/unicode.h"

namespace minbert {
namespace {

using WordCounts = std::map<std::string, std::int64_t>;  // sorted, so that nothing depends on a hash

WordCounts count_words(std::span<const std::string> texts, const Normalizer& normalizer) {
  std::unordered_map<std::string_view, std::int64_t> of_text;
  WordCounts counts;
  for (const std::string& text : texts) {
    NormalizedText normalized(text, false);
    normalizer.advance<false>(normalized);
    normalizer.finish<false>(normalized);
    of_text.clear();
    const char* const end = normalized.end();
    for (const char* word = normalized.begin(); word < end;) {
      const char* const word_end = std::find_if(word, end, is_break);
      if (word_end > word) ++of_text[{word, word_end}];
      word = std::find_if_not(word_end, end, is_break);
    }
    for (const auto& [word, count] : of_text) counts[std::string(word)] += count;
  }
  return counts;
}

/// The most frequent characters (ties: the smaller), in the order of code points.
std::vector<char32_t> find_alphabet(const WordCounts& words, std::int64_t limit) {
  std::map<char32_t, std::int64_t> counts;
  for (const auto& [word, count] : words)
    for (std::size_t at = 0; at < word.size();) counts[next_code_point(word, at)] += count;
  std::vector<std::pair<char32_t, std::int64_t>> ranked(counts.begin(), counts.end());
  std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  ranked.resize(std::min(ranked.size(), static_cast<std::size_t>(limit)));
  std::vector<char32_t> alphabet;
  for (const auto& [code_point, count] : ranked) alphabet.push_back(code_point);
  std::sort(alphabet.begin(), alphabet.end());
  return alphabet;
}

/// Keeps words as sequences of tokens and repeatedly merges the most frequent pair of neighbours into one token.
class Merger {
 public:
  Merger(std::vector<std::string> specials, std::string prefix) : prefix_(std::move(prefix)) {
    for (std::string& token : specials) add(std::move(token));
  }

  /// Splits the words into characters of the alphabet; others are left out, as tokenizers does.
  void take_words(const WordCounts& words, const std::vector<char32_t>& alphabet) {
    for (const char32_t letter : alphabet) add(utf8(letter));
    std::vector<std::u32string> letters;
    std::vector<bool> continues(alphabet.size(), false);
    for (const auto& [word, count] : words) {
      std::u32string& kept = letters.emplace_back();
      for (std::size_t at = 0; at < word.size();) {
        const char32_t letter = next_code_point(word, at);
        const auto place = std::lower_bound(alphabet.begin(), alphabet.end(), letter);
        if (place == alphabet.end() || *place != letter) continue;
        if (!kept.empty()) continues[static_cast<std::size_t>(place - alphabet.begin())] = true;
        kept += letter;
      }
    }
    for (std::size_t i = 0; i < alphabet.size(); ++i)
      if (continues[i]) add(prefix_ + utf8(alphabet[i]));
    auto word = letters.begin();
    for (const auto& [text, count] : words) {
      Word& pieces = words_.emplace_back(Word{{}, count});
      for (const char32_t letter : *word++) pieces.tokens.push_back(ids_.at(pieces.tokens.empty() ? utf8(letter) : prefix_ + utf8(letter)));
    }
  }

  void merge_until(std::size_t size, std::int64_t min_frequency) {
    for (std::size_t i = 0; i < words_.size(); ++i) count_pairs(i, +1);
    for (const auto& [pair, state] : pairs_) queue_.push({state.count, pair});
    while (tokens_.size() < size && !queue_.empty()) {
      const Candidate best = queue_.top();
      queue_.pop();
      const std::int64_t count = pairs_[best.pair].count;
      if (best.count != count) {  // other merges have changed the count since
        if (count > 0) queue_.push({count, best.pair});
        continue;
      }
      if (count < std::max<std::int64_t>(min_frequency, 1)) break;
      merge(best.pair);
    }
  }

  std::size_t size() const { return tokens_.size(); }
  std::vector<std::string> take() { return std::move(tokens_); }

 private:
  using Pair = std::pair<std::int32_t, std::int32_t>;
  struct Word {
    std::vector<std::int32_t> tokens;
    std::int64_t count;
  };
  struct PairState {
    std::int64_t count = 0;
    std::vector<std::size_t> words;  ///< where the pair was seen, in rising order; it may be gone from some
  };
  struct Candidate {
    std::int64_t count;
    Pair pair;
    /// The most frequent pair comes first; of equally frequent ones, the pair with the smaller ids.
    bool operator<(const Candidate& other) const { return count != other.count ? count < other.count : pair > other.pair; }
  };

  std::int32_t add(std::string token) {
    const auto [at, is_new] = ids_.emplace(token, static_cast<std::int32_t>(tokens_.size()));
    if (is_new) tokens_.push_back(std::move(token));
    return at->second;
  }

  /// Adds the word's pairs to their counts, `sign` times. Pairs that hold `newest` (all when there is none) record the word.
  void count_pairs(std::size_t index, std::int64_t sign, std::optional<std::int32_t> newest = {}) {
    const Word& word = words_[index];
    for (std::size_t i = 0; i + 1 < word.tokens.size(); ++i) {
      const auto [left, right] = Pair(word.tokens[i], word.tokens[i + 1]);
      PairState& state = pairs_[{left, right}];
      state.count += sign * word.count;
      const bool is_new = !newest || left == *newest || right == *newest;
      if (sign > 0 && is_new && (state.words.empty() || state.words.back() != index)) state.words.push_back(index);
    }
  }

  void merge(const Pair& pair) {
    const auto [left, right] = pair;
    const std::string_view tail = tokens_[static_cast<std::size_t>(right)];
    const std::int32_t merged = add(tokens_[static_cast<std::size_t>(left)] + std::string(tail.substr(prefix_.size())));
    const std::vector<std::size_t> places = std::exchange(pairs_[pair].words, {});
    for (const std::size_t index : places) {
      count_pairs(index, -1);
      std::vector<std::int32_t>& tokens = words_[index].tokens;
      std::size_t kept = 0;
      for (std::size_t i = 0; i < tokens.size(); ++kept) {
        const bool here = tokens[i] == left && i + 1 < tokens.size() && tokens[i + 1] == right;
        tokens[kept] = here ? merged : tokens[i];
        i += here ? 2 : 1;
      }
      tokens.resize(kept);
      count_pairs(index, +1, merged);
      for (std::size_t i = 0; i + 1 < tokens.size(); ++i)
        if (tokens[i] == merged || tokens[i + 1] == merged) renewed_.insert({tokens[i], tokens[i + 1]});
    }
    for (const Pair& renewed : renewed_) queue_.push({pairs_[renewed].count, renewed});
    renewed_.clear();
  }

  std::string prefix_;
  std::vector<std::string> tokens_;
  std::unordered_map<std::string, std::int32_t> ids_;
  std::vector<Word> words_;
  std::map<Pair, PairState> pairs_;
  std::priority_queue<Candidate> queue_;
  std::set<Pair> renewed_;  ///< pairs with the new token
};

}  // namespace

std::vector<std::string> train_vocabulary(std::span<const std::string> texts, const VocabularyTraining& training,
                                          const TokenizerOptions& options) {
  const WordCounts words = count_words(texts, Normalizer(options.normalizer()));
  Merger merger({options.pad, options.unk, options.cls, options.sep, options.mask}, options.continuing_prefix);
  merger.take_words(words, find_alphabet(words, training.alphabet_limit));
  const auto least = static_cast<std::int64_t>(merger.size());
  if (training.size < least)
    throw Error(ErrorTag::kUsage, "vocabulary size",
                fmt::format("expected at least {} for the special tokens and the characters, got {}", least, training.size));
  merger.merge_until(static_cast<std::size_t>(training.size), training.min_frequency);
  return merger.take();
}

}  // namespace minbert
