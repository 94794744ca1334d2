// Times every op of one training step, with each layer's own weights, in the order of a real step.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/ops/backend.h"

namespace minbert {

/// The sizes of an encoder.
struct EncoderSizes {
  std::string name;
  std::int64_t layers, hidden, intermediate, heads, vocabulary, positions;

  /// The numbers of all trained parameters, and of those of linear layers.
  double parameters() const;
  double linear_parameters() const;
};

/// "bert-tiny" (2 layers of 128), "minilm" (6 of 384), "bert-base" (12 of 768) or "bert-large" (24 of 1024). Throws Error(kUsage) for
/// another name.
EncoderSizes encoder_sizes(std::string_view name);

struct OpBench {
  EncoderSizes sizes;
  std::int64_t sentences = 8;
  std::int64_t tokens = 28;  ///< in each sentence
  DType dtype = DType::kF32;
  float dropout = 0.1f;
  int repeats = 5;  ///< timed steps, after two that are not timed
};

/// One line for each op and one for the whole step: shape, milliseconds (median over steps, summed over the op's calls in a step),
/// GFLOP/s, GB/s and their ratio to the machine's peaks. The last line compares the sum with the floor of docs/performance.md.
std::vector<Json> bench_ops(Backend& backend, const OpBench& options);

}  // namespace minbert
