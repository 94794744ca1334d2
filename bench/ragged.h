// Batches with real lengths, and the printed figures of their times.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "bench/timing.h"
#include "minbert/base/json.h"
#include "minbert/model/params.h"
#include "minbert/pipeline/tokens.h"

namespace minbert {

struct RaggedBench {
  std::string model = "minilm";   ///< a Hugging Face folder, or a size with random weights: "minilm" or "bert-base"
  std::filesystem::path ids;      ///< the token ids of one example on each line, separated by one space; with [CLS] and [SEP]
  std::filesystem::path lengths;  ///< used where there are no ids: the number of tokens of one example on each line; with neither, by seed
  DType dtype = DType::kF32;      ///< kI8: see compute_in
  std::int64_t batch = 8;
  std::int64_t steps = 10;  ///< batches of consecutive examples of the file, which start over at its end
  std::int64_t rounds = 5;  ///< how often each batch is timed, after one round that is not
  bool together = false;    ///< for infer: all batches at once
  double clip = 1;          ///< for step: the gradient's norm is clipped to this; 0 does not clip
  std::int64_t seen = 0;    ///< for step: rows of the word embeddings that earlier steps touched, so that AdamW has moments to update
};

/// The examples of options.ids, or random tokens with the lengths in options.lengths or lengths by seed, cut to the model's positions.
/// Throws Error(kData).
TokenizedRows ragged_rows(const RaggedBench& options, const ModelConfig& config);

/// The configuration of options.model. Throws Error(kModel).
ModelConfig bench_config(const RaggedBench& options);
/// Reads the encoder's weights from the folder, if there is one. All other parameters are random.
void load_bench_weights(const RaggedBench& options, Params& params);

/// Fills a batch with each run of examples and times `work` on it, or on all batches at once.
struct RaggedTimes {
  Timing each;              ///< of a batch
  std::int64_t tokens = 0;  ///< in all batches
  std::int64_t batches = 0;
  double pair_tokens = 0;  ///< sum of squared lengths
};
RaggedTimes time_batches(Backend& backend, const RaggedBench& options, const TokenizedRows& rows,
                         const std::function<void(std::span<const Batch>)>& work);

/// The line to print: times, tokens per second, peak memory, the machine's peaks (which it measures), time by op when profiling, and the
/// floor (docs/performance.md) of `passes` over the encoder's linear layers (1 forward, 3 with backward) and AdamW on `trained` parameters.
Json ragged_report(std::string_view bench, Backend& backend, const RaggedBench& options, const ModelConfig& config,
                   const RaggedTimes& times, int passes, std::int64_t trained);

}  // namespace minbert
