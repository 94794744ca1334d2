// Losses of tasks (paper eq. 4-6): one value for each row, so that callers can take any mean of them.
#pragma once

#include <cstdint>
#include <span>

#include "minbert/ops/backend.h"

namespace minbert {

enum class Loss : std::uint8_t { kCrossEntropy, kBce, kMse };

/// The targets of a batch's rows: views of host memory.
struct Targets {
  std::span<const std::int32_t> labels;  ///< (B) for cross-entropy, in [0, K)
  std::span<const float> values;         ///< the other losses: (B, K) in [0, 1] for BCE, (B) labels themselves for MSE; for
                                         ///< cross-entropy without labels (B, K), each class's share of the loss
  std::span<const float> weights = {};   ///< BCE: (B, K) factors of the terms; empty: all 1
};

/// Losses (B) of logits (B, K), in the logits' dtype; BCE sums over K. K = 1 for MSE.
Tensor loss_forward(Backend& backend, Arena& arena, Loss loss, const Tensor& logits, const Targets& targets);
/// The gradient (B, K) of `scale` times the sum of the losses; `scale` is the task's weight / rows of the optimizer step.
Tensor loss_backward(Backend& backend, Arena& arena, Loss loss, const Tensor& logits, const Targets& targets, double scale);

/// How far two answers to the same rows are apart, one value for each row: for classes the mean of the two Kullback-Leibler divergences
/// between their probabilities, summed over yes-or-no terms for BCE; for MSE the squared distance of the numbers.
/// R-Drop, Liang et al. 2021 (arXiv:2106.14448), equation 2. Logits a, b are (B, K); losses (B) have their dtype.
Tensor disagreement_forward(Backend& backend, Arena& arena, Loss loss, const Tensor& a, const Tensor& b);
/// Adds the gradient of `scale` times the sum of these values to da and db (B, K).
void disagreement_backward(Backend& backend, Arena& arena, Loss loss, Tensor da, Tensor db, const Tensor& a, const Tensor& b, double scale);

}  // namespace minbert
