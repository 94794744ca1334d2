// Rounds sentence vectors to bytes; computes in f32, as NumPy does there, so that no number falls on the other side of a step.
#include "minbert/pipeline/vector_precision.h"

#include <algorithm>
#include <cmath>

#include "minbert/base/check.h"

namespace minbert {

std::int64_t rounded_width(VectorPrecision precision, std::int64_t width) {
  const bool bits = precision == VectorPrecision::kBinary || precision == VectorPrecision::kUbinary;
  return bits ? (width + 7) / 8 : width;
}

ColumnRanges ColumnRanges::of(std::span<const float> vectors, std::int64_t width) {
  const auto columns = static_cast<std::size_t>(width);
  MINBERT_CHECK(columns > 0 && vectors.size() % columns == 0, "{} numbers in columns of {}", vectors.size(), width);
  if (vectors.size() < 2 * columns)
    throw Error(ErrorTag::kData, "precision",
                fmt::format("expected at least two vectors to take ranges from, got {}", vectors.size() / columns),
                "the ranges of many texts' vectors are better (minbert embed --ranges)");
  ColumnRanges ranges;
  ranges.low.assign(vectors.begin(), vectors.begin() + width);
  ranges.high = ranges.low;
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    ranges.low[i % columns] = std::min(ranges.low[i % columns], vectors[i]);
    ranges.high[i % columns] = std::max(ranges.high[i % columns], vectors[i]);
  }
  return ranges;
}

void round_vectors(std::vector<std::byte>& out, VectorPrecision precision, std::span<const float> vectors, std::int64_t width,
                   const ColumnRanges& ranges) {
  MINBERT_CHECK(precision != VectorPrecision::kFloat32, "float32 is not rounded");
  const auto columns = static_cast<std::size_t>(width);
  const std::byte flip{static_cast<unsigned char>(is_signed(precision) ? 0x80 : 0)};  // x - 128 as a signed byte
  for (std::size_t row = 0; row < vectors.size(); row += columns) {
    const auto vector = vectors.subspan(row, columns);
    if (needs_ranges(precision)) {
      MINBERT_CHECK(ranges.low.size() == columns && ranges.high.size() == columns, "ranges of {} columns, not {}", ranges.low.size(),
                    width);
      for (std::size_t c = 0; c < columns; ++c) {
        const float step = (ranges.high[c] - ranges.low[c]) / 255;
        const float level = std::floor((vector[c] - ranges.low[c]) / (step == 0 ? 1 : step));
        out.push_back(std::byte{static_cast<unsigned char>(std::clamp(level, 0.0f, 255.0f))} ^ flip);
      }
      continue;
    }
    for (std::size_t c = 0; c < columns; c += 8) {
      unsigned bits = 0;  // the first number is the highest bit
      for (std::size_t i = 0; i < 8; ++i) bits = bits << 1 | (c + i < columns && vector[c + i] > 0 ? 1u : 0u);
      out.push_back(std::byte{static_cast<unsigned char>(bits)} ^ flip);
    }
  }
}

}  // namespace minbert
