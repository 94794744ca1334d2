// TableBuilder: collects cells as slices of a text that may still grow or move, and turns them into views at the end.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "minbert/data/table.h"

namespace minbert {

/// A cell as a place in the builder's text.
struct CellSlice {
  static constexpr std::size_t kAbsent = static_cast<std::size_t>(-1);
  std::size_t begin = kAbsent, size = 0;
  bool is_json = false;  ///< see Table::is_json
};

class TableBuilder {
 public:
  TableBuilder(std::string name, const Dialect& dialect, std::vector<char> text);
  std::vector<char>& text() { return table_.text_; }
  const std::string& name() const { return table_.name_; }

  void set_columns(std::vector<std::string> names) { table_.columns_ = std::move(names); }
  std::size_t columns() const { return table_.columns_.size(); }
  /// Adds a row. Cells beyond the row's own are absent, so a row may be given before all columns are known.
  void add_row(std::int64_t line, std::span<const CellSlice> cells);
  void add_problem(std::int64_t line, std::string reason);
  void add_repaired(std::int64_t line) { table_.repaired_.push_back(line); }
  Table take();

 private:
  Table table_;
  std::vector<CellSlice> slices_;  // the cells of all rows in order
  std::vector<std::size_t> row_begins_;
};

}  // namespace minbert
