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
/// The UTF-8 form alone.
std::string utf8(char32_t code_point);

/// Offset where the first invalid sequence starts, or npos.
std::size_t find_invalid_utf8(std::string_view text);

/// Makes a name from a file safe to print on one line of a terminal or a log. Tabs and line ends become blanks; other controls (C0, C1,
/// DEL), line separators, characters that reorder what is shown, and invalid UTF-8 become U+FFFD.
std::string printable(std::string_view text);

/// Does what printable() does, but keeps line ends, for text of several lines.
std::string printable_lines(std::string_view text);

/// Writes the characters that printable() replaces as \uXXXX, which strings of JSON and TOML may hold; line ends, tabs and invalid UTF-8
/// stay.
std::string escape_controls(std::string_view text);

/// Latin-1 bytes as UTF-8.
std::string latin1_to_utf8(std::string_view bytes);
/// Windows-1252 bytes as UTF-8: Latin-1 with quotes, dashes, the euro sign and others at 0x80 to 0x9F. The five bytes that it does not
/// define become the C1 controls of their number, as in browsers (https://encoding.spec.whatwg.org, index-windows-1252).
std::string cp1252_to_utf8(std::string_view bytes);

}  // namespace minbert
