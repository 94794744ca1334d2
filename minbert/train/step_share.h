// StepShare: the rows of an optimizer step that one process computes; of a single process, all of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>

#include "minbert/model/encoder.h"
#include "minbert/train/optimizer.h"

namespace minbert {

/// A share divides its loss and gradient by the total of the whole step, so that the shares' add up to the step's.
struct StepShare {
  std::span<const std::uint32_t> rows;  ///< of the step, in its order; may be empty
  std::size_t first_row = 0;            ///< place of rows[0] among all rows of the step
  double total = 0;                     ///< terms of the whole step's loss (Objective::loss_terms), this share's and all others'
  std::size_t all_rows = 0;             ///< rows of the whole step
  /// Called during the backward pass of the last micro-batch, for each span of parameters as soon as its gradient is final. Gradients of
  /// other parameters are final when the share is done.
  Encoder::GradReady on_grad_ready = {};
};

/// Deals the rows of a step, whose numbers of tokens are given, to ranks in order: each gets about as many tokens, and maybe no row.
Part deal_rows(std::span<const std::int64_t> tokens, int rank, int size);

/// The results of the shares add up to the step's.
struct StepResult {
  double loss = 0;  ///< sum over its loss terms, divided by the step's total; before the task's weight
  std::int64_t tokens = 0;
  bool stop = false;  ///< a signal asks this process to stop after the step
};

/// Rows of a share that go through the model together.
struct MicroBatch {
  std::span<const std::uint32_t> rows;
  std::uint32_t first_row = 0;   ///< place of rows[0] in its micro-step
  std::uint16_t micro_step = 0;  ///< of the step
  bool is_last = false;          ///< of the share
};

/// Calls fn for each micro-batch of a share. A micro-step is `batch` rows of the whole step, wherever shares begin. Dropout masks are
/// addressed by micro-step and row, so they do not depend on how a step is shared.
template <class Fn>
void for_micro_batches(const StepShare& share, std::size_t batch, const Fn& fn) {
  for (std::size_t begin = 0, end = 0; begin < share.rows.size(); begin = end) {
    const std::size_t micro_step = (share.first_row + begin) / batch;
    end = std::min(share.rows.size(), (micro_step + 1) * batch - share.first_row);
    fn(MicroBatch{.rows = share.rows.subspan(begin, end - begin),
                  .first_row = static_cast<std::uint32_t>(share.first_row + begin - micro_step * batch),
                  .micro_step = static_cast<std::uint16_t>(micro_step),
                  .is_last = end == share.rows.size()});
  }
}

/// Figures of a whole step.
struct StepOutcome {
  double loss = 0;
  std::int64_t tokens = 0;
  double grad_norm = 0;  ///< before clipping
  bool stop = false;     ///< a signal asks one of the processes to stop
};

/// Ends a step on `head` after the backward passes of its shares: sums up what the ranks have, measures the gradient and updates the
/// parameters. Everything that depends on the whole step happens here, and is the same on all ranks. Throws Error(kDiverged) naming
/// `place` if loss or norm is not finite; the parameters are then what on_grad_ready has made of them.
StepOutcome finish_step(const StepResult& result, Optimizer::StepHead head, double lr_factor, Optimizer& optimizer,
                        const std::string& place);

}  // namespace minbert
