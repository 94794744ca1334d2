// A training step as in the trainer, on random tokens.
#include "bench/bench_step.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "minbert/base/clock.h"
#include "minbert/base/rng.h"
#include "minbert/model/loss.h"
#include "minbert/model/multitask.h"
#include "minbert/train/optimizer.h"

namespace minbert {
namespace {

/// Gives the first rows of the word embeddings moments, as in a long run every word has them.
void see_words(const Params& params, Optimizer& optimizer, std::int64_t rows) {
  if (rows == 0) return;
  const Tensor gradient = optimizer.gradients()[params.index("embeddings.word_embeddings.weight")].slice_rows(0, rows);
  Rng rng(1, "seen");
  std::vector<float> values(static_cast<std::size_t>(gradient.numel()));
  for (float& value : values) value = static_cast<float>(1e-3 * rng.normal());
  params.backend().copy_to_device(gradient, values.data());
  std::vector<std::int32_t> ids(static_cast<std::size_t>(rows));
  std::iota(ids.begin(), ids.end(), 0);
  optimizer.touch(ids);
  optimizer.gradient_norm(0);
  optimizer.step(1);
}

}  // namespace

Json bench_step(Backend& backend, const RaggedBench& options) {
  ModelShape shape;
  shape.config = bench_config(options);
  shape.heads.push_back({.task = "bench", .dropout = 0.3f, .dense = {shape.config.hidden_size}, .outputs = 5});
  const TokenizedRows rows = ragged_rows(options, shape.config);
  Params params(backend, shape, DType::kF32, options.dtype, WeightUse::kTrain);
  load_bench_weights(options, params);
  MultitaskModel model(backend, params);
  StageSpec stage;
  stage.clip = options.clip;
  Optimizer optimizer(params, stage, [](const ParamInfo&) { return true; }, 1);

  see_words(params, optimizer, std::min(options.seen, shape.config.vocab_size));

  Arena arena(backend);
  TaskActivations saved;
  std::vector<std::int32_t> labels;
  DropoutState dropout{.hidden = 0.1f, .attention = 0.1f, .heads = true, .seed = 1};
  RaggedTimes times = time_batches(backend, options, rows, [&](std::span<const Batch> one) {
    const Batch& batch = one.front();
    ++dropout.step;
    arena.reset();
    optimizer.touch(batch.tokens().ids);
    labels.clear();
    for (std::int64_t b = 0; b < options.batch; ++b) labels.push_back(static_cast<std::int32_t>(b % 5));
    const Targets targets{.labels = labels, .values = {}};
    const Tensor logits = model.forward(arena, &saved, 0, batch.tokens(), dropout);
    loss_forward(backend, arena, Loss::kCrossEntropy, logits, targets);
    const Tensor dlogits = loss_backward(backend, arena, Loss::kCrossEntropy, logits, targets, 1.0 / static_cast<double>(options.batch));
    model.backward(arena, optimizer.gradients(), dlogits, saved, optimizer.begin_step(0, 1));
    optimizer.gradient_norm(0);
    optimizer.step(1);
    backend.synchronize();
  });
  // What the words of other batches wait for belongs to the steps.
  const Stopwatch watch;
  optimizer.settle();
  backend.synchronize();
  const double settle_ms = watch.seconds() * 1e3 / dropout.step;
  times.each.ms += settle_ms;
  times.each.best_ms += settle_ms;
  return ragged_report("step", backend, options, shape.config, times, 3, params.numel());
}

}  // namespace minbert
