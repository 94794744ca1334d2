// A training step as in the trainer, on random tokens.
#include "bench/bench_step.h"

#include <algorithm>
#include <numeric>

#include "minbert/model/loss.h"
#include "minbert/model/multitask.h"
#include "minbert/train/optimizer.h"

namespace minbert {

Json bench_step(Backend& backend, const RaggedBench& options) {
  ModelShape shape;
  shape.config = bench_config(options);
  shape.heads.push_back({.task = "bench", .dropout = 0.3f, .dense = {shape.config.hidden_size}, .outputs = 5});
  const TokenizedRows rows = ragged_rows(options, shape.config);
  Params params(backend, shape, DType::kF32, options.dtype, WeightUse::kTrain);
  load_bench_weights(options, params);
  MultitaskModel model(backend, params);
  StageSpec stage;
  stage.clip = 1;
  Optimizer optimizer(params, stage, [](const ParamInfo&) { return true; }, 1);

  std::vector<std::int32_t> seen(static_cast<std::size_t>(std::min(options.seen, shape.config.vocab_size)));
  std::iota(seen.begin(), seen.end(), 0);
  optimizer.touch(seen);

  Arena arena(backend);
  TaskActivations saved;
  std::vector<std::int32_t> labels;
  DropoutState dropout{.hidden = 0.1f, .attention = 0.1f, .heads = true, .seed = 1};
  const RaggedTimes times = time_batches(backend, options, rows, [&](std::span<const Batch> one) {
    const Batch& batch = one.front();
    ++dropout.step;
    arena.reset();
    labels.clear();
    for (std::int64_t b = 0; b < options.batch; ++b) labels.push_back(static_cast<std::int32_t>(b % 5));
    const Targets targets{.labels = labels, .values = {}};
    const Tensor logits = model.forward(arena, &saved, 0, batch.tokens(), dropout);
    loss_forward(backend, arena, Loss::kCrossEntropy, logits, targets);
    const Tensor dlogits = loss_backward(backend, arena, Loss::kCrossEntropy, logits, targets, 1.0 / static_cast<double>(options.batch));
    model.backward(arena, optimizer.gradients(), dlogits, saved);
    optimizer.touch(batch.tokens().ids);
    optimizer.gradient_norm(0);
    optimizer.step(1);
    backend.synchronize();
  });
  return ragged_report("step", backend, options, shape.config, times, 3, params.numel());
}

}  // namespace minbert
