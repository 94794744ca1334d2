// How much of a search's scores each hyperparameter explains by itself.
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

/// Fewer trials say nothing about importance.
inline constexpr std::int64_t kFewestTrials = 8;
/// What the figures are and what they are not, for those who read them.
inline constexpr std::array<std::string_view, 4> kImportanceMethod = {
    "share: of the variance of the scores' ranks, what lies between groups of trials with like values (3 to 5 groups of equal size, or",
    "the choices), corrected for chance (epsilon squared). It knows no interactions, so that shares may add up to more or less than 1,",
    "and from few trials it is rough. The scores of stopped trials are those that they had by then.",
    "trend: Spearman's correlation of value and score."};

struct Importance {
  std::string key;
  double share = 0;             ///< from 0 to 1
  std::optional<double> trend;  ///< absent for choices
};

/// The share of the values' variance that lies between groups, which `groups` numbers from 0, less what chance would put there: epsilon
/// squared (Kelley 1935), 0 when that is negative or everything is one group or value.
double share_between(const std::vector<std::size_t>& groups, const std::vector<double>& values);

/// By share, the largest first; empty below kFewestTrials ended trials. A failed trial ranks below all others.
std::vector<Importance> importance_of(const SearchFile& file, const std::vector<Trial>& trials);

}  // namespace minbert
