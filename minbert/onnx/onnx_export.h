// Export: a model as ONNX graphs, which onnxruntime runs.
#pragma once

#include <filesystem>

#include "minbert/pipeline/text_model.h"

namespace minbert {

/// Throws Error(kUsage) for what no graph can hold: poolings that must know where a prompt ends, and weights of 2 GiB and more.
void expect_onnx_can_hold(const ModelFolder& folder, const SentenceModules& modules, const Params& params);

/// Writes into `folder`, which exists, model.onnx: the encoder, with the outputs last_hidden_state, sentence_embedding and, for each task
/// whose rows are one sequence, what add_head() names; for a task whose rows are two, TASK.vector (batch, C), and beside it TASK_head.onnx,
/// its head, which takes two such vectors, u and v. Values are f32. The model must compute in f32. Throws Error(kUsage) in a build without
/// libonnx, and Error(kResources).
void export_onnx(const std::filesystem::path& folder, const TextModel& model, const SentenceModules& modules);

}  // namespace minbert
