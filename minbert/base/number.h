// Numbers in text, the same whatever locale the process has set.
#pragma once

#include <fmt/format.h>

#include <charconv>
#include <optional>
#include <string_view>
#include <system_error>

namespace minbert {

/// The number of type T that `text` consists of, as std::from_chars reads it. Nothing if the text is empty, holds anything else, or is out
/// of T's range.
template <typename T>
std::optional<T> number_from(std::string_view text) {
  T value{};
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stop == end ? std::optional(value) : std::nullopt;
}

/// The double that prints as the float does: 0.1 for 0.1f, not 0.10000000149011612.
inline double as_written(float value) { return number_from<double>(fmt::format("{}", value)).value_or(value); }
inline double as_written(double value) { return value; }

}  // namespace minbert
