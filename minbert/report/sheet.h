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

/// A sentence that stands for an element which the data cannot fill.
Html absent(std::string_view id, std::string_view why);

/// The name of the sheet's file in eval/; slashes are replaced.
std::string sheet_file(const Sheet& sheet);
/// CSV as in RFC 4180: the column names, then one line for each row.
std::string sheet_csv(const Sheet& sheet);

/// A table or figure that the paper has too: its number and id there, and its name in reports that do not stand beside the paper.
struct PaperElement {
  std::string_view number, id, name;
};
inline constexpr PaperElement kRowsTable = {"Table 1", "table-1", "rows"};
inline constexpr PaperElement kSettingsTable = {"Table 2", "table-2", "settings"};
inline constexpr PaperElement kFeaturesTable = {"Table 3", "table-3", "features"};
inline constexpr PaperElement kScoresTable = {"Table 4", "table-4", "scores"};
inline constexpr PaperElement kOffByTable = {"Table 5", "table-5", "off-by"};
inline constexpr PaperElement kYesNoTable = {"Table 6", "table-6", "yes-or-no"};
inline constexpr PaperElement kArchitecture = {"Figure 1", "fig-1", "architecture"};
inline constexpr PaperElement kFlow = {"Figure 2", "fig-2", "stages"};

/// The CSV files that belong to a page, and the names of its elements: numbered as in the paper in a study that has published scores
/// beside its own, plain in all others.
class Sheets {
 public:
  /// `folder`: the page belongs to a folder, whose eval/ holds the files; captions then name them.
  explicit Sheets(bool beside_paper = false, bool folder = true) : beside_paper_(beside_paper), folder_(folder) {}

  bool beside_paper() const { return beside_paper_; }
  /// Whether the files are written into a folder.
  bool has_folder() const { return folder_; }
  /// What the page's last line says of the files.
  std::string_view footer() const { return folder_ ? "Each table names the file that has the same numbers." : ""; }
  /// The file's name without ending.
  std::string file(const PaperElement& element) const { return std::string(beside_paper_ ? element.id : element.name); }
  /// The element's id in the page.
  std::string id(const PaperElement& element) const {
    return beside_paper_ ? std::string(element.id) : std::string(element.name) + "-element";
  }
  std::string caption(const PaperElement& element, std::string_view text) const {
    return (beside_paper_ ? std::string(element.number) + ". " : "") + std::string(text);
  }
  /// What stands for an element that the data cannot fill: a sentence beside the paper, which has it, else nothing.
  Html missing(const PaperElement& element, std::string_view why) const;

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
  bool beside_paper_, folder_;
  std::map<std::string, std::string> files_;
};

}  // namespace minbert
