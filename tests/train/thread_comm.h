// ThreadComm: ranks that are threads of one process, so that the laws of several ranks are tested without MPI.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "minbert/base/bfloat16.h"
#include "minbert/train/comm.h"

namespace minbert {

/// Where the ranks meet.
class Meeting {
 public:
  explicit Meeting(int size) : size_(size), addresses_(static_cast<std::size_t>(size)) {}

  /// Waits for all ranks. Throws if one has failed.
  void come() {
    std::unique_lock lock(mutex_);
    const std::int64_t round = round_;
    if (++here_ == size_) {
      here_ = 0;
      ++round_;
      all_.notify_all();
    }
    all_.wait(lock, [&] { return failed_ || round_ != round; });
    if (failed_) throw std::runtime_error("another rank has failed");
  }
  void fail() {
    const std::lock_guard lock(mutex_);
    failed_ = true;
    all_.notify_all();
  }
  void*& address(int rank) { return addresses_[static_cast<std::size_t>(rank)]; }

 private:
  const int size_;
  std::mutex mutex_;
  std::condition_variable all_;
  int here_ = 0;
  std::int64_t round_ = 0;
  bool failed_ = false;
  std::vector<void*> addresses_;
};

class ThreadComm final : public Comm {
 public:
  ThreadComm(Meeting& meeting, int rank, int size, ExchangeOptions exchange) : meeting_(meeting) {
    rank_ = rank;
    size_ = size;
    exchange_ = exchange;
  }

  Pending start_reduce_scatter(std::span<float> values, WireType) override {
    reduce_scatter(values);
    return Comm::start_reduce_scatter(values, WireType::kF32);
  }
  Pending start_all_gather(std::span<float> values) override {
    all_gather(values);
    return Comm::start_all_gather(values);
  }
  void all_reduce(std::span<double> values) override {
    reduce_scatter(values);
    all_gather(values);
  }
  void broadcast(std::span<std::byte> bytes) override {
    meet(bytes.data());
    if (rank_ > 0) std::memcpy(bytes.data(), meeting_.address(0), bytes.size());
    meeting_.come();
  }
  void barrier() override { meeting_.come(); }
  void end_all(int) override { meeting_.fail(); }

 private:
  void meet(void* address) {
    meeting_.address(rank_) = address;
    meeting_.come();
  }
  template <class T>
  void reduce_scatter(std::span<T> values) {
    meet(values.data());
    const Part part = part_of(values.size(), rank_, size_);
    for (std::size_t i = part.begin; i < part.end; ++i) {
      T sum = static_cast<T*>(meeting_.address(0))[i];
      for (int r = 1; r < size_; ++r) sum += static_cast<T*>(meeting_.address(r))[i];
      values[i] = sum;  // no other rank reads this element
    }
    meeting_.come();
  }
  template <class T>
  void all_gather(std::span<T> values) {
    meet(values.data());
    for (int r = 0; r < size_; ++r) {
      const Part part = part_of(values.size(), r, size_);
      if (r != rank_) std::copy_n(static_cast<T*>(meeting_.address(r)) + part.begin, part.size(), values.data() + part.begin);
    }
    meeting_.come();
  }

  Meeting& meeting_;
};

/// Calls body(communicator) on a thread for each rank. Rethrows the exception of the first rank that failed by itself.
inline void for_ranks(int size, const ExchangeOptions& exchange, const std::function<void(Comm& ranks)>& body) {
  Meeting meeting(size);
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::exception_ptr failure;
  for (int rank = 0; rank < size; ++rank)
    threads.emplace_back([&, rank] {
      ThreadComm ranks(meeting, rank, size, exchange);
      try {
        body(ranks);
      } catch (...) {
        const std::lock_guard lock(mutex);
        if (!failure) failure = std::current_exception();
        meeting.fail();
      }
    });
  for (std::thread& thread : threads) thread.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace minbert
