// Precisions of sentence vectors, as sentence_transformers.util.quantization defines them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "minbert/base/options.h"

namespace minbert {

/// binary and ubinary keep the sign of each number, eight to a byte; int8 and uint8 cut the range of each column into 256 steps.
enum class VectorPrecision : std::uint8_t { kFloat32, kInt8, kUint8, kBinary, kUbinary };
constexpr std::array<OptionName<VectorPrecision>, 5> option_names(VectorPrecision) {
  return {{{VectorPrecision::kFloat32, "float32"},
           {VectorPrecision::kInt8, "int8"},
           {VectorPrecision::kUint8, "uint8"},
           {VectorPrecision::kBinary, "binary"},
           {VectorPrecision::kUbinary, "ubinary"}}};
}

/// Whether rounding needs ColumnRanges.
inline bool needs_ranges(VectorPrecision precision) { return precision == VectorPrecision::kInt8 || precision == VectorPrecision::kUint8; }
/// Whether the bytes of a rounded vector are signed.
inline bool is_signed(VectorPrecision precision) { return precision == VectorPrecision::kInt8 || precision == VectorPrecision::kBinary; }
/// The numbers of a rounded vector of `width` numbers: width, or for the binary ones a byte for each eight.
std::int64_t rounded_width(VectorPrecision precision, std::int64_t width);

/// The lowest and the highest number of each column.
struct ColumnRanges {
  std::vector<float> low, high;  ///< (width)

  /// Finds the ranges of the columns of vectors (rows, width), row-major; Error(kData) for fewer than two rows.
  static ColumnRanges of(std::span<const float> vectors, std::int64_t width);
};

/// Appends to `out` the bytes of vectors (rows, width): rounded_width() of them for each. `ranges` is read where needs_ranges(); numbers
/// outside are clamped. Not for kFloat32.
void round_vectors(std::vector<std::byte>& out, VectorPrecision precision, std::span<const float> vectors, std::int64_t width,
                   const ColumnRanges& ranges);

}  // namespace minbert
