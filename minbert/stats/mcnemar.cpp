// McNemar's test: its exact and its chi-squared form.
#include "minbert/stats/mcnemar.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "minbert/base/check.h"

namespace minbert {
namespace {

/// P(X <= k) for X ~ Binomial(n, 1/2). n is so small that 2^n is exact.
double binomial_half_cdf(std::int64_t k, std::int64_t n) {
  double term = std::ldexp(1.0, -static_cast<int>(n)), sum = term;
  for (std::int64_t i = 1; i <= k; ++i) {
    term = term * static_cast<double>(n - i + 1) / static_cast<double>(i);
    sum += term;
  }
  return sum;
}

}  // namespace

McNemar mcnemar_test(std::int64_t only_a, std::int64_t only_b) {
  constexpr std::int64_t kExactBelow = 25;
  MINBERT_CHECK(only_a >= 0 && only_b >= 0, "{} and {} rows", only_a, only_b);
  const std::int64_t discordant = only_a + only_b, fewer = std::min(only_a, only_b);
  McNemar test{only_a, only_b, static_cast<double>(fewer), 1, discordant < kExactBelow};
  if (test.exact) {
    test.p_value = std::min(1.0, 2 * binomial_half_cdf(fewer, discordant));
    return test;
  }
  // The correction moves the difference towards 0, but not past it.
  const double corrected = std::max(0.0, static_cast<double>(std::abs(only_a - only_b)) - 1);
  test.statistic = corrected * corrected / static_cast<double>(discordant);
  test.p_value = std::erfc(std::sqrt(test.statistic / 2));
  return test;
}

McNemar mcnemar_test(std::span<const int> gold, std::span<const int> predicted_a, std::span<const int> predicted_b) {
  MINBERT_CHECK(gold.size() == predicted_a.size() && gold.size() == predicted_b.size(), "{}, {} and {} labels", gold.size(),
                predicted_a.size(), predicted_b.size());
  std::int64_t only_a = 0, only_b = 0;
  for (std::size_t i = 0; i < gold.size(); ++i) {
    const bool a = predicted_a[i] == gold[i], b = predicted_b[i] == gold[i];
    only_a += a && !b;
    only_b += b && !a;
  }
  return mcnemar_test(only_a, only_b);
}

}  // namespace minbert
