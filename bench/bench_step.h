// Times whole training steps of one task: forward, backward, clipping and AdamW, dropout on.
#pragma once

#include "bench/ragged.h"

namespace minbert {

/// One line: see ragged_report. The task is a five-class sentence task with one dense layer on [CLS]; everything trains.
Json bench_step(Backend& backend, const RaggedBench& options);

}  // namespace minbert
