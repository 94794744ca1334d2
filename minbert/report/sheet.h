// Sheet: a table of the report, shown in the page and written as CSV with the same text in each cell.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/report/html.h"

namespace minbert {

struct Sheet {
  std::string file;     ///< it is written to eval/FILE.csv of the folder
  std::string caption;  ///< one or more sentences
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows = {};
  std::size_t words = 1;         ///< how many leading columns hold words, aligned left; the first is the row's header
  bool wraps = false;            ///< whether cells hold sentences, which break into lines
  std::vector<Html> plots = {};  ///< one for each row, shown in a last column that the CSV lacks
};

/// The name of the sheet's file in eval/; slashes are replaced.
std::string sheet_file(const Sheet& sheet);
/// CSV as in RFC 4180: the column names, then one line for each row.
std::string sheet_csv(const Sheet& sheet);

/// The CSV files that belong to a page.
class Sheets {
 public:
  /// Keeps the sheet's file and returns the sheet as a table whose caption names that file. `id` is the table's id (default: made from the
  /// file's name).
  Html show(const Sheet& sheet, std::string_view id = {});
  /// As show(), in a <details> element with this summary.
  Html fold(const Sheet& sheet, std::string_view summary);
  /// Keeps the file only, for data that a chart draws.
  void keep(const Sheet& sheet) { files_[sheet_file(sheet)] = sheet_csv(sheet); }

  /// Name of each file -> its contents.
  const std::map<std::string, std::string>& files() const { return files_; }

 private:
  std::map<std::string, std::string> files_;
};

}  // namespace minbert
