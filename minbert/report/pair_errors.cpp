// Kinds of errors on pairs: word lists and comparisons.
#include "minbert/report/pair_errors.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <unordered_set>
#include <vector>

#include "minbert/data/text.h"

namespace minbert {
namespace {

using Tokens = std::vector<std::string>;
using Words = std::unordered_set<std::string_view>;

// Words for persons in general. "*" replaces them all, possessives ("your") included, so that "How do I trim my beard" equals "How does one
// trim one's beard".
const Words kPersons = {"i",       "you",      "he",        "she",     "we",      "they",    "me",        "him",       "her",      "us",
                        "them",    "my",       "your",      "his",     "our",     "their",   "one",       "someone",   "somebody", "anyone",
                        "anybody", "everyone", "everybody", "people",  "persons", "humans",  "men",       "women",     "guys",     "girls",
                        "boys",    "myself",   "yourself",  "himself", "herself", "oneself", "ourselves", "themselves"};
const Words kGeneric = {"person", "human", "man", "woman", "guy", "girl", "boy", "individual", "people", "men", "women"};
const Words kDeterminers = {"a", "an", "the", "any", "some", "every", "most"};
// Words that, like the auxiliaries below, may stand before the subject of a question.
const Words kLeading = {"what",   "why",   "how",  "when",  "where", "which", "who",   "if",  "can",      "could",
                        "should", "would", "will", "may",   "might", "must",  "shall", "and", "but",      "so",
                        "much",   "many",  "long", "often", "to",    "in",    "is",    "it",  "possible", "for"};
constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kAuxiliaries = {
    {{"does", "do"}, {"is", "be"}, {"are", "be"}, {"am", "be"}, {"was", "were"}, {"has", "have"}, {"'s", "be"}, {"'re", "be"}}};
const Words kPlainAuxiliaries = {"do", "did", "be", "were", "have", "had"};
constexpr std::string_view kStandIn = "*";
constexpr std::size_t kLongestSubject = 4;

const Words kSmallWords = {"a", "an", "the", "of", "to", "in", "on", "at", "by", "for", "and", "or", "as", "with", "from", "&", "-"};
// Words that often match initials by chance.
const Words kNoAbbreviations = {"is",  "it",  "do",  "am",  "be",  "he",  "we",   "me",   "my",   "if",   "no",   "so",   "up",  "us",
                                "go",  "id",  "oh",  "ok",  "hi",  "are", "was",  "has",  "had",  "can",  "did",  "may",  "not", "but",
                                "his", "her", "him", "she", "you", "who", "why",  "how",  "all",  "any",  "its",  "our",  "out", "off",
                                "own", "too", "two", "one", "way", "day", "get",  "got",  "let",  "put",  "set",  "say",  "see", "use",
                                "new", "old", "man", "men", "now", "per", "that", "this", "than", "then", "what", "with", "when"};

std::string_view plain_auxiliary(std::string_view word) {
  for (const auto& [form, plain] : kAuxiliaries)
    if (word == form) return plain;
  return word;
}

/// A sentence's words with a stand-in for persons and one form of each auxiliary. A verb right after a stand-in loses its s.
struct GeneralForm {
  Tokens words;
  Tokens persons;  ///< the words that stand-ins replaced, in order
};

GeneralForm general_form(std::string_view text) {
  Tokens words = split_tokens(text);
  std::erase_if(words, [](const std::string& token) { return !is_word(token); });
  GeneralForm form;
  const auto after_person = [&] { return !form.words.empty() && form.words.back() == kStandIn; };
  for (std::size_t i = 0; i < words.size(); ++i) {
    const bool phrase = i + 1 < words.size() && kDeterminers.contains(words[i]) && kGeneric.contains(words[i + 1]);
    if (phrase || kPersons.contains(words[i])) {
      form.words.emplace_back(kStandIn);
      form.persons.push_back(words[i + phrase]);
      i += phrase;
    } else if (words[i] == "'s" && after_person() && words[i - 1] == "one") {
      form.persons.back() += "'s";
    } else {
      std::string word(plain_auxiliary(words[i]));
      if (after_person() && word.size() > 3 && word.ends_with('s') && !word.ends_with("ss")) word.pop_back();
      form.words.push_back(std::move(word));
    }
  }
  return form;
}

bool is_stand_in(std::span<const std::string> words) { return words.size() == 1 && words[0] == kStandIn; }

/// Whether the words could be the subject that corresponds to a stand-in.
bool is_subject_phrase(std::span<const std::string> words) {
  return !words.empty() && words.size() <= kLongestSubject && std::ranges::none_of(words, [](const std::string& word) {
    return word == kStandIn || kLeading.contains(word) || kPlainAuxiliaries.contains(word);
  });
}

/// Length of the longest run of tokens that both contain.
std::size_t longest_run(std::span<const std::string> a, std::span<const std::string> b) {
  std::vector<std::size_t> run(b.size() + 1);  // run[j]: length of the common run that ends at the current token of a and at b[j - 1]
  std::size_t longest = 0;
  for (const std::string& token : a)
    for (std::size_t j = b.size(); j > 0; --j) {
      run[j] = token == b[j - 1] ? run[j - 1] + 1 : 0;
      longest = std::max(longest, run[j]);
    }
  return longest;
}

/// Joins the tokens of "u.s.a." into one.
Tokens join_dotted(const Tokens& tokens) {
  Tokens joined;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    joined.push_back(tokens[i]);
    while (tokens[i].size() == 1 && i + 2 < tokens.size() && tokens[i + 1] == "." && tokens[i + 2].size() == 1 && is_word(tokens[i + 2])) {
      joined.back() += tokens[i + 2];
      i += 2;
    }
  }
  return joined;
}

/// How many of the first tokens have `letters` as their initials, with or without their small words; 0 when they have not.
std::size_t spelled_out(std::string_view letters, std::span<const std::string> tokens) {
  if (tokens.empty() || letters.empty()) return 0;
  if (tokens.front().front() == letters.front()) {
    if (letters.size() == 1) return 1;
    if (const std::size_t rest = spelled_out(letters.substr(1), tokens.subspan(1)); rest > 0) return rest + 1;
  }
  if (!kSmallWords.contains(tokens.front())) return 0;
  const std::size_t rest = spelled_out(letters, tokens.subspan(1));
  return rest > 0 ? rest + 1 : 0;
}

bool is_letters(std::string_view token) {
  return std::ranges::all_of(token, [](char c) { return c >= 'a' && c <= 'z'; });
}

/// Whether the text has the token in capitals: "IT", "U.S.".
bool is_capital(std::string_view text, std::string_view token) {
  std::string plain, upper;
  for (const char c : text)
    if (c != '.') plain += c;
  for (const char c : token) upper += static_cast<char>(c - 'a' + 'A');
  const auto is_letter = [&](std::size_t i) { return i < plain.size() && ((plain[i] | 32) >= 'a' && (plain[i] | 32) <= 'z'); };
  for (std::size_t at = plain.find(upper); at != std::string::npos; at = plain.find(upper, at + 1))
    if ((at == 0 || !is_letter(at - 1)) && !is_letter(at + upper.size())) return true;
  return false;
}

/// Whether tokens[t] could be an abbreviation.
bool may_abbreviate(std::string_view text, const Tokens& tokens, std::size_t t) {
  const std::string& token = tokens[t];
  if (token.size() < 2 || !is_letters(token)) return false;
  if (t + 1 < tokens.size() && tokens[t + 1] == "'t") return false;  // "isn" of "isn't"
  return (!kSmallWords.contains(token) && !kNoAbbreviations.contains(token)) || is_capital(text, token);
}

/// Whether a token of `tokens` abbreviates words of `others`.
bool abbreviates(std::string_view text, const Tokens& tokens, const Tokens& others) {
  for (std::size_t t = 0; t < tokens.size(); ++t) {
    const std::string& token = tokens[t];
    if (!may_abbreviate(text, tokens, t) || std::ranges::find(others, token) != others.end()) continue;
    for (std::size_t i = 0; i < others.size(); ++i) {
      if (kSmallWords.contains(others[i]) || others[i].starts_with(token)) continue;  // "USA" does not spell out "US"
      const auto run = std::span(others).subspan(i);
      const std::size_t count = spelled_out(token, run);
      const bool said_here =
          std::ranges::all_of(run.first(count), [&](const std::string& word) { return std::ranges::find(tokens, word) != tokens.end(); });
      if (count > 0 && !said_here) return true;
    }
  }
  return false;
}

}  // namespace

