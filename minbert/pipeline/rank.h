// Scores of pairs, and the order that they give.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

#include "minbert/pipeline/predict.h"

namespace minbert {

/// Cosine of two vectors of C floats.
double cosine(std::span<const float> u, std::span<const float> v);

/// A pair task's score of a pair: the number of a regression, or the probability of class 1 of 2.
double pair_score(const TaskSpec& task, const Prediction& prediction);
/// Whether a task scores pairs by one number.
bool scores_pairs(const TaskSpec& task);
/// The task that scores pairs; nothing if there is none, or more than one.
std::optional<std::size_t> only_pair_task(std::span<const TaskSpec> tasks);

/// Indices of scores in falling order; equal ones keep their order.
std::vector<std::size_t> falling_order(std::span<const double> scores);

}  // namespace minbert
