// The machine's peaks: a square product and a streaming sweep.
#include "bench/machine.h"

#include <algorithm>
#include <cstring>

#include "minbert/base/clock.h"
#include "minbert/base/parallel.h"

namespace minbert {

Compute compute_in(const Backend& backend, DType dtype) {
  const auto refuse = [](const std::string& what) { throw Error(ErrorTag::kUsage, "--dtype", what); };
  return resolve_compute(backend, dtype == DType::kI8 ? "int8" : dtype_name(dtype), refuse);
}

double measure_gemm_peak(Backend& backend, DType dtype) {
  const Compute compute = compute_in(backend, dtype);
  constexpr std::int64_t kSize = 2048;
  constexpr double kFlops = 2.0 * kSize * kSize * kSize;
  Arena arena(backend);
  const Tensor master = arena.allocate(DType::kF32, {kSize, kSize});
  const Tensor x = arena.allocate(compute.dtype, {kSize, kSize}), out = arena.allocate(compute.dtype, {kSize, kSize});
  backend.zero(master);
  backend.zero(x);
  const PreparedWeight weight = backend.prepare(master, compute.dtype, compute.use, nullptr, {});
  double best = 0;
  for (int repeat = 0; repeat < 10; ++repeat) {
    const Stopwatch watch;
    backend.linear(out, x, weight, {});
    backend.synchronize();
    best = std::max(best, kFlops / watch.seconds() * 1e-9);
  }
  return best;
}

double measure_bandwidth() {
  constexpr std::int64_t kCount = 16 << 20;
  HostMemory memory;
  Arena arena(memory);
  const Tensor all = arena.allocate(DType::kF32, {4, kCount});
  float* const value = all.data<float>();
  float *const m = value + kCount, *const v = m + kCount, *const gradient = v + kCount;
  double best = 0;
  for (int repeat = 0; repeat < 6; ++repeat) {  // the first repeat maps the pages
    const Stopwatch watch;
    parallel_for(kCount, kCount / 256, [&](std::int64_t begin, std::int64_t end) {
      if (repeat == 0)
        for (float* stream : {value, m, v, gradient}) std::fill(stream + begin, stream + end, 1.0f);
      for (std::int64_t i = begin; i < end; ++i) {
        m[i] = 0.9f * m[i] + 0.1f * gradient[i];
        v[i] = 0.9f * v[i] + 0.1f * gradient[i];
        value[i] -= 0.001f * (m[i] - v[i]);
      }
    });
    best = std::max(best, 28.0 * kCount / watch.seconds() * 1e-9);
  }
  return best;
}

}  // namespace minbert
