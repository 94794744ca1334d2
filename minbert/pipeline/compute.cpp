// Resolves a dtype's name against what the backend supports.
#include "minbert/pipeline/compute.h"

#include "minbert/base/check.h"
#include "minbert/base/parallel.h"

namespace minbert {

Compute resolve_compute(const Backend& backend, std::string_view dtype, const std::function<void(const std::string& what)>& lacks) {
  const bool bf16 = dtype == "bf16", int8 = dtype == "int8";
  MINBERT_CHECK(bf16 || int8 || dtype == "f32", "dtype {}", dtype);
  if (int8 && backend.supports_int8()) return {backend.supports_bf16() ? DType::kBF16 : DType::kF32, WeightUse::kForwardInt8};
  if (bf16 && backend.supports_bf16()) return {DType::kBF16};
  if (bf16 || int8) lacks(fmt::format("this processor has no {} products ({})", dtype, backend.description()));
  return {};
}

std::string_view compute_name(const Compute& compute) {
  return compute.use == WeightUse::kForwardInt8 ? "int8" : compute.dtype == DType::kBF16 ? "bf16" : "f32";
}

int thread_count(const Env& env, int asked) {
  if (asked < 0 || asked > kMostThreads)
    throw Error(ErrorTag::kUsage, "threads", fmt::format("expected 1 to {}, or 0 for the default, got {}", kMostThreads, asked));
  return asked > 0 ? asked : env.threads > 0 ? env.threads : available_cores();
}

std::unique_ptr<Backend> open_backend(const Env& env) {
  auto backend = make_backend(env.backend, {.isa = env.isa});
  backend->set_profiling(env.debug >= 2);
  backend->set_checking_outputs(env.debug >= 3);
  return backend;
}

}  // namespace minbert
