// Runs the steps of a contrastive stage.
#include "minbert/train/contrastive_objective.h"

#include <algorithm>

namespace minbert {

ContrastiveObjective::ContrastiveObjective(RunSetup& setup, const StageSpec& stage, std::span<const ContrastiveTexts> texts)
    : setup_(setup), stage_(stage), texts_(texts), widths_(stage.contrastive->widths), arena_(*setup.backend) {
  for (const ContrastiveTexts& source : texts) sampled_.push_back({source.name, source.rows.rows(), stage.batch * stage.accumulate});
  if (const std::int64_t whole = setup.params->config().hidden_size; std::ranges::find(widths_, whole) == widths_.end())
    widths_.push_back(whole);
}

StepResult ContrastiveObjective::step(std::size_t i, const StepShare& share, int, DropoutState dropout, Optimizer& optimizer) {
  const ContrastiveTexts& texts = texts_[i];
  StepResult result;
  for_micro_batches(share, static_cast<std::size_t>(stage_.batch), [&](const MicroBatch& micro) {
    dropout.micro_step = micro.micro_step;
    result.loss +=
        micro_step(texts, micro.rows, 1 / share.total, dropout, optimizer, micro.is_last ? share.on_grad_ready : Encoder::GradReady());
  });
  result.loss /= share.total;
  for (const std::uint32_t row : share.rows) result.tokens += texts.rows.row_tokens(row);
  return result;
}

/// Runs forward and backward on one micro-batch, and returns the sum of its rows' losses, each the mean over all widths.
double ContrastiveObjective::micro_step(const ContrastiveTexts& texts, std::span<const std::uint32_t> rows, double scale,
                                        const DropoutState& dropout, Optimizer& optimizer, const Encoder::GradReady& on_grad_ready) {
  Backend& backend = *setup_.backend;
  arena_.reset();
  batch_.fill(texts.rows, rows, 0, texts.rows.per_row == 2 ? 1 : 2);
  optimizer.touch(batch_.tokens().ids);
  const Tensor vectors = setup_.model->sentence_vectors(arena_, &activations_, batch_.tokens(), Pool::kMean, dropout);
  groups_.clear();
  for (const std::uint32_t row : rows) groups_.push_back(texts.groups[row]);
  const Indices groups = backend.upload(arena_, std::span<const std::int32_t>(groups_));

  const std::int64_t B = std::ssize(rows);
  const Tensor dvectors = arena_.allocate(vectors.dtype(), vectors.shape()), losses = arena_.allocate(vectors.dtype(), {B});
  backend.zero(dvectors);
  const auto share = static_cast<double>(widths_.size());
  double loss = 0;
  for (const std::int64_t width : widths_) {
    const auto half = [&](const Tensor& both, std::int64_t begin) { return both.slice_rows(begin, begin + B).slice_cols(0, width); };
    const Tensor u = half(vectors, 0), v = half(vectors, B);
    backend.contrastive(losses, u, v, groups, stage_.contrastive->temperature);
    backend.contrastive_backward(half(dvectors, 0), half(dvectors, B), u, v, groups, stage_.contrastive->temperature, scale / share);
    loss = sum_of(backend, losses, loss);
  }
  setup_.model->vectors_backward(arena_, optimizer.gradients(), dvectors, activations_, on_grad_ready);
  return loss / share;
}

}  // namespace minbert
