// Writes the header of NumPy's format.
#include "minbert/cli/npy_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "minbert/base/check.h"

namespace minbert {

std::string npy_header(std::string_view elements, std::size_t rows, std::int64_t width) {
  constexpr std::size_t kPrefix = 10, kAlignment = 64;
  std::string shape = fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}, {}), }}", elements, rows, width);
  shape.append(kAlignment - (kPrefix + shape.size() + 1) % kAlignment, ' ');
  shape += '\n';
  std::string header(std::string_view("\x93NUMPY\x01\x00", 8));
  header += {static_cast<char>(shape.size() & 0xFF), static_cast<char>(shape.size() >> 8)};
  return header + shape;
}

std::string npy_header_with_rows(std::string_view header, std::size_t rows, std::string_view place) {
  const auto after = [&](std::string_view key, char end) {
    const std::size_t begin = std::min(header.find(key), header.size()), from = std::min(begin + key.size(), header.size());
    return header.substr(from, std::min(header.find(end, from), header.size()) - from);
  };
  const std::string_view elements = after("'descr': '", '\''), numbers = after("'shape': (", ')');
  const std::size_t comma = numbers.find(", ");
  std::int64_t width = 0;
  if (comma != numbers.npos) std::from_chars(numbers.data() + comma + 2, numbers.data() + numbers.size(), width);
  if (elements.empty() || width <= 0) throw Error(ErrorTag::kData, place, "expected a .npy file that embed has written");
  return npy_header(elements, rows, width);
}

}  // namespace minbert
