// The reference backend: plain loops templated on the scalar (f32, f64, complex double), slow on purpose; the oracle.
#pragma once

#include <memory>

#include "minbert/ops/backend.h"

namespace minbert {

std::unique_ptr<Backend> make_ref_backend();

}  // namespace minbert
