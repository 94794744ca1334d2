// The CPU backend: oneDNN products and Highway kernels; f32 and bf16.
#pragma once

#include <memory>

#include "minbert/ops/backend.h"

namespace minbert {

/// options.isa caps the instruction set of the whole process. It must be set before the first product of any backend.
/// Throws Error(kUsage) for an unknown cap, or for a lower one that comes too late.
std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options);

}  // namespace minbert
