// The innermost loop of products on processors with AMX, whose instructions multiply small matrices ("tiles") of bf16 or 8-bit numbers.
#pragma once

#include <cstdint>
#include <optional>

#include "minbert/ops/cpu/matrix.h"

namespace minbert::cpu {

/// The most rows and columns of one result. Sums along k are made of whole steps of kAmxStep words; a word holds two bf16 or four 8-bit
/// numbers that follow each other along k.
inline constexpr std::int64_t kAmxRows = 32, kAmxCols = 32, kAmxStep = 16;

/// The factors of a result c (rows, cols), and what else it needs. As many rows of a as are read must exist: 16 if c has at most 16,
/// else 32.
struct AmxFactors {
  const float* a;       ///< the 16 words of a step are adjacent
  std::int64_t a_row;   ///< words from one row to the next
  std::int64_t a_step;  ///< words from one step to the next
  const float* b;       ///< word k of column n is b[((k / 16 * 2 + n / 16) * 16 + k % 16) * 16 + n % 16]: tiles of 16 rows of 16 words
  std::int64_t depth;   ///< in words; a multiple of kAmxStep
  const float* next;    ///< 16 depth words to fetch into the second cache meanwhile, or null
};

/// Makes results on the thread that constructs it, where oneDNN's products must not run while it lives. A result is written when the next
/// one is made, or by finish(): what a tile stores cannot be read at once.
class AmxTiles {
 public:
  AmxTiles();
  ~AmxTiles();  ///< finish() must have been called
  AmxTiles(const AmxTiles&) = delete;
  AmxTiles& operator=(const AmxTiles&) = delete;

  /// c = a b + bias, or c += a b (f32 only), for a and b of bf16 and c of f32 or bf16; a null bias is 0. Sums are f32, in the order of k;
  /// denormals count as 0.
  void multiply(const Matrix& c, bool add, const AmxFactors& factors, const float* bias);
  /// Passes the exact sums (rows, cols) of a b to `use`, for a of u8 and b of i8. Between calls of both kinds finish() is needed.
  void multiply_bytes(const UsePiece& use, std::int64_t row, std::int64_t rows, std::int64_t col, std::int64_t cols,
                      const AmxFactors& factors);
  void finish();

 private:
  struct Result {
    Matrix c;  // where it goes, or for `use` where it is
    bool add = false;
    const UsePiece* use = nullptr;
    std::int64_t row = 0, col = 0;
  };

  /// Calls body(writer) with what writes the result that waits.
  template <class Body>
  void with_writer(const Body& body) const;
  /// Lets the result in the other half of sums_ wait.
  void made(const Result& result);
  float* other_sums() { return sums_[1 - current_]; }

  alignas(64) float sums_[2][kAmxRows * kAmxCols];
  int current_ = 0;  // the half of sums_ that waits
  std::optional<Result> waiting_;
};

}  // namespace minbert::cpu
