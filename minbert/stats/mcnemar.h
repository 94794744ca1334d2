// McNemar's test: do two systems differ in which rows they get right?
#pragma once

#include <cstdint>
#include <span>

namespace minbert {

struct McNemar {
  std::int64_t only_a = 0, only_b = 0;  ///< rows that only one system gets right
  double statistic = 0;                 ///< exact: min(only_a, only_b); else chi-squared with one degree of freedom
  double p_value = 1;                   ///< two-sided
  bool exact = true;
};

/// Exact binomial test for fewer than 25 discordant rows, else chi-squared with Edwards' continuity correction (1948).
McNemar mcnemar_test(std::int64_t only_a, std::int64_t only_b);
/// Counts the discordant rows from labels; all three lists have one entry for each row.
McNemar mcnemar_test(std::span<const int> gold, std::span<const int> predicted_a, std::span<const int> predicted_b);

}  // namespace minbert
