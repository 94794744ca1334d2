// When a trial of a search is not worth going on with.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "minbert/study/search_file.h"

namespace minbert {

/// A trial's best score so far after each of its evaluations, the first being number 1. What it scored before training is not among them:
/// it is the same for all, and tells nothing of the values drawn.
using TrialCurve = std::vector<double>;

/// Why a trial that has just been evaluated should stop, given the curves of the trials before it; nothing: it goes on.
/// Median (Golovin et al. 2017): its best is below the median of the others' at the same evaluation. Halving: at a rung it is not among the
/// best 1/eta, rounded up, of those that came there, itself among them (the stopping form of asynchronous successive halving, Li et al.
/// 2020).
std::optional<std::string> reason_to_stop(const SearchSection& search, std::span<const TrialCurve> others, const TrialCurve& own);

}  // namespace minbert
