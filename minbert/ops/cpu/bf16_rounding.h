// The switch between two ways to round vectors to bf16.
#pragma once

#include <atomic>

namespace minbert::cpu {

/// Whether the AVX512_BF16 instruction rounds. Each CpuBackend sets it by the processor and MINBERT_ISA. Else eight steps round alike.
inline std::atomic<bool> rounds_by_instruction = false;

}  // namespace minbert::cpu
