// Plan text: what train --dry-run tells people.
#pragma once

#include <string>

#include "minbert/base/json.h"

namespace minbert {

/// Tables of rows and stages, then time and memory, of the JSON that plan_training() gives.
std::string plan_text(const Json& plan);

}  // namespace minbert
