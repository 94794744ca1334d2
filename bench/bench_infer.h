// Times forward passes: token ids to sentence vectors.
#pragma once

#include "bench/ragged.h"

namespace minbert {

/// One line: see ragged_report. Sentence vectors are means over the last hidden states, so every row of every layer is computed.
Json bench_infer(Backend& backend, const RaggedBench& options);

}  // namespace minbert
