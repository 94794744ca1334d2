// Sheet: writes tables as HTML and as CSV.
#include "minbert/report/sheet.h"

#include <algorithm>

#include "minbert/base/check.h"
#include "minbert/data/fields.h"

namespace minbert {
namespace {

// Cells and column names with more letters may break into lines.
constexpr std::size_t kLongCell = 28, kLongName = 12;

Attributes classes(bool is_word, bool is_long) {
  if (!is_word && !is_long) return {};
  return {{"class", !is_long ? "word" : is_word ? "word long" : "long"}};
}

std::string csv_line(const std::vector<std::string>& cells) {
  std::string line;
  for (const std::string& cell : cells) line += (line.empty() && &cell == &cells.front() ? "" : ",") + csv_field(cell);
  return line + "\n";
}

Html body_row(const Sheet& sheet, std::size_t i) {
  const std::vector<std::string>& cells = sheet.rows[i];
  MINBERT_CHECK(cells.size() == sheet.columns.size(), "{}: {} cells in {} columns", sheet.file, cells.size(), sheet.columns.size());
  Attributes first = classes(false, cells[0].size() > kLongCell);
  first.emplace_back("scope", "row");
  Html row = element("th", first, cells[0]);
  for (std::size_t c = 1; c < cells.size(); ++c) row += element("td", classes(c<sheet.words, cells[c].size()> kLongCell), cells[c]);
  if (i < sheet.plots.size()) row += element("td", {{"class", "plot"}, {"aria-hidden", "true"}}, sheet.plots[i]);
  return element("tr", {}, row) + "\n";
}

}  // namespace

std::string sheet_file(const Sheet& sheet) {
  std::string name = sheet.file + ".csv";
  std::ranges::replace(name, '/', '-');
  return name;
}

std::string sheet_csv(const Sheet& sheet) {
  std::string text = csv_line(sheet.columns);
  for (const auto& row : sheet.rows) text += csv_line(row);
  return text;
}

Html Sheets::missing(const PaperElement& element, std::string_view why) const {
  if (!beside_paper_) return {};
  return absent(element.id, std::string(element.number) + ": " + std::string(why));
}

Html absent(std::string_view id, std::string_view why) { return element("p", {{"id", std::string(id)}, {"class", "soft"}}, why) + "\n"; }

Html Sheets::show(const Sheet& sheet, std::string_view id) {
  keep(sheet);
  Html head;
  for (std::size_t c = 0; c < sheet.columns.size(); ++c) {
    Attributes attributes = classes(c<sheet.words, sheet.columns[c].size()> kLongName);
    attributes.emplace_back("scope", "col");
    head += element("th", attributes, sheet.columns[c]);
  }
  if (!sheet.plots.empty()) head += element("td", {{"class", "plot"}, {"aria-hidden", "true"}});
  Html rows;
  for (std::size_t i = 0; i < sheet.rows.size(); ++i) rows += body_row(sheet, i);
  Html caption(sheet.caption);
  if (folder_) caption += (caption.empty() ? "" : " ") + element("code", {}, "eval/" + sheet_file(sheet));
  std::string name(id.empty() ? std::string_view(sheet.file) : id);
  std::ranges::replace(name, '.', '-');
  return table({.id = name, .kind = sheet.wraps ? "sheet texts" : "sheet", .caption = caption}, element("tr", {}, head), rows);
}

Html Sheets::fold(const Sheet& sheet, std::string_view summary) {
  return element("details", {}, element("summary", {}, summary) + "\n" + show(sheet, sheet.file + "-numbers")) + "\n";
}

}  // namespace minbert
