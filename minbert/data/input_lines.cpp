// Reads everything at once and keeps views of the lines.
#include "minbert/data/input_lines.h"

#include <fmt/format.h>

#include <algorithm>

#include "minbert/base/files.h"

namespace minbert {

InputLines::InputLines(const std::string& path) : name_(path == "-" ? "standard input" : path), text_(read_file(path, ErrorTag::kData)) {
  if (text_.empty()) throw Error(ErrorTag::kData, name_, "expected at least one line, got nothing");
  for (std::size_t begin = 0, end = 0; begin < text_.size(); begin = end + 1) {
    end = std::min(text_.find('\n', begin), text_.size());
    lines_.push_back(std::string_view(text_).substr(begin, end - begin));
  }
}

std::string InputLines::place(std::size_t i) const { return fmt::format("{}:{}", name_, i + 1); }

}  // namespace minbert
