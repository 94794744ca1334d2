// Ends an optimizer step.
#include "minbert/train/step_share.h"

#include <cmath>

namespace minbert {

StepOutcome finish_step(const StepResult& result, Optimizer::StepHead head, double lr_factor, Optimizer& optimizer,
                        const std::string& place) {
  // A communicator between processes joins here, before the norm. It unites the touched rows and sums gradients, losses and tokens, after
  // which all processes compute the same.
  const StepOutcome outcome{.loss = result.loss, .tokens = result.tokens, .grad_norm = optimizer.gradient_norm(head)};
  if (!std::isfinite(outcome.loss) || !std::isfinite(outcome.grad_norm))
    throw Error(ErrorTag::kDiverged, place,
                fmt::format("expected finite numbers, got loss {} and gradient norm {}", outcome.loss, outcome.grad_norm),
                "a smaller lr, clip = 1.0 or a warm-up may help; checkpoints are as they were");
  optimizer.step(lr_factor);
  return outcome;
}

}  // namespace minbert
