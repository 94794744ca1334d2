// Expands sentence templates.
#include "minbert/data/sample_text.h"

#include <algorithm>

#include "minbert/base/check.h"

namespace minbert {

std::string_view draw_part(std::string_view parts, Rng& rng) {
  for (auto skip = rng.below(static_cast<std::uint64_t>(std::ranges::count(parts, '|')) + 1); skip > 0; --skip) {
    parts.remove_prefix(parts.find('|') + 1);
  }
  return parts.substr(0, parts.find('|'));
}

std::string expand(std::string_view pattern, Rng& rng, const std::function<std::string(std::string_view)>& resolve) {
  std::string out;
  while (!pattern.empty()) {
    const std::size_t open = std::min(pattern.find_first_of("[{"), pattern.size());
    out += pattern.substr(0, open);
    pattern.remove_prefix(open);
    if (pattern.empty()) break;
    const std::size_t close = pattern.find(pattern[0] == '[' ? ']' : '}');
    MINBERT_CHECK(close != pattern.npos);
    const std::string_view inside = pattern.substr(1, close - 1);
    out += pattern[0] == '[' ? expand(draw_part(inside, rng), rng, resolve) : resolve(inside);
    pattern.remove_prefix(close + 1);
  }
  return out;
}

std::string capitalised(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

}  // namespace minbert
