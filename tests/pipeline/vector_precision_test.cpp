// Sentence vectors rounded to bytes, by hand; tests/cli/vectors_test.py compares with sentence-transformers itself.
#include "minbert/pipeline/vector_precision.h"

#include <gtest/gtest.h>

namespace minbert {
namespace {

using enum VectorPrecision;

std::vector<int> rounded(VectorPrecision precision, const std::vector<float>& vectors, std::int64_t width,
                         const ColumnRanges& ranges = {}) {
  std::vector<std::byte> bytes;
  round_vectors(bytes, precision, vectors, width, ranges);
  std::vector<int> numbers;
  for (const std::byte byte : bytes)
    numbers.push_back(is_signed(precision) ? static_cast<std::int8_t>(byte) : static_cast<int>(std::to_integer<unsigned char>(byte)));
  return numbers;
}

TEST(VectorPrecision, BitsKeepSigns) {
  const std::vector<float> vectors = {1, -1, 0, 2, -3, 4, 5, -6, 7, -8};  // 10010110 10 and zeros
  EXPECT_EQ(rounded_width(kUbinary, 10), 2);
  EXPECT_EQ(rounded(kUbinary, vectors, 10), (std::vector<int>{0x96, 0x80}));
  EXPECT_EQ(rounded(kBinary, vectors, 10), (std::vector<int>{0x96 - 128, 0}));
  EXPECT_EQ(rounded(kUbinary, vectors, 5), (std::vector<int>{0x90, 0xd0})) << "two vectors of 5";
}

TEST(VectorPrecision, BytesCutTheRangeOfEachColumn) {
  const std::vector<float> vectors = {0, -1, 255, 1, 100.7f, 0};
  const ColumnRanges ranges = ColumnRanges::of(vectors, 2);
  EXPECT_EQ(ranges.low, (std::vector<float>{0, -1}));
  EXPECT_EQ(ranges.high, (std::vector<float>{255, 1}));
  EXPECT_EQ(rounded(kUint8, vectors, 2, ranges), (std::vector<int>{0, 0, 255, 254, 100, 127})) << "2 / (2 / 255) is below 255 in f32";
  EXPECT_EQ(rounded(kInt8, vectors, 2, ranges), (std::vector<int>{-128, -128, 127, 126, -28, -1}));
  EXPECT_EQ(rounded(kUint8, {-7, 9}, 2, ranges), (std::vector<int>{0, 255})) << "beyond the ranges";
  EXPECT_EQ(rounded(kUint8, {4, 4}, 1, ColumnRanges::of(std::vector<float>{4, 4}, 1)), (std::vector<int>{0, 0}))
      << "a column without range";
}

TEST(VectorPrecision, WrongRangesAreABug) {
  EXPECT_THROW(rounded(kInt8, {1, 2}, 2, ColumnRanges::of(std::vector<float>{4, 4}, 1)), Error);
  EXPECT_THROW(rounded(kFloat32, {1, 2}, 2), Error);
}

}  // namespace
}  // namespace minbert
