// TextTable: rows of cells as aligned text for people.
#pragma once

#include <string>
#include <vector>

namespace minbert {

/// Columns padded to their widest cell; the first is aligned left, those that hold numbers right. Every cell goes through printable().
class TextTable {
 public:
  explicit TextTable(std::vector<std::string> header) { add(std::move(header)); }
  void add(std::vector<std::string> row);
  std::string text() const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace minbert
