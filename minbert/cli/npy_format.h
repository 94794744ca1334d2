// The header of NumPy's file format for a matrix.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace minbert {

/// The bytes before the numbers in format 1.0 (numpy/lib/format.py). `elements` is NumPy's name of their type, such as "<f4".
std::string npy_header(std::string_view elements, std::size_t rows, std::int64_t width);

/// The header of a matrix that is like that of `header` but for the number of rows. `place` is the file of that header. Throws Error(kData)
/// if npy_header() has not made it.
std::string npy_header_with_rows(std::string_view header, std::size_t rows, std::string_view place);

}  // namespace minbert
