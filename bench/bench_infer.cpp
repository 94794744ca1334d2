// A forward pass as in serving, on random tokens.
#include "bench/bench_infer.h"

#include "bench/machine.h"
#include "minbert/model/multitask.h"
#include "minbert/pipeline/batch_runner.h"

namespace minbert {

Json bench_infer(Backend& backend, const RaggedBench& options) {
  ModelShape shape;
  shape.config = bench_config(options);
  const TokenizedRows rows = ragged_rows(options, shape.config);
  const Compute compute = compute_in(backend, options.dtype);
  Params params(backend, shape, DType::kF32, compute.dtype, compute.use);
  load_bench_weights(options, params);
  MultitaskModel model(backend, params);
  BatchRunner runner(model);
  const std::vector<std::vector<std::uint32_t>> numbers(static_cast<std::size_t>(options.steps));  // of rows, which nobody asks for
  const RaggedTimes times = time_batches(backend, options, rows, [&](std::span<const Batch> batches) {
    runner.run(std::span(numbers).first(batches.size()), {}, [&](BatchLane& lane, std::size_t i) {
      lane.model.sentence_vectors(lane.arena, nullptr, batches[i].tokens(), Pool::kMean, {});
      lane.model.backend().synchronize();
    });
  });
  return ragged_report("infer", backend, options, shape.config, times, 1, 0);
}

}  // namespace minbert
