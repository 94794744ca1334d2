// Suggestions for misspelt names.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace minbert {

/// The least number of insertions, deletions, replacements and swaps of neighbours that turn a into b, each byte changed once at most.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The name with the fewest edits, ASCII case aside, within a third of the word's length (at least 2); nullptr when none is that near.
const std::string* nearest(std::string_view word, std::span<const std::string> names);

/// `did you mean "batch"?` for the nearest name, else `known: a, b, c`.
std::string suggest(std::string_view word, std::span<const std::string> names);

}  // namespace minbert
