// InputLines: a file or standard input as raw lines, which end at \n only and keep every other byte.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/input_bytes.h"

namespace minbert {

class InputLines {
 public:
  /// "-" is standard input. Throws Error(kData) when it cannot be read or holds no line.
  explicit InputLines(const std::string& path);
  /// Reads lines of text in memory; errors show `name`.
  InputLines(std::string name, std::string text);
  InputLines(const InputLines&) = delete;
  InputLines& operator=(const InputLines&) = delete;

  std::size_t size() const { return lines_.size(); }
  std::string_view operator[](std::size_t i) const { return lines_[i]; }
  /// "FILE:LINE" of line i, as errors print it.
  std::string place(std::size_t i) const;

 private:
  void cut(std::string_view text);

  std::string name_;
  std::optional<InputBytes> input_;  // either this
  std::string text_;                 // or this
  std::vector<std::string_view> lines_;
};

}  // namespace minbert
