// Losses of tasks (paper eq. 4-6): one value a row, so that any mean over rows is exact.
#pragma once

#include <span>

#include "minbert/ops/backend.h"

namespace minbert {

enum class Loss : std::uint8_t { kCrossEntropy, kBce, kMse };

/// What the rows of a batch should be. Views, in host memory.
struct Targets {
  std::span<const std::int32_t> labels;  ///< (B) of cross-entropy, in [0, K)
  std::span<const float> values;         ///< (B) of the others: in [0, 1] for BCE, the label itself for MSE
};

/// Losses (B) of logits (B, K), K = 1 but for cross-entropy, in their dtype.
Tensor loss_forward(Backend& backend, Arena& arena, Loss loss, const Tensor& logits, const Targets& targets);
/// dlogits (B, K) of `scale` times the sum of the losses: scale = 1 / rows of the optimizer step, times the task's weight.
Tensor loss_backward(Backend& backend, Arena& arena, Loss loss, const Tensor& logits, const Targets& targets, double scale);

}  // namespace minbert
