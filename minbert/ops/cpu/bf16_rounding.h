// Whether vectors are rounded to bf16 by the instruction of AVX512_BF16.
#pragma once

#include <atomic>

namespace minbert::cpu {

/// Set by each CpuBackend, to what the processor has within the cap of MINBERT_ISA. Where it is false the same is done in eight steps.
inline std::atomic<bool> rounds_by_instruction = false;

}  // namespace minbert::cpu
