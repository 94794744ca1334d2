// How our own kernels divide work among threads, and the scratch memory that they use.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "minbert/base/arena.h"
#include "minbert/base/parallel.h"
#include "minbert/base/round_up.h"
#include "minbert/base/tensor.h"

namespace minbert::cpu {

/// While it lives, this thread reads and writes denormal floats as zero. Else moments of embedding rows that are no longer touched
/// would decay into denormals and stay there, at over a hundred cycles for each operation on some processors.
class FlushDenormals {
 public:
#if defined(__SSE__)
  FlushDenormals() : saved_(_mm_getcsr()) { _mm_setcsr(saved_ | 0x8040u); }  // FTZ | DAZ
  ~FlushDenormals() { _mm_setcsr(saved_); }
#elif defined(__aarch64__)
  FlushDenormals() : saved_(__builtin_aarch64_get_fpcr()) { __builtin_aarch64_set_fpcr(saved_ | 1u << 24); }  // FZ
  ~FlushDenormals() { __builtin_aarch64_set_fpcr(saved_); }
#else
  FlushDenormals() {}
  ~FlushDenormals() {}
#endif
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  [[maybe_unused]] unsigned saved_ = 0;
};

/// Elements of simple arithmetic that are worth waking a thread for.
inline constexpr std::int64_t kGrain = 8192;

/// parallel_for with denormals flushed: every kernel of this backend runs under it, on one thread or many.
template <class Body>
void for_ranges(std::int64_t count, std::int64_t grain, Body&& body) {
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    const FlushDenormals flush;
    body(begin, end);
  });
}

/// Rows of `cols` elements that are worth waking a thread for.
inline std::int64_t rows_in_grain(std::int64_t cols) { return std::max<std::int64_t>(1, kGrain / std::max<std::int64_t>(1, cols)); }

/// Calls body(begin, end) on ranges of rows of `cols` elements.
template <class Body>
void for_rows(std::int64_t rows, std::int64_t cols, Body&& body) {
  for_ranges(rows, rows_in_grain(cols), body);
}

/// for_ranges for kernels whose threads need scratch memory of their own: calls body(thread, begin, end) with thread < num_threads().
template <class Body>
void for_ranges_by_thread(std::int64_t count, std::int64_t grain, Body&& body) {
  for_ranges(count, grain, [&](std::int64_t begin, std::int64_t end) { body(thread_index(), begin, end); });
}

/// A run of n elements starting at (row, col), dense in every tensor.
struct Piece {
  std::int64_t row, col, n;
  template <class T>
  T* of(const Tensor& x) const {
    return x.data<T>() + row * x.row_stride() + col;
  }
};

/// Calls body(piece) for pieces that cover the tensors, which have one shape. Where all are dense, pieces may span rows.
template <class Body>
void for_pieces(std::initializer_list<const Tensor*> tensors, Body&& body) {
  constexpr std::int64_t kPiece = 4096;
  const Tensor& first = **tensors.begin();
  if (std::all_of(tensors.begin(), tensors.end(), [](const Tensor* t) { return t->contiguous(); })) {
    const std::int64_t total = first.numel();
    for_ranges(divide_up(total, kPiece), kGrain / kPiece, [&](std::int64_t begin, std::int64_t end) {
      body(Piece{0, begin * kPiece, std::min(total, end * kPiece) - begin * kPiece});
    });
    return;
  }
  for_rows(first.rows(), first.cols(), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) body(Piece{row, 0, first.cols()});
  });
}

/// Memory that grows to the largest request and is then reused; one user at a time.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch() { release(); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  /// Uninitialised room for `count` elements, 64-byte aligned, valid until the next call.
  template <class T>
  T* get(std::int64_t count) {
    const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
    if (bytes > size_) {
      release();
      // Blocks of this size get huge pages. With pages of 4 KiB, conflicts in the caches, and so the speed, would differ from run to run.
      constexpr std::size_t kHugePages = std::size_t{4} << 20;
      const std::size_t size = std::max(kHugePages, bytes + bytes / 4);
      data_ = memory_.allocate(size);
      size_ = size;
    }
    return static_cast<T*>(data_);
  }

 private:
  void release() {
    if (data_ != nullptr) memory_.release(data_, size_);
    data_ = nullptr;
    size_ = 0;
  }

  HostMemory memory_;
  void* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Cuts a piece of scratch memory into arrays, each of which starts on a cache line. Over null it only counts the bytes.
class Carver {
 public:
  explicit Carver(std::byte* memory) : memory_(memory) {}

  /// Uninitialised room for `count` elements.
  template <class T>
  T* take(std::int64_t count) {
    std::byte* const start = memory_ != nullptr ? memory_ + bytes_ : nullptr;
    bytes_ += round_up(count * static_cast<std::int64_t>(sizeof(T)), 64);
    return reinterpret_cast<T*>(start);
  }
  /// Bytes taken so far.
  std::int64_t bytes() const { return bytes_; }

 private:
  std::byte* memory_;
  std::int64_t bytes_ = 0;
};

}  // namespace minbert::cpu
