// Plain text helpers of the data room: case, blanks, the course's preprocessing, normal form for comparisons.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace minbert {

/// Lower case of one code point by Unicode's simple mappings: Latin, Greek, Cyrillic, Armenian and full-width letters; the others
/// unchanged.
char32_t lower_code_point(char32_t code_point);
std::string lower_case(std::string_view text);

/// Whether Python's str.isspace holds, so that strip and split agree with the course's code.
bool is_blank(char32_t code_point);

/// `text` without blanks at both ends.
std::string_view strip(std::string_view text);

/// Number of words between blanks.
std::size_t count_words(std::string_view text);

/// The tokens of a text, lower-cased: runs of letters and digits, endings with their apostrophe ("it's" gives it and 's), and each
/// other sign by itself.
std::vector<std::string> split_tokens(std::string_view text);
/// Whether a token of split_tokens is a word, not a sign.
bool is_word(std::string_view token);

/// The course's preprocessing of a single text: lower case, stripped.
std::string course_text(std::string_view text);

/// The course's preprocessing of each text of a pair: lower case, a space before . ? , and ', blanks collapsed.
std::string course_pair_text(std::string_view text);

/// Two texts with the same comparison key count as the same: lower-cased letters and digits without anything between them, so that
/// "Can't stop ." equals "can 't stop". A text of punctuation alone is its own key.
std::string comparison_key(std::string_view text);

}  // namespace minbert
