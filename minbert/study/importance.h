// Importance: how much of the variance of a search's scores each hyperparameter explains by itself.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/study/search_file.h"
#include "minbert/study/trial_journal.h"

namespace minbert {

/// With fewer trials, importance is not reported.
inline constexpr std::int64_t kFewestTrials = 8;
/// Explains the figures to the readers of a search's results.
inline constexpr std::array<std::string_view, 4> kImportanceMethod = {
    "share: the part of the variance of the scores' ranks that lies between groups of trials with similar values (3 to 5 groups of equal",
    "size, or one for each choice), corrected for chance (epsilon squared). It ignores interactions, so that shares may add up to more or",
    "less than 1, and it is rough when trials are few. A stopped trial counts with its score when it stopped.",
    "trend: Spearman's correlation of value and score."};

struct Importance {
  std::string key;
  double share = 0;             ///< from 0 to 1
  std::optional<double> trend;  ///< absent for choices
};

/// The share of the variance of `values` that lies between groups, corrected for chance: epsilon squared (Kelley 1935). groups[i] is the
/// group of values[i]. 0 when negative, and when there is only one group or only one value.
double share_between(const std::vector<std::size_t>& groups, const std::vector<double>& values);

/// Sorted by share, largest first; empty with fewer than kFewestTrials ended trials. Failed trials rank below all others.
std::vector<Importance> importance_of(const SearchFile& file, const std::vector<Trial>& trials);

}  // namespace minbert
