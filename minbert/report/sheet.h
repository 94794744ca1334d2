// Sheet: a table of the report that is shown and written, each cell the same text in both.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/report/html.h"

namespace minbert {

struct Sheet {
  std::string file;     ///< eval/FILE.csv of the folder
  std::string caption;  ///< sentences
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows = {};
  std::size_t words = 1;         ///< leading columns of words, aligned left; the first names its row
  bool wraps = false;            ///< cells hold sentences
  std::vector<Html> plots = {};  ///< one a row, shown in a last column that the file lacks
};

/// The name of its file in eval/, without what leads out of a folder.
std::string sheet_file(const Sheet& sheet);
/// RFC 4180, one line a row.
std::string sheet_csv(const Sheet& sheet);

/// The files that belong to a page.
class Sheets {
 public:
  /// The sheet as a table whose caption names its file, which is kept. `id` is the table's (default: from the file).
  Html show(const Sheet& sheet, std::string_view id = {});
  /// The same in a <details> that `summary` opens.
  Html fold(const Sheet& sheet, std::string_view summary);
  /// The file alone, for what a chart draws.
  void keep(const Sheet& sheet) { files_[sheet_file(sheet)] = sheet_csv(sheet); }

  /// Name -> content.
  const std::map<std::string, std::string>& files() const { return files_; }

 private:
  std::map<std::string, std::string> files_;
};

}  // namespace minbert
