// Arena: one growing block of aligned memory from which tensors are carved; nothing is freed until rewind.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "minbert/base/tensor.h"

namespace minbert {

/// Where bytes come from: host memory, or a device's. Implemented by backends and by HostMemory.
class Memory {
 public:
  virtual ~Memory() = default;
  /// At least 64-byte aligned, uninitialised. Throws Error(kResources) when there is none left.
  virtual void* allocate(std::size_t bytes) = 0;
  virtual void release(void* data, std::size_t bytes) = 0;
};

/// Page-backed host memory; large blocks ask for huge pages.
class HostMemory final : public Memory {
 public:
  void* allocate(std::size_t bytes) override;
  void release(void* data, std::size_t bytes) override;
};

/// Bump allocator over a few blocks. After the first steps of a loop that rewinds, all allocations fit one block and
/// nothing is allocated any more. Not thread-safe.
class Arena {
 public:
  explicit Arena(Memory& memory) : memory_(&memory) {}
  ~Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  /// Uninitialised tensor, 64-byte aligned.
  Tensor allocate(DType dtype, std::initializer_list<std::int64_t> shape);
  Tensor allocate(DType dtype, std::span<const std::int64_t> shape);

  /// A position to rewind to: every tensor allocated after it becomes invalid.
  struct Mark {
    std::size_t block = 0;
    std::size_t offset = 0;
  };
  Mark mark() const { return {current_, offset_}; }
  void rewind(Mark mark);
  /// Rewinds to empty and, when several blocks were needed, replaces them by one that holds all.
  void reset();

  /// Bytes obtained from Memory, in use or not.
  std::size_t capacity_bytes() const;
  /// The most bytes in use at once since construction.
  std::size_t peak_bytes() const { return peak_; }

 private:
  struct Block {
    std::byte* data;
    std::size_t size;
  };
  void* bump(std::size_t bytes);

  Memory* memory_;
  std::vector<Block> blocks_;
  std::size_t current_ = 0;  // index of the block in use
  std::size_t offset_ = 0;   // bytes used in it
  std::size_t peak_ = 0;
};

}  // namespace minbert
