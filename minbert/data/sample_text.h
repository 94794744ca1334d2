// Templates: the grammar that the sample tasks share.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "minbert/base/rng.h"

namespace minbert {

/// Draws one part of "a|b|c", all equally likely.
std::string_view draw_part(std::string_view parts, Rng& rng);

/// Replaces each [a|b] of `pattern` by one of its parts (no nesting), then each {name} by resolve(name).
std::string expand(std::string_view pattern, Rng& rng, const std::function<std::string(std::string_view)>& resolve);

/// The text with its first letter (ASCII) in upper case.
std::string capitalised(std::string text);

template <class T>
const T& draw(std::span<const T> values, Rng& rng) {
  return values[rng.below(values.size())];
}

}  // namespace minbert
