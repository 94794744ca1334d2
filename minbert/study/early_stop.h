// Early stopping: decides whether a trial of a search is still worth training.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "minbert/study/search_file.h"

namespace minbert {

/// A trial's best score so far after each evaluation. The score before training is left out, because it is the same for every trial.
using TrialCurve = std::vector<double>;

/// Returns the reason why a trial should stop after its latest evaluation, or nothing if it should go on. `others` are earlier trials.
/// Median (Golovin et al. 2017): the trial stops if its best score is below the median of the others at the same evaluation.
/// Halving (the stopping form of asynchronous successive halving, Li et al. 2020): at a rung, only the best 1/eta (rounded up) of the
/// trials that reached it, this one included, go on.
std::optional<std::string> reason_to_stop(const SearchSection& search, std::span<const TrialCurve> others, const TrialCurve& own);

}  // namespace minbert
