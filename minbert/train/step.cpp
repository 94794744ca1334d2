// One optimizer step, micro-batch by micro-batch.
#include "minbert/train/step.h"

#include <algorithm>
#include <numeric>

namespace minbert {

StepResult TrainStep::run(const StepRows& rows, std::span<const std::uint32_t> which, std::size_t batch, DropoutState dropout,
                          Optimizer& optimizer) {
  const auto count = static_cast<double>(which.size());
  StepResult result;
  for (std::size_t begin = 0; begin < which.size(); begin += batch) {
    const auto micro = which.subspan(begin, std::min(batch, which.size() - begin));
    result.loss += micro_step(rows, micro, setup_.specs[rows.task].weight / count, dropout, optimizer);
    ++dropout.micro_step;
  }
  result.loss /= count;
  for (const std::uint32_t row : which) result.tokens += rows.rows->row_tokens(row);
  return result;
}

/// Returns the sum of the rows' losses.
double TrainStep::micro_step(const StepRows& rows, std::span<const std::uint32_t> which, double scale, const DropoutState& dropout,
                             Optimizer& optimizer) {
  Backend& backend = *setup_.backend;
  MultitaskModel& model = *setup_.model;
  const TaskSpec& task = setup_.specs[rows.task];
  arena_.reset();
  targets_.fill(task, *rows.rows, which);
  const bool cached = !rows.vectors.empty();

  Tensor logits;
  if (cached) {
    examples_.clear();
    for (std::uint32_t i = 0; i < which.size(); ++i) examples_.push_back({.row = i});
    const Tensor u = gather(rows, which, 0), v = rows.rows->per_row == 2 ? gather(rows, which, 1) : Tensor();
    logits = model.head_forward(arena_, &activations_.head, rows.task, u, v, examples_, dropout);
  } else {
    batch_.fill(*rows.rows, which, 0);
    optimizer.touch(batch_.tokens().ids);
    logits = model.forward(arena_, &activations_, rows.task, batch_.tokens(), dropout);
  }
  const double loss = sum_of(loss_forward(backend, arena_, task.trained_by(), logits, targets_.targets()));
  const Tensor dlogits = loss_backward(backend, arena_, task.trained_by(), logits, targets_.targets(), scale);
  if (cached)
    model.head_backward(arena_, optimizer.gradients(), dlogits, activations_.head);
  else
    model.backward(arena_, optimizer.gradients(), dlogits, activations_);
  return loss;
}

/// Sentence vectors (B, C) of the rows' first (pass 0) or second texts.
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

double TrainStep::sum_of(const Tensor& losses) {
  host_.resize(static_cast<std::size_t>(losses.numel()));
  setup_.backend->copy_to_host(host_.data(), losses);
  return std::accumulate(host_.begin(), host_.end(), 0.0);
}

}  // namespace minbert
