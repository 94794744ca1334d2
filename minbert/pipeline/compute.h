// Compute: what the dtype names f32, bf16 and int8 mean to a model on this processor.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "minbert/base/env.h"
#include "minbert/ops/backend.h"

namespace minbert {

/// How an encoder computes: activations have `dtype`; products run in it too, or in 8-bit integers (WeightUse::kForwardInt8).
struct Compute {
  DType dtype = DType::kF32;
  WeightUse use = WeightUse::kForward;
};

/// The computation that `dtype` ("f32", "bf16" or "int8") names: int8 means 8-bit products between bf16 activations, or f32 ones where the
/// backend has no bf16. What the backend lacks becomes f32, after a call of `lacks` with what is missing; it may throw instead.
Compute resolve_compute(const Backend& backend, std::string_view dtype, const std::function<void(const std::string& what)>& lacks);

/// The dtype that names this computation: resolve_compute()'s argument, or "f32" where the backend lacks it.
std::string_view compute_name(const Compute& compute);

/// Threads for maths: `asked`, else MINBERT_THREADS, else available_cores(). 0 stands for what is not given.
int thread_count(const Env& env, int asked);

/// The backend that the environment names, with the switches of MINBERT_DEBUG that show nothing by themselves.
std::unique_ptr<Backend> open_backend(const Env& env);

}  // namespace minbert
