// Reads a report back: checks its tags, and compares tables with their files.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "minbert/data/table.h"
#include "minbert/report/report.h"

namespace minbert {

inline std::string without(const std::string& html, const std::string& element) {
  const std::size_t begin = html.find("<" + element + ">"), end = html.find("</" + element + ">");
  return html.substr(0, begin) + html.substr(end + element.size() + 3);
}

/// Expects that every element is closed in order; <meta/> has no end tag.
inline void expect_balanced(const std::string& html) {
  const std::string text = without(without(html, "style"), "script");
  const std::regex tag("<(/?)([a-z0-9]+)[^<>]*>");
  std::vector<std::string> open;
  std::size_t tags = 0;
  for (std::sregex_iterator at(text.begin(), text.end(), tag), end; at != end; ++at, ++tags) {
    const std::string name = (*at)[2];
    if (name == "meta") continue;
    if ((*at)[1].length() == 0) {
      open.push_back(name);
    } else {
      ASSERT_FALSE(open.empty()) << name;
      ASSERT_EQ(open.back(), name) << text.substr(0, static_cast<std::size_t>(at->position()));
      open.pop_back();
    }
  }
  EXPECT_TRUE(open.empty());
  EXPECT_EQ(static_cast<std::size_t>(std::count(text.begin(), text.end(), '<')), tags + 1)
      << "a < outside of a tag (the document type aside)";
}

inline bool has(const std::string& html, std::string_view part) { return html.find(part) != std::string::npos; }

inline int count(const std::string& html, std::string_view part) {
  int found = 0;
  for (std::size_t at = 0; (at = html.find(part, at)) != std::string::npos; ++at) ++found;
  return found;
}

using Grid = std::vector<std::vector<std::string>>;

inline std::string plain(std::string text) {
  for (const auto& [entity, c] : {std::pair("&lt;", "<"), {"&gt;", ">"}, {"&quot;", "\""}, {"&#39;", "'"}, {"&amp;", "&"}})
    for (std::size_t at; (at = text.find(entity)) != std::string::npos;) text.replace(at, std::string_view(entity).size(), c);
  return text;
}

/// The tables of a page: the file that a caption names -> the table's cells, header first, without plots.
inline std::map<std::string, Grid> tables_of(const std::string& html) {
  std::map<std::string, Grid> tables;
  const std::regex row("<tr>(.*?)</tr>"), cell("<(th|td)([^>]*)>(.*?)</(th|td)>");
  for (std::size_t at = 0; (at = html.find("<code>eval/", at)) != std::string::npos; ++at) {
    const std::string name = html.substr(at + 11, html.find('<', at + 11) - at - 11);
    const std::string text = html.substr(at, html.find("</table>", at) - at);
    for (std::sregex_iterator r(text.begin(), text.end(), row), end; r != end; ++r) {
      Grid& grid = tables[name];
      grid.emplace_back();
      const std::string cells = (*r)[1];
      for (std::sregex_iterator c(cells.begin(), cells.end(), cell); c != end; ++c)
        if ((*c)[2].str().find("plot") == std::string::npos) grid.back().push_back(plain((*c)[3]));
    }
  }
  return tables;
}

inline Grid csv_grid(const std::string& text) {
  const Table table = parse_table(text, "t.csv", {.format = "csv", .delimiter = ",", .quote = "\"", .header = "no"});
  Grid grid;
  for (std::size_t i = 0; i < table.rows(); ++i) grid.emplace_back(table.row(i).begin(), table.row(i).end());
  return grid;
}

/// Expects that every table of the page equals its file, cell by cell.
inline void expect_cells_of_files(const Report& report, std::size_t least) {
  const auto tables = tables_of(report.html);
  EXPECT_GE(tables.size(), least);
  for (const auto& [name, grid] : tables) {
    ASSERT_TRUE(report.tables.contains(name)) << name;
    EXPECT_EQ(grid, csv_grid(report.tables.at(name))) << name;
  }
}

/// Expects no id twice, no section without content, and balanced tags.
inline void expect_sound(const std::string& html) {
  EXPECT_EQ(count(html, "</h2>\n</section>"), 0);
  std::vector<std::string> ids;
  const std::regex id(" id=\"([^\"]*)\"");
  for (std::sregex_iterator at(html.begin(), html.end(), id), end; at != end; ++at) ids.push_back((*at)[1]);
  std::ranges::sort(ids);
  EXPECT_EQ(std::ranges::adjacent_find(ids), ids.end());
  expect_balanced(html);
}

/// Also expects every figure and table of the paper exactly once, as a study beside published scores has them.
inline void expect_all_parts(const std::string& html) {
  for (const char* part : {"fig-1", "fig-2", "fig-3", "fig-4", "fig-5", "table-1", "table-2", "table-3", "table-4", "table-5", "table-6"})
    EXPECT_EQ(count(html, fmt::format("id=\"{}\"", part)), 1) << part;
  expect_sound(html);
}

/// Expects nothing of the paper: no numbered table or figure, no value of the paper, no mention of it.
inline void expect_nothing_of_the_paper(const std::string& html) {
  const std::regex paper("Table [1-6]|Figure [1-5]|table-[1-6]|fig-[1-5]|[Pp]aper's|paper prints|>paper<|published");
  std::smatch found;
  const std::string text = without(without(html, "style"), "script");
  EXPECT_FALSE(std::regex_search(text, found, paper)) << found.str();
}

/// The titles of the sections, in order.
inline std::vector<std::string> section_titles(const std::string& html) {
  std::vector<std::string> titles;
  const std::regex title("<h2 id=\"[^\"]*\">(.*?)</h2>");
  for (std::sregex_iterator at(html.begin(), html.end(), title), end; at != end; ++at) titles.push_back((*at)[1]);
  return titles;
}

}  // namespace minbert
