// EvalTable: reads a table of a run's eval/ folder, with errors that name file and line.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "minbert/data/table.h"

namespace minbert {

class EvalTable {
 public:
  /// `format` is "csv" (quoted as in RFC 4180) or "tsv" (escaped, docs/run_folder.md). The first line names the columns. Throws
  /// Error(kData).
  EvalTable(const std::filesystem::path& path, std::string_view format);

  std::size_t rows() const { return table_.rows(); }
  const std::vector<std::string>& columns() const { return table_.columns(); }
  /// Throws Error(kData) that lists the columns.
  std::size_t column(std::string_view name) const { return table_.require_column(name, name); }
  std::optional<std::size_t> find_column(std::string_view name) const { return table_.find_column(name); }

  /// Each throws Error(kData) at the row's line if the row is broken or the cell holds something else.
  std::string text(std::size_t row, std::size_t column) const;
  /// A finite number; a count is one from 0.
  double number(std::size_t row, std::size_t column) const;
  std::int64_t count(std::size_t row, std::size_t column) const;
  [[noreturn]] void fail(std::size_t row, const std::string& message) const;

 private:
  template <class T>
  T parsed(std::size_t row, std::size_t column, std::string_view expected, T low, T high) const;

  Table table_;
  bool escaped_;
};

}  // namespace minbert
