// Kinds of errors on pairs of sentences: a small edit, a subject that changed, an abbreviation; and what two sentences share.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace minbert {

/// Tokens (split_tokens) to insert, delete or replace until `a` is `b` (Levenshtein 1966).
std::size_t token_edits(std::span<const std::string> a, std::span<const std::string> b);

/// Two sentences that differ in who is spoken of, where one of them says it in general: "Can a person swim in the lake?", "Can you swim
/// in the lake?". Pronouns and phrases such as "a person", "people", "someone" are one and the same stand-in, and so are do and does, is
/// and are. Then either the words are equal, or the stand-in of one sentence faces a phrase of at most four words in the other, after
/// nothing but question words and auxiliaries.
bool is_subject_change(std::string_view a, std::string_view b);

/// One sentence has a token of at least two letters that are the initials of consecutive words of the other; small words (of, the, to
/// ...) may count or not. The other sentence does not have the token, nor this one all of the words. Small words themselves ("is", "it")
/// abbreviate nothing unless they are written in capitals.
bool is_abbreviation(std::string_view a, std::string_view b);

/// The longest run of tokens that both sentences have, over the mean of their lengths in tokens; 0 for empty sentences.
double continuous_overlap(std::span<const std::string> a, std::span<const std::string> b);

}  // namespace minbert
