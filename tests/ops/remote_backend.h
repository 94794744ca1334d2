// RemoteBackend: a backend whose memory the host cannot read, as that of a GPU. Code that reads it crashes, on any machine.
#pragma once

#include <memory>

#include "minbert/ops/backend.h"

namespace minbert {

/// Runs each op on `host`, a backend that computes in host memory. Addresses that it hands out lie outside of every process; ops, copies
/// and allocation translate them. CHECKs that all tensors of an op are its own and that lists were uploaded.
std::unique_ptr<Backend> make_remote_backend(std::unique_ptr<Backend> host);

}  // namespace minbert
