// Times the way from texts to sentence vectors: tokenising, sorting by length, forward, pooling.
#pragma once

#include <cstdint>
#include <filesystem>

#include "minbert/base/json.h"
#include "minbert/ops/backend.h"

namespace minbert {

struct EmbedBench {
  std::filesystem::path model;  ///< Hugging Face folder
  std::filesystem::path input;  ///< one text on each line
  DType dtype = DType::kF32;    ///< kI8: see compute_in
  std::int64_t batch = 0;       ///< lines in one call; 0 = all
  std::int64_t rounds = 5;      ///< how often each call is timed, after one call that is not
};

/// One line: the time of a call (the mean over calls of each one's median), lines and tokens of all calls together, peak memory. Vectors
/// equal those of minbert embed. Throws Error(kData, kModel).
Json bench_embed(Backend& backend, const EmbedBench& options);

}  // namespace minbert
