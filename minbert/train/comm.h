// Comm: the processes (ranks) that train one model together, and the sums and copies between them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "minbert/base/env.h"

namespace minbert {

/// Elements [begin, end) of a vector.
struct Part {
  std::size_t begin = 0, end = 0;

  std::size_t size() const { return end - begin; }
};

/// Cuts [0, elements) into `size` consecutive parts at multiples of 16, and returns the part that `rank` sums up and keeps.
Part part_of(std::size_t elements, int rank, int size);

/// The type of the numbers in which gradients are sent; their sums are f32.
enum class WireType : std::uint8_t { kF32, kBf16 };

/// How gradients are sent. It changes the speed alone, but for the rounding of kBf16.
struct ExchangeOptions {
  std::size_t bucket_bytes = std::size_t{25} << 20;  ///< of f32 gradients that travel together, or a little more
  WireType wire = WireType::kF32;
};

/// All ranks make the same calls in the same order, and a call returns once every rank has made it. An object of this class itself is a
/// single process, and its calls do nothing. Every sum is made in the order of ranks, so that it has the same bits on each rank and in each
/// run with as many ranks. Calls throw Error(kResources) naming the ranks that did not come in time; all ranks must end then.
class Comm {
 public:
  Comm() = default;
  virtual ~Comm() = default;
  Comm(const Comm&) = delete;
  Comm& operator=(const Comm&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }
  /// How many of them run on this machine.
  int local_size() const { return local_size_; }
  /// The first rank alone writes files and talks to people.
  bool is_first() const { return rank_ == 0; }
  bool is_alone() const { return size_ == 1; }
  const ExchangeOptions& exchange() const { return exchange_; }

  /// Returned at once, while other work goes on; get() waits for the end. Until then `values` must stay where they are.
  using Pending = std::future<void>;
  /// Overwrites this rank's part of `values` with the sums over all ranks. What the other parts hold afterwards is not specified.
  virtual Pending start_reduce_scatter(std::span<float> values, WireType wire);
  /// Overwrites the other ranks' parts of `values` with theirs.
  virtual Pending start_all_gather(std::span<float> values);

  /// Overwrites `values` with their sums over all ranks.
  virtual void all_reduce(std::span<double> values);
  void all_reduce(std::span<float> values, WireType wire = WireType::kF32);
  /// Overwrites `bytes` with those of the first rank.
  virtual void broadcast(std::span<std::byte> bytes);
  void broadcast(std::span<float> values) { broadcast(std::as_writable_bytes(values)); }
  /// Returns the first rank's text.
  std::string broadcast(std::string text);
  /// Returns the first rank's number.
  double broadcast(double value);
  /// Whether any rank says so.
  bool any(bool flag);
  /// Returns when all ranks have come.
  virtual void barrier();

  /// Ends all ranks, this one included, because this one has failed; may return where there is no other.
  virtual void end_all(int exit_code);
  /// To be called by a rank other than the first that has failed, before it says so: leaves the word to the first rank, in case that all
  /// have failed alike and it ends them.
  virtual void let_first_speak() {}

 protected:
  int rank_ = 0, size_ = 1, local_size_ = 1;
  ExchangeOptions exchange_ = {};
};

struct CommOptions {
  double timeout_s = 300;  ///< how long a call waits for other ranks
  LaunchEnv launch = {};   ///< what the launcher set in the environment
  ExchangeOptions exchange = {};
};

/// The ranks that mpirun or srun has started; one process where none has. Throws Error(kUsage) where several were started, and this build
/// knows no MPI or another one than the launcher's.
std::unique_ptr<Comm> open_comm(const CommOptions& options);

/// Adds each rank's numbers to the result in the order of ranks: `sum` holds those of rank 0, `others` those of ranks 1 on, one rank's
/// after the other.
void add_in_order(std::span<float> sum, std::span<const float> others);
void add_in_order(std::span<double> sum, std::span<const double> others);

}  // namespace minbert
