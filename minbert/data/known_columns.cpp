// The usual names, the preferred ones first.
#include "minbert/data/known_columns.h"

#include <algorithm>
#include <array>

#include "minbert/data/text.h"

namespace minbert {
namespace {

constexpr std::array<std::string_view, 10> kText = {"text", "sentence", "review", "comment",   "content",
                                                    "body", "phrase",   "tweet",  "utterance", "title"};
constexpr std::array<std::string_view, 10> kFirst = {"sentence1", "sentence_1", "sentence_a", "text1", "text_a",
                                                     "question1", "premise",    "query",      "s1",    "a"};
constexpr std::array<std::string_view, 11> kSecond = {"sentence2", "sentence_2", "sentence_b", "text2", "text_b", "text_pair",
                                                      "question2", "hypothesis", "answer",     "s2",    "b"};
constexpr std::array<std::string_view, 13> kLabel = {
    "label",         "labels",     "class", "category", "sentiment", "target",           "is_duplicate",
    "is_paraphrase", "similarity", "score", "rating",   "stars",     "relatedness_score"};
constexpr std::array<std::string_view, 6> kId = {"id", "index", "idx", "guid", "pair_id", "uid"};

std::optional<std::size_t> find(std::span<const std::string_view> usual, std::span<const std::string> names) {
  for (const std::string_view name : usual)
    for (std::size_t i = 0; i < names.size(); ++i)
      if (lower_case(strip(names[i])) == name) return i;
  return std::nullopt;
}

}  // namespace

bool is_column_name(std::string_view name_or_number) { return name_or_number.find_first_not_of("0123456789") != std::string_view::npos; }

KnownColumns find_known_columns(std::span<const std::string> names) {
  KnownColumns found;
  const auto first = find(kFirst, names), second = find(kSecond, names), single = find(kText, names);
  found.text = first && second ? first : single;
  // A single text's name may stand beside a second one's: "text" and "text_pair".
  if (found.text) found.text_pair = second;
  found.label = find(kLabel, names);
  found.id = find(kId, names);
  return found;
}

bool is_known_column(std::string_view name) {
  const std::string cell(name);
  const std::span<const std::string> names(&cell, 1);
  return find(kText, names) || find(kFirst, names) || find(kSecond, names) || find(kLabel, names) || find(kId, names);
}

}  // namespace minbert
