// Replays a fuzz target's seeds and a fixed sequence of mutations of them, where there is no libFuzzer.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "minbert/base/rng.h"
#include "tests/fuzz/fuzz.h"

namespace minbert {
namespace {

constexpr int kMutants = 50000;

/// One small change: bits, bytes, digits, a cut, a repetition, or a part of another seed.
void mutate(std::string& text, const std::vector<std::string>& seeds, Rng& rng) {
  const auto position = [&](std::size_t size) { return static_cast<std::size_t>(rng.below(size + 1)); };
  const std::size_t at = position(text.size()), length = std::min(position(16), text.size() - at);
  switch (rng.below(7)) {
    case 0:
      if (at < text.size()) text[at] = static_cast<char>(text[at] ^ 1 << rng.below(8));
      break;
    case 1:
      if (at < text.size()) text[at] = "\0\xFF\x7F\x80 \"'\\{}[]:,.=-09eE\n\r\t"[rng.below(24)];
      break;
    case 2: text.erase(at, length); break;
    case 3: text.insert(at, text.substr(position(text.size()), length)); break;
    case 4: text.resize(at); break;
    case 5: {
      static constexpr std::array<const char*, 8> kNumbers = {
          "0", "-1", "1e999", "4294967296", "9223372036854775807", "18446744073709551615", "0.5", "null"};
      text.replace(at, length, kNumbers[rng.below(kNumbers.size())]);
      break;
    }
    default: {
      const auto& other = seeds[rng.below(seeds.size())];
      text.replace(at, length, other.substr(position(other.size()), position(64)));
    }
  }
}

void run(const std::string& text) { LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()); }

TEST(Fuzz, SeedsAndTheirMutants) {
  const auto seeds = fuzz_seeds();
  ASSERT_FALSE(seeds.empty());
  for (const auto& seed : seeds) ASSERT_NO_THROW(run(seed)) << testing::PrintToString(seed);
  Rng rng(20240501, "fuzz");
  for (int i = 0; i < kMutants; ++i) {
    std::string text = seeds[rng.below(seeds.size())];
    for (auto steps = 1 + rng.below(4); steps > 0; --steps) mutate(text, seeds, rng);
    ASSERT_NO_THROW(run(text)) << "mutant " << i << ": " << testing::PrintToString(text);
  }
}

}  // namespace
}  // namespace minbert
