// Makes backends by name; the only file that names them.
#include "minbert/ops/cpu/cpu_backend.h"
#include "minbert/ops/ref/ref_backend.h"

namespace minbert {

std::vector<std::string_view> backend_names() { return {"ref", "cpu"}; }

std::unique_ptr<Backend> make_backend(std::string_view name, const BackendOptions& options) {
  if (name == "ref") return make_ref_backend();
  if (name == "cpu") return make_cpu_backend(options);
  throw Error(ErrorTag::kUsage, "MINBERT_BACKEND", fmt::format("expected one of {}, got \"{}\"", fmt::join(backend_names(), ", "), name));
}

}  // namespace minbert
