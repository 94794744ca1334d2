// Keeps the input and views of its lines.
#include "minbert/data/input_lines.h"

#include <fmt/format.h>

#include <algorithm>

namespace minbert {

InputLines::InputLines(const std::string& path) : name_(input_name(path)), input_(path) {
  const std::string_view text = input_.text();
  if (text.empty()) throw Error(ErrorTag::kData, name_, "expected at least one line, got nothing");
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    lines_.push_back(text.substr(begin, end - begin));
  }
}

std::string InputLines::place(std::size_t i) const { return fmt::format("{}:{}", name_, i + 1); }

}  // namespace minbert
