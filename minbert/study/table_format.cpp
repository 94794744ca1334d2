// Tables: escapes cells, marks the best ones, and joins them in each format.
#include "minbert/study/table_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "minbert/base/check.h"
#include "minbert/base/nearest.h"
#include "minbert/base/number.h"
#include "minbert/base/text_table.h"
#include "minbert/data/fields.h"

namespace minbert {
namespace {

std::string replaced(std::string_view text, const std::function<std::string(char)>& replace) {
  std::string out;
  for (const char c : text) out += replace(c);
  return out;
}

bool is_best(const ResultTable& table, std::size_t row, std::size_t column) {
  return column < table.best.size() && std::ranges::find(table.best[column], row) != table.best[column].end();
}

/// The row's cells, each through `escape` and the best ones through `bold`.
std::vector<std::string> cells_of(const ResultTable& table, std::size_t row, std::string (*escape)(std::string_view),
                                  std::string_view bold) {
  std::vector<std::string> cells;
  for (std::size_t c = 0; c < table.header.size(); ++c) {
    const std::string cell = escape(table.rows[row][c]);
    cells.push_back(is_best(table, row, c) ? fmt::format(fmt::runtime(bold), cell) : cell);
  }
  return cells;
}

std::vector<std::string> escaped(const std::vector<std::string>& cells, std::string (*escape)(std::string_view)) {
  std::vector<std::string> out;
  for (const std::string& cell : cells) out.push_back(escape(cell));
  return out;
}

std::string csv_table(const ResultTable& table) {
  const auto line = [](const std::vector<std::string>& cells) {
    return fmt::format("{}\n", fmt::join(escaped(cells, [](std::string_view cell) { return csv_field(cell); }), ","));
  };
  std::string text = line(table.header);
  for (const auto& row : table.rows) text += line(row);
  return text;
}

std::string markdown_table(const ResultTable& table) {
  std::string text = fmt::format("| {} |\n|---|", fmt::join(escaped(table.header, markdown_text), " | "));
  for (std::size_t c = 1; c < table.header.size(); ++c) text += "---:|";
  text += "\n";
  for (std::size_t r = 0; r < table.rows.size(); ++r)
    text += fmt::format("| {} |\n", fmt::join(cells_of(table, r, markdown_text, "**{}**"), " | "));
  return text;
}

}  // namespace

std::vector<std::size_t> best_rows(const std::vector<std::optional<double>>& values, int decimals) {
  std::optional<double> best;
  std::vector<std::size_t> rows;
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!values[i] || !std::isfinite(*values[i])) continue;
    const double shown = number_from<double>(fmt::format("{:.{}f}", *values[i], decimals)).value_or(*values[i]);
    if (best && shown < *best) continue;
    if (best && shown > *best) rows.clear();
    best = shown;
    rows.push_back(i);
  }
  return rows;
}

void choose_columns(ResultTable& table, const std::vector<std::string>& columns, std::string_view place) {
  if (columns.empty()) return;
  std::vector<std::size_t> kept = {0};
  for (const std::string& column : columns) {
    const auto found = std::ranges::find(table.header, column);
    if (found == table.header.end())
      throw Error(ErrorTag::kUsage, place, fmt::format("no column \"{}\" in {}", column, fmt::join(table.header, ", ")),
                  suggest(column, table.header));
    if (found != table.header.begin()) kept.push_back(static_cast<std::size_t>(found - table.header.begin()));
  }
  const auto choose = [&](auto& cells) {
    std::remove_reference_t<decltype(cells)> chosen;
    for (const std::size_t c : kept) chosen.push_back(c < cells.size() ? cells[c] : typename decltype(chosen)::value_type());
    cells = std::move(chosen);
  };
  choose(table.header);
  choose(table.best);
  for (auto& row : table.rows) choose(row);
}

std::string latex_tabular(const ResultTable& table, std::string_view indent) {
  std::string text = fmt::format("{0}\\begin{{tabular}}{{l{1}}}\n{0}  \\toprule\n{0}  {2} \\\\\n{0}  \\midrule\n", indent,
                                 std::string(table.header.size() - 1, 'r'), fmt::join(escaped(table.header, latex_text), " & "));
  for (std::size_t r = 0; r < table.rows.size(); ++r)
    text += fmt::format("{}  {} \\\\\n", indent, fmt::join(cells_of(table, r, latex_text, "\\textbf{{{}}}"), " & "));
  return text + fmt::format("{0}  \\bottomrule\n{0}\\end{{tabular}}\n", indent);
}

std::string format_table(const ResultTable& table, std::string_view format) {
  for (const auto& row : table.rows)
    MINBERT_CHECK(row.size() == table.header.size(), "{} cells in {} columns", row.size(), table.header.size());
  if (format == "csv") return csv_table(table);
  if (format == "markdown") return markdown_table(table);
  if (format == "latex") return "% Needs the package booktabs.\n" + latex_tabular(table, "");
  TextTable text(table.header);
  for (const auto& row : table.rows) text.add(row);
  return text.text();
}

Json table_json(const ResultTable& table) {
  Json list = Json::array();
  for (const auto& row : table.rows) {
    Json object = Json::object();
    for (std::size_t c = 0; c < row.size(); ++c) object[table.header[c]] = row[c];
    list.push_back(std::move(object));
  }
  return list;
}

std::string markdown_text(std::string_view text) {
  return replaced(text, [](char c) {
    return std::string_view("|\\`*_<").find(c) != std::string_view::npos ? std::string{'\\', c} : std::string(1, c);
  });
}

std::string latex_text(std::string_view text) {
  std::string out = replaced(text, [](char c) -> std::string {
    switch (c) {
      case '\\': return "\\textbackslash{}";
      case '~': return "\\textasciitilde{}";
      case '^': return "\\textasciicircum{}";
      default: return std::string_view("&%$#_{}").find(c) != std::string_view::npos ? std::string{'\\', c} : std::string(1, c);
    }
  });
  constexpr std::string_view kPlusMinus = "\u00B1";
  for (std::size_t at; (at = out.find(kPlusMinus)) != std::string::npos;) out.replace(at, kPlusMinus.size(), "$\\pm$");
  return out;
}

}  // namespace minbert
