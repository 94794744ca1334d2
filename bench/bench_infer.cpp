// A forward pass as in serving, on random tokens.
#include "bench/bench_infer.h"

#include "bench/machine.h"
#include "minbert/model/multitask.h"

namespace minbert {

Json bench_infer(Backend& backend, const RaggedBench& options) {
  ModelShape shape;
  shape.config = bench_config(options);
  const TokenizedRows rows = ragged_rows(options, shape.config);
  const Compute compute = compute_in(backend, options.dtype);
  Params params(backend, shape, DType::kF32, compute.dtype, compute.use);
  load_bench_weights(options, params);
  MultitaskModel model(backend, params);
  Arena arena(backend);
  const RaggedTimes times = time_batches(backend, options, rows, [&](const Batch& batch) {
    arena.reset();
    model.sentence_vectors(arena, nullptr, batch.tokens(), Pool::kMean, {});
    backend.synchronize();
  });
  return ragged_report("infer", backend, options, shape.config, times, 1, 0);
}

}  // namespace minbert
