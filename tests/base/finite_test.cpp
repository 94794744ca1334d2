// find_not_finite: every place of a block and of the rest, at any alignment.
#include "minbert/base/finite.h"

#include <gtest/gtest.h>

#include <cstring>
#include <limits>
#include <vector>

namespace minbert {
namespace {

using Limits = std::numeric_limits<float>;

TEST(Finite, FindsTheFirst) {
  std::vector<float> values(2500, 1.5f);
  values[3] = Limits::max();
  values[4] = Limits::lowest();
  values[5] = Limits::denorm_min();
  values[6] = -0.0f;
  EXPECT_EQ(find_not_finite(values), kAllFinite);
  EXPECT_EQ(find_not_finite(std::span<const float>()), kAllFinite);
  for (const float bad : {Limits::quiet_NaN(), -Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity()})
    for (const std::size_t at : {0u, 1u, 1023u, 1024u, 1500u, 2047u, 2048u, 2499u}) {
      const float was = std::exchange(values[at], bad);
      EXPECT_EQ(find_not_finite(values), at);
      values[at] = was;
    }
}

TEST(Finite, ReadsUnalignedBytes) {
  std::vector<float> values(1100, 2.0f);
  values[1099] = Limits::infinity();
  std::vector<std::byte> bytes(values.size() * sizeof(float) + 1);
  std::memcpy(bytes.data() + 1, values.data(), values.size() * sizeof(float));
  EXPECT_EQ(find_not_finite(std::span<const std::byte>(bytes).subspan(1)), 1099u);
}

}  // namespace
}  // namespace minbert
