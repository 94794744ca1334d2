// The report that train and study write when they are done.
#pragma once

#include <filesystem>

#include "minbert/cli/console.h"

namespace minbert {

/// Writes report.html and its tables into a run or study folder. Warns instead of failing, so that a report which cannot be written does
/// not end hours of work.
void write_run_report(const std::filesystem::path& folder, Console& console);

}  // namespace minbert
