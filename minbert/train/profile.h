// profile.json: where a run's time went, op by op.
#pragma once

#include "minbert/base/json.h"
#include "minbert/ops/backend.h"

namespace minbert {

/// {"seconds", "ops": [{"op", "calls", "seconds", "share", "gflop_per_s", "gb_per_s"}]}, the longest first, of what the backend counted.
Json profile_json(const Backend& backend);

}  // namespace minbert
