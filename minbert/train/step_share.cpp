// Ends an optimizer step.
#include "minbert/train/step_share.h"

#include <array>
#include <cmath>
#include <numeric>

namespace minbert {

Part deal_rows(std::span<const std::int64_t> tokens, int rank, int size) {
  const auto all = static_cast<double>(std::accumulate(tokens.begin(), tokens.end(), std::int64_t{0}));
  // The cut before rank r is where the tokens before it come closest to r / size of all.
  const auto cut = [&](int r) {
    const double wanted = all * r / size;
    std::size_t row = 0;
    for (double before = 0; row < tokens.size(); ++row) {
      const auto next = before + static_cast<double>(tokens[row]);
      if (next - wanted > wanted - before) break;
      before = next;
    }
    return row;
  };
  return {cut(rank), rank + 1 == size ? tokens.size() : cut(rank + 1)};
}

StepOutcome finish_step(const StepResult& result, Optimizer::StepHead head, double lr_factor, Optimizer& optimizer,
                        const std::string& place) {
  std::array<double, 3> sums = {result.loss, static_cast<double>(result.tokens), result.stop ? 1.0 : 0.0};
  const double norm = optimizer.gradient_norm(head, sums);
  const StepOutcome outcome{.loss = sums[0], .tokens = static_cast<std::int64_t>(sums[1]), .grad_norm = norm, .stop = sums[2] > 0};
  if (!std::isfinite(outcome.loss) || !std::isfinite(outcome.grad_norm))
    throw Error(ErrorTag::kDiverged, place,
                fmt::format("expected finite numbers, got loss {} and gradient norm {}", outcome.loss, outcome.grad_norm),
                "a smaller lr, clip = 1.0 or a warm-up may help; checkpoints are as they were");
  optimizer.step(lr_factor);
  return outcome;
}

}  // namespace minbert
