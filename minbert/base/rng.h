// Philox4x32-10: the one source of randomness, addressed by counter so that order of evaluation changes nothing.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace minbert {

/// One block of Philox4x32 with 10 rounds (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3").
/// Four 32-bit words from a 128-bit counter and a 64-bit key.
std::array<std::uint32_t, 4> philox(std::uint64_t key, std::array<std::uint32_t, 4> counter);

/// A sequential stream over philox for shuffles, initial weights and sampling. Its state is (key, position): save both to resume.
class Rng {
 public:
  /// Streams of one seed with different names are independent: the name is hashed into the upper counter words.
  Rng(std::uint64_t seed, std::string_view stream);

  std::uint32_t next_u32();
  std::uint64_t next_u64();
  /// Uniform in [0, n), without modulo bias. n >= 1.
  std::uint64_t below(std::uint64_t n);
  /// Uniform in [0, 1) with 53 bits.
  double uniform();
  /// Standard normal (Box-Muller, one value a call, four words consumed).
  double normal();

  /// Words consumed so far; `seek` returns to a saved position.
  std::uint64_t position() const { return position_; }
  void seek(std::uint64_t position) { position_ = position; }

  /// Fisher-Yates.
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[below(i)]);
  }

 private:
  std::uint64_t key_;
  std::uint64_t stream_;
  std::uint64_t position_ = 0;
};

}  // namespace minbert
