// Arena and host memory.
#include "minbert/base/arena.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>

#include "minbert/base/round_up.h"

namespace minbert {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
constexpr std::size_t kFirstBlock = std::size_t{1} << 20;

}  // namespace

void* HostMemory::allocate(std::size_t bytes) {
  const std::size_t alignment = bytes >= kHugePage ? kHugePage : kAlignment;
  void* data = std::aligned_alloc(alignment, round_up(std::max<std::size_t>(bytes, 1), alignment));
  if (data == nullptr) throw Error(ErrorTag::kResources, "memory", fmt::format("cannot allocate {} bytes", bytes));
  // Fewer page faults and TLB misses; a refusal costs nothing.
  if (alignment == kHugePage) (void)madvise(data, round_up(bytes, alignment), MADV_HUGEPAGE);
  return data;
}

void HostMemory::release(void* data, std::size_t) { std::free(data); }

Arena::~Arena() {
  for (const Block& block : blocks_) memory_->release(block.data, block.size);
}

Tensor Arena::allocate(DType dtype, std::initializer_list<std::int64_t> shape) {
  return allocate(dtype, std::span<const std::int64_t>(shape.begin(), shape.size()));
}

Tensor Arena::allocate(DType dtype, std::span<const std::int64_t> shape) {
  std::size_t bytes = dtype_size(dtype);
  for (const std::int64_t d : shape) {
    MINBERT_CHECK(d >= 0, "negative dimension {}", d);
    bytes *= static_cast<std::size_t>(d);
  }
  return Tensor(bump(std::max<std::size_t>(bytes, 1)), dtype, shape);
}

void* Arena::bump(std::size_t bytes) {
  bytes = round_up(bytes, kAlignment);
  while (current_ < blocks_.size() && offset_ + bytes > blocks_[current_].size) {
    ++current_;
    offset_ = 0;
  }
  if (current_ == blocks_.size()) {
    const std::size_t size = std::max({bytes, kFirstBlock, capacity_bytes()});  // doubles
    blocks_.push_back({static_cast<std::byte*>(memory_->allocate(size)), size});
    offset_ = 0;
  }
  void* data = blocks_[current_].data + offset_;
  offset_ += bytes;
  std::size_t used = offset_;
  for (std::size_t i = 0; i < current_; ++i) used += blocks_[i].size;
  peak_ = std::max(peak_, used);
  return data;
}

void Arena::rewind(Mark mark) {
  MINBERT_CHECK(mark.block <= current_, "rewind forwards");
  current_ = mark.block;
  offset_ = mark.offset;
}

void Arena::reset() {
  if (blocks_.size() > 1) {
    const std::size_t total = capacity_bytes();
    for (const Block& block : blocks_) memory_->release(block.data, block.size);
    blocks_.clear();
    blocks_.push_back({static_cast<std::byte*>(memory_->allocate(total)), total});
  }
  current_ = 0;
  offset_ = 0;
}

std::size_t Arena::capacity_bytes() const {
  std::size_t total = 0;
  for (const Block& block : blocks_) total += block.size;
  return total;
}

}  // namespace minbert
