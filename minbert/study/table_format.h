// Tables of results as text, CSV, Markdown or LaTeX.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/json.h"

namespace minbert {

/// Cells are plain text in UTF-8; each row has as many as the header.
struct ResultTable {
  std::vector<std::string> header;
  std::vector<std::vector<std::string>> rows;
  /// Row numbers of the best values of each column, shown bold in Markdown and LaTeX. May be shorter than the header.
  std::vector<std::vector<std::size_t>> best = {};
};

/// The rows with the highest value once all are rounded, for ResultTable::best.
std::vector<std::size_t> best_rows(const std::vector<std::optional<double>>& values, int decimals);

/// Keeps the first column and those named, in that order; an empty list keeps all. Throws Error(kUsage) naming `place` for an unknown one.
void choose_columns(ResultTable& table, const std::vector<std::string>& columns, std::string_view place);

/// A tabular for LaTeX's package booktabs, each line after `indent`.
std::string latex_tabular(const ResultTable& table, std::string_view indent);
/// `format` is text, csv, markdown, or latex: the tabular alone.
std::string format_table(const ResultTable& table, std::string_view format);

/// A list with an object for each row: {column: cell}.
Json table_json(const ResultTable& table);

/// Text with the characters escaped that Markdown or LaTeX would take for markup.
std::string markdown_text(std::string_view text);
std::string latex_text(std::string_view text);

}  // namespace minbert
