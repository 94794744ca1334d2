// Keeps the input and views of its lines.
#include "minbert/data/input_lines.h"

#include <fmt/format.h>

#include <algorithm>

namespace minbert {

InputLines::InputLines(const std::string& path) : name_(input_name(path)), input_(path) { cut(input_->text()); }

InputLines::InputLines(std::string name, std::string text) : name_(std::move(name)), text_(std::move(text)) { cut(text_); }

void InputLines::cut(std::string_view text) {
  if (text.empty()) throw Error(ErrorTag::kData, name_, "expected at least one line, got nothing");
  for (std::size_t begin = 0, end = 0; begin < text.size(); begin = end + 1) {
    end = std::min(text.find('\n', begin), text.size());
    lines_.push_back(text.substr(begin, end - begin));
  }
}

std::string InputLines::place(std::size_t i) const { return fmt::format("{}:{}", name_, i + 1); }

}  // namespace minbert
