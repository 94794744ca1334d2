// Quotes, escapes and unescapes fields.
#include "minbert/data/fields.h"

#include <array>
#include <utility>

namespace minbert {
namespace {

constexpr std::array<std::pair<char, char>, 4> kEscapes = {{{'\t', 't'}, {'\n', 'n'}, {'\r', 'r'}, {'\\', '\\'}}};

}  // namespace

std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string out = "\"";
  for (const char c : text) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

std::string tsv_field(std::string_view text) {
  std::string out;
  for (const char c : text) {
    char letter = 0;
    for (const auto& [plain, escaped] : kEscapes) letter = c == plain ? escaped : letter;
    if (letter == 0)
      out += c;
    else
      (out += '\\') += letter;
  }
  return out;
}

std::string parse_tsv_field(std::string_view field) {
  std::string out;
  for (std::size_t i = 0; i < field.size(); ++i) {
    char c = field[i];
    for (const auto& [plain, escaped] : kEscapes) {
      if (field[i] != '\\' || i + 1 >= field.size() || field[i + 1] != escaped) continue;
      c = plain;
      ++i;
      break;
    }
    out += c;
  }
  return out;
}

}  // namespace minbert
