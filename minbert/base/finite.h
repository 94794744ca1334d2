// Finite: the search for NaN and infinity among many floats.
#pragma once

#include <cstddef>
#include <span>

namespace minbert {

inline constexpr std::size_t kAllFinite = static_cast<std::size_t>(-1);

/// Index of the first NaN or infinity, or kAllFinite. Reads memory once, at about its full speed.
std::size_t find_not_finite(std::span<const float> values);
/// Searches floats that need not be aligned; `bytes` holds a whole number of them.
std::size_t find_not_finite(std::span<const std::byte> bytes);

}  // namespace minbert
