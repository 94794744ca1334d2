// The report of a run or study: one self-contained HTML file, and its tables as CSV.
#pragma once

#include <filesystem>
#include <map>
#include <string>

namespace minbert {

struct Report {
  std::string html;
  std::map<std::string, std::string> tables;  ///< name of a file in eval/ -> content
};

/// Scores with intervals, curves, error analyses, config and environment of a run or study folder, finished or not. Throws what read_run()
/// and read_study() throw.
Report make_report(const std::filesystem::path& folder);

/// Writes the tables into the folder's eval/. Throws Error(kResources).
void write_tables(const Report& report, const std::filesystem::path& folder);
/// Makes the report, writes its tables, and returns the page.
std::string write_report_tables(const std::filesystem::path& folder);

}  // namespace minbert
