// Kinds of errors on pairs of sentences (a small edit, another subject, an abbreviation), and how much two sentences share.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace minbert {

/// How many tokens must be inserted, deleted or replaced to turn `a` into `b` (Levenshtein 1966). Tokens are those of split_tokens.
std::size_t token_edits(std::span<const std::string> a, std::span<const std::string> b);

/// Whether two sentences differ only in the person they speak of, at least one of them in general: "Can a person swim in the lake?", "Can
/// you swim in the lake?". Pronouns and phrases such as "a person", "people" or "someone" are replaced by one stand-in, and do and does, is
/// and are by one form. Then either all words must be equal, or the stand-in of one sentence must correspond to at most four words of the
/// other, with only question words and auxiliaries before them.
bool is_subject_change(std::string_view a, std::string_view b);

/// Whether one sentence has a token of at least two letters that are the initials of consecutive words of the other; small words (of, the,
/// to ...) may be skipped. The other sentence must lack the token, and this one must lack some of the words. Small words themselves ("is",
/// "it") are abbreviations only in capitals.
bool is_abbreviation(std::string_view a, std::string_view b);

/// Length of the longest run of tokens that both sentences contain, divided by their mean length; 0 for empty sentences.
double continuous_overlap(std::span<const std::string> a, std::span<const std::string> b);

}  // namespace minbert
