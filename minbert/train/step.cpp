// Runs the micro-batches of an optimizer step.
#include "minbert/train/step.h"

namespace minbert {

StepResult TrainStep::run(const StepRows& rows, const StepShare& share, std::size_t batch, DropoutState dropout, Optimizer& optimizer) {
  const TaskSpec& task = setup_.tasks[rows.task].spec;
  const double scale = task.weight / share.total;
  // Class weights are for the losses alone: the disagreement of both passes is averaged over rows, and over the labels of a set.
  const double disagreement = task.r_drop * (share.total / unweighted_terms(task, share.all_rows));
  StepResult result;
  for_micro_batches(share, batch, [&](const MicroBatch& micro) {
    dropout.micro_step = micro.micro_step;
    result.loss +=
        micro_step(rows, micro, scale, disagreement, dropout, optimizer, micro.is_last ? share.on_grad_ready : Encoder::GradReady());
  });
  result.loss /= share.total;
  for (const std::uint32_t row : share.rows) result.tokens += rows.rows->row_tokens(row);
  return result;
}

/// Runs forward and backward on one micro-batch, and returns the sum of its rows' losses, with `disagreement` times that of R-Drop's
/// passes.
double TrainStep::micro_step(const StepRows& rows, const MicroBatch& micro, double scale, double disagreement, const DropoutState& dropout,
                             Optimizer& optimizer, const Encoder::GradReady& on_grad_ready) {
  Backend& backend = *setup_.backend;
  MultitaskModel& model = *setup_.model;
  const TaskSpec& task = setup_.tasks[rows.task].spec;
  arena_.reset();
  const int passes = task.r_drop > 0 ? 2 : 1;
  targets_.fill(task, *rows.rows, micro.rows, rows.soft);
  const bool cached = !rows.vectors.empty();

  Tensor logits;
  if (cached) {
    examples_.clear();
    answered_.clear();
    for (std::uint8_t pass = 0; pass < passes; ++pass) {
      answered_.insert(answered_.end(), micro.rows.begin(), micro.rows.end());
      for (std::uint32_t i = 0; i < micro.rows.size(); ++i)
        examples_.push_back({.row = micro.first_row + i, .pass = static_cast<std::uint8_t>(2 * pass)});
    }
    const Tensor u = gather(rows, answered_, 0), v = rows.rows->per_row == 2 ? gather(rows, answered_, 1) : Tensor();
    logits = model.head_forward(arena_, &activations_.head, rows.task, u, v, examples_, dropout);
  } else {
    batch_.fill(*rows.rows, micro.rows, micro.first_row, passes);
    optimizer.touch(batch_.tokens().ids);
    logits = model.forward(arena_, &activations_, rows.task, batch_.tokens(), dropout);
  }
  const Loss trained_by = task.trained_by();
  const auto of_pass = [B = std::ssize(micro.rows)](const Tensor& all, std::int64_t pass) {
    return all.slice_rows(pass * B, (pass + 1) * B);
  };
  const Tensor dlogits = arena_.allocate(logits.dtype(), logits.shape());
  double loss = 0;
  for (int pass = 0; pass < passes; ++pass) {
    const Tensor own = of_pass(logits, pass);
    loss += sum_of(backend, loss_forward(backend, arena_, trained_by, own, targets_.targets())) / passes;
    backend.copy(of_pass(dlogits, pass), loss_backward(backend, arena_, trained_by, own, targets_.targets(), scale / passes));
  }
  if (passes == 2) {
    const Tensor a = of_pass(logits, 0), b = of_pass(logits, 1);
    loss += disagreement * sum_of(backend, disagreement_forward(backend, arena_, trained_by, a, b));
    disagreement_backward(backend, arena_, trained_by, of_pass(dlogits, 0), of_pass(dlogits, 1), a, b, scale * disagreement);
  }
  if (cached)
    model.head_backward(arena_, optimizer.gradients(), dlogits, activations_.head);
  else
    model.backward(arena_, optimizer.gradients(), dlogits, activations_, on_grad_ready);
  return loss;
}

/// Copies the cached sentence vectors of the rows `which` to a tensor (B, C): those of their first texts for pass 0, of their second for 1.
Tensor TrainStep::gather(const StepRows& rows, std::span<const std::uint32_t> which, std::size_t pass) {
  const auto width = static_cast<std::size_t>(setup_.params->config().hidden_size), per_row = static_cast<std::size_t>(rows.rows->per_row);
  host_.clear();
  for (const std::uint32_t row : which) {
    const auto vector = rows.vectors.subspan((row * per_row + pass) * width, width);
    host_.insert(host_.end(), vector.begin(), vector.end());
  }
  const Tensor out = arena_.allocate(DType::kF32, {std::ssize(which), static_cast<std::int64_t>(width)});
  setup_.backend->copy_to_device(out, host_.data());
  return out;
}

}  // namespace minbert
