// The backend that this process tests, which MINBERT_BACKEND names and MINBERT_ISA caps.
#pragma once

#include <memory>

#include "minbert/base/env.h"
#include "minbert/base/parallel.h"
#include "minbert/ops/backend.h"
#include "minbert/ops/ref/ref_backend.h"

namespace minbert {

inline Backend& tested_backend() {
  static const std::unique_ptr<Backend> backend = make_backend(read_env().backend, {.isa = read_env().isa});
  return *backend;
}

/// The reference, whichever backend is tested.
inline Backend& oracle() {
  static const std::unique_ptr<Backend> backend = make_ref_backend();
  return *backend;
}

/// Restores the number of threads when it is destroyed.
class ThreadGuard {
 public:
  ThreadGuard() : threads_(num_threads()) {}
  ~ThreadGuard() { set_num_threads(threads_); }
  ThreadGuard(const ThreadGuard&) = delete;
  ThreadGuard& operator=(const ThreadGuard&) = delete;

 private:
  int threads_;
};

}  // namespace minbert
