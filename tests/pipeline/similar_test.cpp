// Pairs and neighbours against plain loops over all pairs of rows.
#include "minbert/pipeline/similar.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "minbert/base/rng.h"
#include "tests/testing.h"

namespace minbert {
namespace {

constexpr std::int64_t kWidth = 8;

/// More rows than a block of columns has, so that blocks meet; row 7 is a copy of row 2500.
std::vector<float> unit_vectors(std::size_t rows) {
  std::vector<float> out(rows * kWidth);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = std::sin(static_cast<float>(i * i % 7919));
  if (rows > 2500) std::copy_n(out.begin() + 2500 * kWidth, kWidth, out.begin() + 7 * kWidth);
  for (std::size_t r = 0; r < rows; ++r) {
    double sum = 0;
    for (std::size_t c = 0; c < kWidth; ++c) sum += std::pow(out[r * kWidth + c], 2);
    for (std::size_t c = 0; c < kWidth; ++c) out[r * kWidth + c] /= static_cast<float>(std::sqrt(sum));
  }
  return out;
}

double cosine_of(std::span<const float> unit, std::size_t a, std::size_t b) {
  double sum = 0;
  for (std::size_t c = 0; c < kWidth; ++c) sum += static_cast<double>(unit[a * kWidth + c]) * unit[b * kWidth + c];
  return sum;
}

TEST(Similar, PairsAreThoseOfAPlainLoop) {
  constexpr float kThreshold = 0.97f;
  const auto backend = make_backend("cpu");
  const auto unit = unit_vectors(2600);
  const auto pairs = similar_pairs(*backend, unit, kWidth, kThreshold, 1'000'000);
  const auto is_above = [&](std::size_t a, std::size_t b) { return cosine_of(unit, a, b) > kThreshold + 1e-5; };
  std::size_t expected = 0, found = 0;  // without those too close to the threshold to tell
  for (std::size_t a = 0; a < 2600; ++a)
    for (std::size_t b = a + 1; b < 2600; ++b) expected += is_above(a, b) ? 1 : 0;
  std::set<std::pair<std::size_t, std::size_t>> distinct;
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    EXPECT_LT(pairs[i].a, pairs[i].b);
    EXPECT_NEAR(pairs[i].score, cosine_of(unit, pairs[i].a, pairs[i].b), 1e-5);
    EXPECT_GE(pairs[i == 0 ? 0 : i - 1].score, pairs[i].score);
    EXPECT_GE(pairs[i].score, kThreshold);
    distinct.emplace(pairs[i].a, pairs[i].b);
    found += is_above(pairs[i].a, pairs[i].b) ? 1 : 0;
  }
  EXPECT_GT(expected, 100u);
  EXPECT_EQ(found, expected);
  EXPECT_EQ(distinct.size(), pairs.size());
  EXPECT_TRUE(std::any_of(pairs.begin(), pairs.end(), [](const SimilarPair& p) { return p.a == 7 && p.b == 2500; }));
  EXPECT_THROW(similar_pairs(*backend, unit, kWidth, kThreshold, 10), Error);
}

TEST(Similar, EqualScoresStandInTheOrderOfTheirRows) {
  std::vector<float> unit(3 * kWidth, 0);
  for (std::size_t row = 0; row < 3; ++row) unit[row * kWidth] = 1;
  const auto backend = make_backend("cpu");
  const auto text = [](const std::vector<SimilarPair>& pairs) {
    std::string out;
    for (const SimilarPair& pair : pairs) out += fmt::format("{}-{} ", pair.a, pair.b);
    return out;
  };
  EXPECT_EQ(text(similar_pairs(*backend, unit, kWidth, 0.5f, 10)), "0-1 0-2 1-2 ");
  EXPECT_EQ(text(nearest_rows(*backend, unit, kWidth, 1)), "0-1 1-0 2-0 ");
}

TEST(Similar, NeighboursAreThoseOfAPlainLoop) {
  constexpr std::int64_t kNeighbours = 3;
  const auto backend = make_backend("cpu");
  const auto unit = unit_vectors(2600);
  const auto pairs = nearest_rows(*backend, unit, kWidth, kNeighbours);
  ASSERT_EQ(pairs.size(), 2600u * kNeighbours);
  for (const std::size_t a : {0u, 7u, 1234u, 2599u}) {
    std::vector<double> scores;
    for (std::size_t b = 0; b < 2600; ++b)
      if (a != b) scores.push_back(cosine_of(unit, a, b));
    std::sort(scores.begin(), scores.end(), std::greater<>());
    for (std::size_t i = 0; i < kNeighbours; ++i) {
      EXPECT_EQ(pairs[a * kNeighbours + i].a, a);
      EXPECT_NE(pairs[a * kNeighbours + i].b, a);
      EXPECT_NEAR(pairs[a * kNeighbours + i].score, scores[i], 1e-5);
    }
  }
  EXPECT_EQ(pairs[7 * kNeighbours].b, 2500u);
  EXPECT_EQ(nearest_rows(*backend, std::span(unit).first(2 * kWidth), kWidth, kNeighbours).size(), 2u);
  EXPECT_TRUE(nearest_rows(*backend, std::span(unit).first(kWidth), kWidth, kNeighbours).empty());
}

}  // namespace
}  // namespace minbert
