// Plan text: what --dry-run of train, study and search tells people.
#pragma once

#include <string>

#include "minbert/base/json.h"

namespace minbert {

/// Tables of rows and stages, then time and memory, of the JSON that plan_training() gives.
std::string plan_text(const Json& plan);
/// A line for each run, its state, its steps by stage, and the run that shares them, of the JSON that plan_study() gives.
std::string study_plan_text(const Json& plan);
/// A line for each trial with its values and its steps, of the JSON that plan_search() gives.
std::string search_plan_text(const Json& plan);

}  // namespace minbert
