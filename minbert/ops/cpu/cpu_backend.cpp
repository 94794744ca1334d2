// The CPU backend's entry point, the choice of instruction set, and memory.
#include "minbert/ops/cpu/cpu_backend.h"

#include <hwy/highway.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "minbert/ops/cpu/bf16_rounding.h"
#include "minbert/ops/cpu/cpu.h"

namespace minbert {
namespace cpu {
namespace {

/// Highway's targets that the cap `isa` forbids.
std::int64_t targets_above(std::string_view isa) {
  constexpr std::int64_t kAvx512 = HWY_AVX3 | HWY_AVX3_DL;
  if (isa == "sse2") return kAvx512 | HWY_AVX2 | HWY_SSE4 | HWY_SSSE3;
  if (isa == "avx2") return kAvx512;
  return 0;
}

/// Highway's targets within the cap. SupportedTargets() makes dispatch forget the cap, so Update() sets it again.
std::int64_t usable_targets() {
  const std::int64_t targets = hwy::SupportedTargets();
  hwy::GetChosenTarget().Update(targets);
  return targets;
}

void cap_isa(std::string_view isa) {
  static constexpr std::string_view kNames[] = {"sse2", "avx2", "avx512", "avx512_bf16", "amx"};
  if (isa.empty()) return;
  if (std::find(std::begin(kNames), std::end(kNames), isa) == std::end(kNames))
    throw Error(ErrorTag::kUsage, "MINBERT_ISA", fmt::format("expected one of {}, got \"{}\"", fmt::join(kNames, ", "), isa));
  cap_gemm_isa(isa);
  hwy::DisableTargets(targets_above(isa));
  usable_targets();
}

}  // namespace

CpuBackend::CpuBackend(const BackendOptions& options) : options_(options) {
  cap_isa(options.isa);
  supports_bf16_ = gemm_.supports_bf16();
  rounds_by_instruction = has_avx512_bf16();
}

CpuBackend::~CpuBackend() = default;

std::string CpuBackend::description() const {
  // Highway lists targets best first, as bits from the lowest.
  const auto usable = static_cast<std::uint64_t>(usable_targets() & HWY_TARGETS);
  const char* kernels = usable == 0 ? "scalar" : hwy::TargetName(static_cast<std::int64_t>(usable & (~usable + 1)));
  return fmt::format("{}, Highway {}, {} threads{}{}", gemm_description(), kernels, num_threads(), supports_bf16_ ? ", bf16" : "",
                     supports_int8() ? ", int8" : "");
}

void CpuBackend::copy_to_device(Tensor dst, const void* src) { copy(dst, Tensor(const_cast<void*>(src), dst.dtype(), dst.shape())); }

void CpuBackend::copy_to_host(void* dst, const Tensor& src) {
  const OpScope scope(*this, "copy", 0, 2.0 * static_cast<double>(src.bytes()), {});
  copy_elements(Tensor(dst, src.dtype(), src.shape()), src);
}

void CpuBackend::copy(Tensor dst, const Tensor& src) {
  shapes::same(dst, src, "copy");
  MINBERT_CHECK(dst.dtype() == src.dtype(), "copy of {} to {}", src.describe(), dst.describe());
  const OpScope scope(*this, "copy", 0, 2.0 * static_cast<double>(src.bytes()), {dst});
  copy_elements(dst, src);
}

void CpuBackend::copy_elements(const Tensor& dst, const Tensor& src) {
  const std::size_t size = dtype_size(src.dtype());
  for_pieces({&dst, &src}, [&](const Piece& piece) {
    const auto at = [&](const Tensor& x) {
      return static_cast<std::byte*>(x.raw()) + static_cast<std::size_t>(piece.row * x.row_stride() + piece.col) * size;
    };
    std::memcpy(at(dst), at(src), static_cast<std::size_t>(piece.n) * size);
  });
}

void CpuBackend::zero(Tensor x) {
  const OpScope scope(*this, "zero", 0, static_cast<double>(x.bytes()), {});
  const std::size_t size = dtype_size(x.dtype());
  for_pieces({&x}, [&](const Piece& piece) {
    std::memset(static_cast<std::byte*>(x.raw()) + static_cast<std::size_t>(piece.row * x.row_stride() + piece.col) * size, 0,
                static_cast<std::size_t>(piece.n) * size);
  });
}

}  // namespace cpu

std::unique_ptr<Backend> make_cpu_backend(const BackendOptions& options) { return std::make_unique<cpu::CpuBackend>(options); }

}  // namespace minbert
