// Writes the report of what was trained.
#include "minbert/cli/run_report.h"

#include "minbert/base/files.h"
#include "minbert/report/report.h"

namespace minbert {

void write_run_report(const std::filesystem::path& folder, Console& console) {
  try {
    write_file(folder / "report.html", write_report_tables(folder));
  } catch (const Error& error) {
    console.warning(fmt::format("no report: {}", error.what()));
  }
}

}  // namespace minbert
