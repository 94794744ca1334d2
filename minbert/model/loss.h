// Losses of tasks (paper eq. 4-6): one value for each row, so that callers can take any mean of them.
#pragma once

#include <cstdint>
#include <span>

#include "minbert/ops/backend.h"

namespace minbert {

enum class Loss : std::uint8_t { kCrossEntropy, kBce, kMse, kPearson, kCosent };

/// Whether the logit itself is the number that is predicted.
constexpr bool predicts_numbers(Loss loss) { return loss == Loss::kMse || loss == Loss::kPearson || loss == Loss::kCosent; }
/// Whether the loss compares the rows of a micro-batch with each other, so that it depends on how rows are cut into batches.
constexpr bool compares_rows(Loss loss) { return loss == Loss::kPearson || loss == Loss::kCosent; }

/// The targets of a batch's rows: views of host memory.
struct Targets {
  std::span<const std::int32_t> labels;  ///< (B) for cross-entropy, in [0, K)
  std::span<const float> values;         ///< the other losses: (B, K) in [0, 1] for BCE, (B) labels themselves for numbers; for
                                         ///< cross-entropy without labels (B, K), each class's share of the loss
  std::span<const float> weights = {};   ///< BCE: (B, K) factors of the terms; empty: all 1
  double range = 1;                      ///< kCosent: width of the label range, which a cosine from 0 to 1 spans
};

/// Losses (B) of logits (B, K), in the logits' dtype; BCE sums over K. K = 1 for numbers. kPearson and kCosent give each row the batch's
/// loss; kCosent multiplies differences of cosines by 20, as sentence-transformers does.
Tensor loss_forward(Backend& backend, Arena& arena, Loss loss, const Tensor& logits, const Targets& targets);
/// The gradient (B, K) of `scale` times the sum of the losses; `scale` is the task's weight / rows of the optimizer step.
Tensor loss_backward(Backend& backend, Arena& arena, Loss loss, const Tensor& logits, const Targets& targets, double scale);

/// How far two answers to the same rows are apart, one value for each row: for classes the mean of the two Kullback-Leibler divergences
/// between their probabilities, summed over yes-or-no terms for BCE; for numbers the squared distance of the numbers.
/// R-Drop, Liang et al. 2021 (arXiv:2106.14448), equation 2. Logits a, b are (B, K); losses (B) have their dtype.
Tensor disagreement_forward(Backend& backend, Arena& arena, Loss loss, const Tensor& a, const Tensor& b);
/// Adds the gradient of `scale` times the sum of these values to da and db (B, K).
void disagreement_backward(Backend& backend, Arena& arena, Loss loss, Tensor da, Tensor db, const Tensor& a, const Tensor& b, double scale);

}  // namespace minbert
