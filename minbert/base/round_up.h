// Division of whole numbers that rounds up, and multiples.
#pragma once

#include <concepts>
#include <type_traits>

namespace minbert {

/// The smallest whole number that is at least n / unit; n >= 0, unit > 0.
template <std::integral T>
constexpr T divide_up(T n, std::type_identity_t<T> unit) {
  return (n + unit - 1) / unit;
}

/// The smallest multiple of `unit` that is at least n; n >= 0, unit > 0.
template <std::integral T>
constexpr T round_up(T n, std::type_identity_t<T> unit) {
  return divide_up(n, unit) * unit;
}

}  // namespace minbert
