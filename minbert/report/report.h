// The report of a run: one HTML file that needs nothing else, and the tables it shows as CSV.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace minbert {

struct Report {
  std::string html;
  std::map<std::string, std::string> tables;  ///< name of a file of eval/ -> content
};

/// Scores with intervals, curves, error analyses, config and environment of a run folder, finished or not. Throws Error(kData) as
/// read_run() does.
Report make_report(const std::filesystem::path& folder);

/// Writes the tables into the folder's eval/, and returns the page.
std::string write_report_tables(const std::filesystem::path& folder);

}  // namespace minbert
