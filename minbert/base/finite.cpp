// Finite: blocks of a fixed size without a branch inside, which the compiler turns into vector instructions.
#include "minbert/base/finite.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace minbert {
namespace {

constexpr std::uint32_t kExponent = 0x7f800000;  // all ones in NaN and infinity alone
constexpr std::size_t kBlock = 1024;

bool is_not_finite(const std::byte* at) {
  std::uint32_t bits;
  std::memcpy(&bits, at, sizeof bits);
  return (bits & kExponent) == kExponent;
}

}  // namespace

std::size_t find_not_finite(std::span<const std::byte> bytes) {
  const std::size_t count = bytes.size() / sizeof(float);
  std::size_t begin = 0;
  for (; count - begin >= kBlock; begin += kBlock) {
    std::uint32_t found = 0;
    for (std::size_t i = 0; i < kBlock; ++i) found |= static_cast<std::uint32_t>(is_not_finite(bytes.data() + (begin + i) * sizeof(float)));
    if (found != 0) break;
  }
  for (std::size_t i = begin; i < count; ++i)
    if (is_not_finite(bytes.data() + i * sizeof(float))) return i;
  return kAllFinite;
}

std::size_t find_not_finite(std::span<const float> values) { return find_not_finite(std::as_bytes(values)); }

}  // namespace minbert
