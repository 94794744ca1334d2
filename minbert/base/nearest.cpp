// Suggestions: optimal string alignment distance.
#include "minbert/base/nearest.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <vector>

namespace minbert {
namespace {

std::string ascii_lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return out;
}

}  // namespace

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before_last(b.size() + 1), last(b.size() + 1), current(b.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      current[j] = std::min({last[j] + 1, current[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) current[j] = std::min(current[j], before_last[j - 2] + 1);
    }
    before_last.swap(last);
    last.swap(current);
  }
  return last[b.size()];
}

const std::string* nearest(std::string_view word, std::span<const std::string> names) {
  const std::string wanted = ascii_lower(word);
  const std::string* best = nullptr;
  std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
  for (const auto& name : names) {
    const std::size_t distance = edit_distance(wanted, ascii_lower(name));
    // A name with nothing in common is not a misspelling, however short.
    if (distance < best_distance && distance < std::max(word.size(), name.size())) {
      best = &name;
      best_distance = distance;
    }
  }
  return best;
}

std::string suggest(std::string_view word, std::span<const std::string> names) {
  if (const std::string* best = nearest(word, names)) return fmt::format("did you mean \"{}\"?", *best);
  constexpr std::size_t kShown = 24;
  if (names.empty()) return "";
  return fmt::format("known: {}{}", fmt::join(names.first(std::min(kShown, names.size())), ", "), names.size() > kShown ? " ..." : "");
}

}  // namespace minbert
