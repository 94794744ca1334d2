// The CPU backend: oneDNN products, Highway kernels, OpenMP threads; f32 and bf16.
#pragma once

#include <memory>

#include "minbert/ops/backend.h"

namespace minbert {

/// Throws Error(kUsage) for an unknown instruction-set cap.
std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options);

}  // namespace minbert
