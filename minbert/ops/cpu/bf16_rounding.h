// The switch between two ways to round vectors to bf16.
#pragma once

#include <atomic>

namespace minbert::cpu {

/// true: the instruction of AVX512_BF16 rounds. false: eight integer steps do, with the same bits. Each CpuBackend sets it by the processor
/// and MINBERT_ISA.
inline std::atomic<bool> rounds_by_instruction = false;

}  // namespace minbert::cpu