std::size_t token_edits(std::span<const std::string> a, std::span<const std::string> b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0]++;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] != b[j]);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, row[j + 1] + 1});
    }
  }
  return row.back();
}

bool is_subject_change(std::string_view a, std::string_view b) {
  const GeneralForm form_a = general_form(a), form_b = general_form(b);
  const Tokens &words_a = form_a.words, &words_b = form_b.words;
  if (words_a == words_b) return form_a.persons != form_b.persons;
  const auto front = static_cast<std::size_t>(std::ranges::mismatch(words_a, words_b).in1 - words_a.begin());
  std::size_t back = 0;
  while (front + back < std::min(words_a.size(), words_b.size()) &&
         words_a[words_a.size() - 1 - back] == words_b[words_b.size() - 1 - back])
    ++back;
  const auto middle = [&](const Tokens& words) { return std::span(words).subspan(front, words.size() - front - back); };
  const bool leads = std::ranges::all_of(
      std::span(words_a).first(front), [](const std::string& word) { return kLeading.contains(word) || kPlainAuxiliaries.contains(word); });
  const auto faces = [&](const Tokens& one, const Tokens& other) { return is_stand_in(middle(one)) && is_subject_phrase(middle(other)); };
  return back >= 2 && leads && (faces(words_a, words_b) || faces(words_b, words_a));
}

bool is_abbreviation(std::string_view a, std::string_view b) {
  const Tokens tokens_a = join_dotted(split_tokens(a)), tokens_b = join_dotted(split_tokens(b));
  return abbreviates(a, tokens_a, tokens_b) || abbreviates(b, tokens_b, tokens_a);
}

double continuous_overlap(std::span<const std::string> a, std::span<const std::string> b) {
  const std::size_t lengths = a.size() + b.size();
  return lengths == 0 ? 0 : 2.0 * static_cast<double>(longest_run(a, b)) / static_cast<double>(lengths);
}

}  // namespace minbert
