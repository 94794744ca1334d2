// profile.json: the time that each op took.
#pragma once

#include "minbert/base/json.h"
#include "minbert/ops/backend.h"

namespace minbert {

/// {"seconds", "ops": [{"op", "calls", "seconds", "share", "gflop_per_s", "gb_per_s"}]} from the backend's counters, the longest first.
Json profile_json(const Backend& backend);

}  // namespace minbert
