// UTF-8 by the well-formed byte sequences of Unicode 15, table 3-7.
#include "minbert/base/unicode.h"

#include <fmt/format.h>

#include <algorithm>

namespace minbert {
namespace {

constexpr char32_t kReplacement = 0xFFFD;

struct Decoded {
  char32_t code_point;
  std::size_t length;
  bool valid;
};

/// Decodes one sequence at `position`; when invalid, `length` is its maximal subpart, at least one byte.
Decoded decode(std::string_view text, std::size_t position) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[position + i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  if (lead < 0xC2 || lead > 0xF4) return {kReplacement, 1, false};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte's range shuts out overlong forms, surrogates and values above 0x10FFFF; later bytes are 80..BF.
  unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  char32_t code_point = lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (position + i >= text.size() || byte(i) < low || byte(i) > high) return {kReplacement, i, false};
    code_point = code_point << 6 | (byte(i) & 0x3Fu);
    low = 0x80;
    high = 0xBF;
  }
  return {code_point, length, true};
}

/// Whether showing the character may drive a terminal, end a line, or reorder what stands around it.
bool is_unprintable(char32_t c) {
  const bool control = c < 0x20 || (c >= 0x7F && c < 0xA0);
  return control || c == 0x2028 || c == 0x2029 || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

/// The UTF-8 form of text in an encoding of one byte a character, `code_point_of(byte)`.
template <typename CodePointOf>
std::string bytes_to_utf8(std::string_view bytes, CodePointOf code_point_of) {
  std::string out;
  out.reserve(bytes.size());
  for (const char c : bytes) append_utf8(out, code_point_of(static_cast<unsigned char>(c)));
  return out;
}

}  // namespace

char32_t next_code_point(std::string_view text, std::size_t& position) {
  const Decoded decoded = decode(text, position);
  position += decoded.length;
  return decoded.code_point;
}

void append_utf8(std::string& out, char32_t code_point) {
  const auto put = [&](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point > 0x10FFFF || (code_point >= 0xD800 && code_point <= 0xDFFF)) code_point = kReplacement;
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | code_point >> 6);
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | code_point >> 12);
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | code_point >> 18);
    put(0x80 | (code_point >> 12 & 0x3F));
    put(0x80 | (code_point >> 6 & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

std::string utf8(char32_t code_point) {
  std::string text;
  append_utf8(text, code_point);
  return text;
}

std::size_t find_invalid_utf8(std::string_view text) {
  for (std::size_t position = 0; position < text.size();) {
    const Decoded decoded = decode(text, position);
    if (!decoded.valid) return position;
    position += decoded.length;
  }
  return std::string_view::npos;
}

std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t position = 0; position < text.size();) {
    const char32_t c = next_code_point(text, position);
    append_utf8(out, c == '\t' || c == '\n' || c == '\r' ? U' ' : is_unprintable(c) ? kReplacement : c);
  }
  return out;
}

std::string printable_lines(std::string_view text) {
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    out += printable(text.substr(begin, end - begin));
    if (end < text.size()) out += '\n';
    begin = end + 1;
  }
  return out;
}

std::string escape_controls(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t position = 0; position < text.size();) {
    const Decoded decoded = decode(text, position);
    const char32_t c = decoded.code_point;
    if (decoded.valid && is_unprintable(c) && c != '\t' && c != '\n' && c != '\r')
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    else
      out += text.substr(position, decoded.length);
    position += decoded.length;
  }
  return out;
}

std::string latin1_to_utf8(std::string_view bytes) {
  return bytes_to_utf8(bytes, [](unsigned char byte) { return char32_t{byte}; });
}

std::string cp1252_to_utf8(std::string_view bytes) {
  static constexpr char16_t kFrom0x80[32] = {0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
                                             0x2039, 0x0152, 0x008D, 0x017D, 0x008F, 0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
                                             0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178};
  return bytes_to_utf8(bytes,
                       [](unsigned char byte) { return byte >= 0x80 && byte < 0xA0 ? char32_t{kFrom0x80[byte - 0x80]} : char32_t{byte}; });
}

}  // namespace minbert
