// A task's head as ONNX nodes: logits, and the numbers that `minbert predict` makes of them.
#pragma once

#include "minbert/onnx/layers.h"
#include "minbert/pipeline/task.h"

namespace minbert {

/// Adds the head of a task on sentence vectors u (batch, C) and, if its rows are two sequences, v (batch, C), and the outputs TASK.logits
/// (batch, K) and TASK.probs (batch, classes), or TASK.value (batch) of a task of numbers.
void add_head(OnnxLayers& layers, const TaskSpec& task, const HeadShape& shape, const OnnxValue& u, const OnnxValue& v);

}  // namespace minbert
