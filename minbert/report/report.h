// The report of a run: one HTML file that needs nothing else.
#pragma once

#include <filesystem>
#include <string>

namespace minbert {

/// Scores with intervals, curves, confusion, worst errors, config and environment of a run folder, finished or not. Throws Error(kData) as
/// read_run() does.
std::string make_report(const std::filesystem::path& run_folder);

}  // namespace minbert
