// Reports of runs, studies and searches: one self-contained HTML file, and its tables as CSV.
#pragma once

#include <filesystem>
#include <map>
#include <span>
#include <string>

namespace minbert {

struct Report {
  std::string html;
  std::map<std::string, std::string> tables;  ///< name of a file in eval/ -> content
};

/// The report of a run, of the runs of several seeds, of a study or of a search, finished or not. Scores and errors come first,
/// architecture and settings last. Throws what read_run(), read_seeds(), read_study() and read_search() throw.
Report make_report(const std::filesystem::path& folder);

/// One report of several runs, or of several seeds each: their scores, what differs in their configs, their curves overlaid, and the errors
/// of the best. Its tables belong to no folder. Throws what read_models() throws.
Report make_report(std::span<const std::filesystem::path> folders);

/// Writes the tables into the folder's eval/. Throws Error(kResources).
void write_tables(const Report& report, const std::filesystem::path& folder);
/// Makes the report, writes its tables, and returns the page.
std::string write_report_tables(const std::filesystem::path& folder);

}  // namespace minbert
