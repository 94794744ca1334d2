// Plain text helpers: blanks and case as Python sees them, comparison keys.
#include "minbert/data/text.h"

#include <algorithm>

#include "minbert/base/unicode.h"

namespace minbert {
namespace {

bool in(char32_t c, char32_t first, char32_t last) { return c >= first && c <= last; }

// Blocks where capitals sit at even code points with the small letter after them, and those where they sit at odd ones.
bool even_capitals(char32_t c) {
  return in(c, 0x100, 0x12F) || in(c, 0x132, 0x137) || in(c, 0x14A, 0x177) || in(c, 0x1A0, 0x1A5) || in(c, 0x1DE, 0x1EF) ||
         in(c, 0x1F8, 0x21F) || in(c, 0x222, 0x233) || in(c, 0x3D8, 0x3EF) || in(c, 0x460, 0x481) || in(c, 0x48A, 0x4BF) ||
         in(c, 0x4D0, 0x52F) || in(c, 0x1E00, 0x1E95) || in(c, 0x1EA0, 0x1EFF);
}
bool odd_capitals(char32_t c) {
  return in(c, 0x139, 0x148) || in(c, 0x179, 0x17E) || in(c, 0x1AF, 0x1B0) || in(c, 0x1B3, 0x1B6) || in(c, 0x1CD, 0x1DC) ||
         in(c, 0x4C1, 0x4CE);
}

bool is_letter_or_digit(char32_t c) {
  if (c < 0x80) return in(c, '0', '9') || in(c, 'a', 'z') || in(c, 'A', 'Z');
  // Beyond ASCII only what never carries a word: Latin-1 signs, general punctuation, CJK punctuation, the replacement character.
  if (is_blank(c) || in(c, 0x80, 0xA9) || in(c, 0xAB, 0xB4) || in(c, 0xB6, 0xB9) || in(c, 0xBB, 0xBF) || c == 0xD7 || c == 0xF7)
    return false;
  return !in(c, 0x2000, 0x206F) && !in(c, 0x3000, 0x3003) && !in(c, 0x3008, 0x3011) && !in(c, 0xFF01, 0xFF0F) && c != 0xFEFF && c != 0xFFFD;
}

}  // namespace

char32_t lower_code_point(char32_t c) {
  if (c < 0x80) return in(c, 'A', 'Z') ? c + 32 : c;
  if (in(c, 0xC0, 0xDE)) return c == 0xD7 ? c : c + 32;
  if (c == 0x130) return 'i';
  if (c == 0x178) return 0xFF;
  if (c == 0x1E9E) return 0xDF;
  if (even_capitals(c)) return c | 1;
  if (odd_capitals(c)) return c % 2 == 1 ? c + 1 : c;
  if (c == 0x386) return 0x3AC;
  if (in(c, 0x388, 0x38A)) return c + 37;
  if (c == 0x38C) return 0x3CC;
  if (c == 0x38E || c == 0x38F) return c + 63;
  if (in(c, 0x391, 0x3AB) && c != 0x3A2) return c + 32;
  if (in(c, 0x400, 0x40F)) return c + 80;
  if (in(c, 0x410, 0x42F)) return c + 32;
  if (c == 0x4C0) return 0x4CF;
  if (in(c, 0x531, 0x556)) return c + 48;
  if (in(c, 0xFF21, 0xFF3A)) return c + 32;
  return c;
}

std::string lower_case(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t position = 0; position < text.size();) append_utf8(out, lower_code_point(next_code_point(text, position)));
  return out;
}

bool is_blank(char32_t c) {
  return c == ' ' || in(c, 0x09, 0x0D) || in(c, 0x1C, 0x1F) || c == 0x85 || c == 0xA0 || c == 0x1680 || in(c, 0x2000, 0x200A) ||
         c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::string_view strip(std::string_view text) {
  std::size_t begin = text.size(), end = 0;
  for (std::size_t position = 0; position < text.size();) {
    const std::size_t start = position;
    if (is_blank(next_code_point(text, position))) continue;
    begin = std::min(begin, start);
    end = position;
  }
  return begin < end ? text.substr(begin, end - begin) : text.substr(0, 0);
}

std::size_t count_words(std::string_view text) {
  std::size_t words = 0;
  bool inside = false;
  for (std::size_t position = 0; position < text.size();) {
    const bool blank = is_blank(next_code_point(text, position));
    words += !blank && !inside;
    inside = !blank;
  }
  return words;
}

std::vector<std::string> split_tokens(std::string_view text) {
  std::vector<std::string> tokens;
  bool inside = false;  // the last token goes on
  for (std::size_t position = 0; position < text.size();) {
    char32_t c = next_code_point(text, position);
    if (c == U'\u2019') c = '\'';  // the apostrophe of typography
    const bool letter = is_letter_or_digit(c);
    if (!is_blank(c)) {
      if (!letter || !inside) tokens.emplace_back();
      append_utf8(tokens.back(), lower_code_point(c));
    }
    inside = letter || c == '\'';
  }
  return tokens;
}

bool is_word(std::string_view token) {
  for (std::size_t position = 0; position < token.size();)
    if (is_letter_or_digit(next_code_point(token, position))) return true;
  return false;
}

std::string course_text(std::string_view text) { return lower_case(strip(text)); }

std::string course_pair_text(std::string_view text) {
  std::string out;
  bool gap = false;  // a space is due before the next character
  for (std::size_t position = 0; position < text.size();) {
    const char32_t c = lower_code_point(next_code_point(text, position));
    if (is_blank(c)) {
      gap = true;
      continue;
    }
    if ((gap || c == '.' || c == '?' || c == ',' || c == '\'') && !out.empty()) out += ' ';
    gap = false;
    append_utf8(out, c);
  }
  return out;
}

std::string comparison_key(std::string_view text) {
  std::string key;
  key.reserve(text.size());
  for (std::size_t position = 0; position < text.size();) {
    const char32_t c = next_code_point(text, position);
    if (is_letter_or_digit(c)) append_utf8(key, lower_code_point(c));
  }
  return key.empty() ? std::string(strip(text)) : key;
}

}  // namespace minbert
