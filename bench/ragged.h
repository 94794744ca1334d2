// Batches of real lengths, and the figures that are printed of timing them.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "bench/timing.h"
#include "minbert/base/json.h"
#include "minbert/model/params.h"
#include "minbert/pipeline/tokens.h"

namespace minbert {

struct RaggedBench {
  std::string model = "minilm";   ///< Hugging Face folder; "minilm" or "bert-base": that size with random weights
  std::filesystem::path ids;      ///< token ids of an example on each line, one space apart; special ones included
  std::filesystem::path lengths;  ///< where there are no ids: tokens of each example, one whole number a line
  DType dtype = DType::kF32;      ///< kI8: see compute_in
  std::int64_t batch = 8;
  std::int64_t steps = 10;  ///< batches: consecutive examples of the file, going round where it is short
  std::int64_t rounds = 5;  ///< times each batch is timed, after one that is not
  std::int64_t seen = 0;    ///< step: rows of the word embeddings that earlier steps have met, so that AdamW has moments to sweep
};

/// The examples of options.ids, or random tokens with the lengths of the other file; cut to the model's positions. Throws Error(kData).
TokenizedRows ragged_rows(const RaggedBench& options, const ModelConfig& config);

/// The configuration that options.model means. Throws Error(kModel).
ModelConfig bench_config(const RaggedBench& options);
/// Weights of the folder; random ones where there is none, and for all parameters outside the encoder.
void load_bench_weights(const RaggedBench& options, Params& params);

/// Fills a batch with each run of examples and times `work` on it.
struct RaggedTimes {
  Timing each;
  std::int64_t tokens = 0;     ///< of all batches
  std::int64_t batches = 0;
  double pair_tokens = 0;  ///< sum of squared lengths
};
RaggedTimes time_batches(Backend& backend, const RaggedBench& options, const TokenizedRows& rows, const std::function<void(const Batch&)>& work);

/// The line to print: times, tokens per second, peak memory, the machine's peaks, with profiling the time by op, and the floor of docs/performance.md for
/// `passes` (1 forward, 3 with backward) over the encoder's linear layers plus AdamW on `trained` parameters. Measures the peaks.
Json ragged_report(std::string_view bench, Backend& backend, const RaggedBench& options, const ModelConfig& config,
                   const RaggedTimes& times, int passes, std::int64_t trained);

}  // namespace minbert
