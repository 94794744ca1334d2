// TrainStep: the forward and backward passes of one optimizer step on a task.
#pragma once

#include <span>
#include <vector>

#include "minbert/train/objective.h"

namespace minbert {

/// The rows of one task that optimizer steps draw from.
struct StepRows {
  std::size_t task = 0;  ///< index into RunSetup::tasks
  const TokenizedRows* rows = nullptr;
  std::span<const float> vectors;  ///< their sentence vectors (encode_rows) if a frozen encoder is cached; else empty
  SoftLabels soft = {};            ///< what teachers answer to them, if there are any
};

class TrainStep {
 public:
  /// `setup` must outlive this object.
  explicit TrainStep(RunSetup& setup) : setup_(setup), arena_(*setup.backend) {}

  /// Adds to optimizer.gradients() the part of the step's gradient that comes from the share's rows, in micro-batches of `batch` rows. The
  /// step's gradient is that of the task's weight times the mean loss of all rows of the step. Calls optimizer.touch() for the token ids.
  /// Sets dropout.micro_step itself.
  StepResult run(const StepRows& rows, const StepShare& share, std::size_t batch, DropoutState dropout, Optimizer& optimizer);

  /// Peak bytes of activations so far.
  std::size_t activation_bytes() const { return arena_.peak_bytes(); }

 private:
  double micro_step(const StepRows& rows, const MicroBatch& micro, double scale, double disagreement, const DropoutState& dropout,
                    Optimizer& optimizer, const Encoder::GradReady& on_grad_ready);
  Tensor gather(const StepRows& rows, std::span<const std::uint32_t> which, std::size_t pass);

  RunSetup& setup_;
  Arena arena_;
  Batch batch_;
  BatchTargets targets_;
  TaskActivations activations_;
  std::vector<std::uint32_t> answered_;  // the rows of cached vectors, once for each pass
  std::vector<RowId> examples_;
  std::vector<float> host_;
};

}  // namespace minbert
