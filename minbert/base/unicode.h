// UTF-8: decoding with one U+FFFD per maximal invalid part, encoding, and validity.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace minbert {

/// Decodes the code point at `text[position]` and moves position past it. An invalid or truncated sequence yields U+FFFD
/// and moves past its maximal invalid part (Unicode 15, section 3.9, "substitution of maximal subparts").
char32_t next_code_point(std::string_view text, std::size_t& position);

/// Appends the UTF-8 form of a code point; U+FFFD for a surrogate or a value above 0x10FFFF.
void append_utf8(std::string& out, char32_t code_point);

/// Offset where the first invalid sequence starts, or npos.
std::size_t find_invalid_utf8(std::string_view text);

/// `text` as it may be shown on a terminal or stand on one line of a log: valid UTF-8, blanks for tabs and line ends, and U+FFFD for all else that
/// drives a terminal or reorders what it shows (controls C0, C1 and DEL, line separators, bidirectional overrides). For names out of files.
std::string printable(std::string_view text);

/// Latin-1 bytes as UTF-8.
std::string latin1_to_utf8(std::string_view bytes);

}  // namespace minbert
