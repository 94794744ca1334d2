// Comm on MPI. A thread of its own makes all MPI calls, one operation after the other, so that messages move while the maths goes on. It
// sleeps between looks at a message that is under way, because ranks that wait must leave the processor to those that compute.
#define OMPI_SKIP_MPICXX 1  // the C++ interface, which MPI has dropped
#define MPICH_SKIP_MPICXX 1
#include <mpi.h>
#include <signal.h>
#include <stdlib.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "minbert/base/bfloat16.h"
#include "minbert/base/check.h"
#include "minbert/base/clock.h"
#include "minbert/train/comm.h"

namespace minbert {
namespace {

constexpr int kDataTag = 0, kRollCallTag = 1;

/// The one wrapper of MPI's calls.
void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING] = "";
  int length = 0;
  MPI_Error_string(code, text, &length);
  throw Error(ErrorTag::kResources, call, std::string(text, static_cast<std::size_t>(length)));
}

int count_of(std::size_t elements) {
  MINBERT_CHECK(elements <= static_cast<std::size_t>(1) << 30, "a message of {} elements", elements);
  return static_cast<int>(elements);
}

MPI_Datatype type_of(float) { return MPI_FLOAT; }
MPI_Datatype type_of(double) { return MPI_DOUBLE; }
MPI_Datatype type_of(BFloat16) { return MPI_UINT16_T; }

class MpiComm final : public Comm {
 public:
  explicit MpiComm(const CommOptions& options) : timeout_s_(options.timeout_s), thread_([this] { serve(); }) {
    exchange_ = options.exchange;
    try {
      post([this] { init(); }).get();
      if (options.launch.ranks > 1 && size_ == 1)
        throw Error(ErrorTag::kUsage, options.launch.variable,
                    fmt::format("the launcher started {} processes, of which MPI sees one", options.launch.ranks),
                    "mpirun must be that of the MPI which minbert was built with; srun may need --mpi=pmix");
    } catch (...) {
      stop();
      throw;
    }
  }

  ~MpiComm() override {
    try {
      if (!failed_) post([] { check_mpi(MPI_Finalize(), "MPI_Finalize"); }).get();
    } catch (const std::exception&) {  // the process ends in any case
    }
    stop();
  }

  Pending start_reduce_scatter(std::span<float> values, WireType wire) override {
    return post([this, values, wire] {
      if (wire == WireType::kBf16)
        reduce_scatter_rounded(values);
      else
        reduce_scatter(values);
    });
  }

  Pending start_all_gather(std::span<float> values) override {
    return post([this, values] { all_gather(values); });
  }

  void all_reduce(std::span<double> values) override {
    post([this, values] {
      reduce_scatter(values);
      all_gather(values);
    }).get();
  }

  void broadcast(std::span<std::byte> bytes) override {
    post([this, bytes] {
      constexpr std::size_t kPiece = std::size_t{64} << 20;
      for (std::size_t begin = 0; begin < bytes.size(); begin += kPiece) {
        const auto piece = bytes.subspan(begin, std::min(kPiece, bytes.size() - begin));
        MPI_Request request = MPI_REQUEST_NULL;
        check_mpi(MPI_Ibcast(piece.data(), count_of(piece.size()), MPI_BYTE, 0, MPI_COMM_WORLD, &request), "MPI_Ibcast");
        wait({&request, 1});
      }
    }).get();
  }

  void barrier() override {
    post([this] {
      MPI_Request request = MPI_REQUEST_NULL;
      check_mpi(MPI_Ibarrier(MPI_COMM_WORLD, &request), "MPI_Ibarrier");
      wait({&request, 1});
    }).get();
  }

  void end_all(int exit_code) override {
    // MPI has this function for any thread of a process that fails, whatever the others do.
    MPI_Abort(MPI_COMM_WORLD, exit_code);
  }

  void let_first_speak() override {
    if (is_first() || failed_) return;  // a rank that waited in vain has waited long enough
    ::signal(SIGTERM, SIG_DFL);         // by which mpirun ends the ranks that are left
    std::this_thread::sleep_for(std::chrono::seconds(2));
  }

 private:
  void init() {
    // Open MPI over TCP: by default the receiver asks for each piece of a long message. Such a request waits behind the data that travel
    // the other way on the same connection, so that two ranks that exchange messages take turns. Pieces that are just sent have no such
    // wait.
    ::setenv("OMPI_MCA_btl_tcp_flags", "9", 0);  // MCA_BTL_FLAGS_SEND | MCA_BTL_FLAGS_SEND_INPLACE; mpirun --mca comes first
    int provided = 0;
    check_mpi(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    check_mpi(MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN), "MPI_Comm_set_errhandler");
    check_mpi(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
    check_mpi(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
    MPI_Comm local = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &local), "MPI_Comm_split_type");
    check_mpi(MPI_Comm_size(local, &local_size_), "MPI_Comm_size");
    check_mpi(MPI_Comm_free(&local), "MPI_Comm_free");
  }

  Pending post(std::function<void()> work) {
    std::packaged_task<void()> task(std::move(work));
    Pending pending = task.get_future();
    {
      const std::lock_guard lock(mutex_);
      tasks_.push_back(std::move(task));
    }
    come_.notify_one();
    return pending;
  }

  void serve() {
    for (;;) {
      std::packaged_task<void()> task;
      {
        std::unique_lock lock(mutex_);
        come_.wait(lock, [&] { return stopping_ || !tasks_.empty(); });
        if (tasks_.empty()) return;
        task = std::move(tasks_.front());
        tasks_.pop_front();
      }
      ++operations_;
      task();
    }
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    come_.notify_one();
    thread_.join();
  }

  /// Waits until all requests are done. Throws Error(kResources) naming the ranks that do not come.
  void wait(std::span<MPI_Request> requests) {
    using std::chrono::microseconds;
    constexpr int kEager = 50;
    constexpr microseconds kLongest{50};  // in which 10 Gbit/s bring 60 kB
    microseconds pause{5};
    const Stopwatch watch;
    for (int looks = 0;; ++looks) {
      int all_done = 0;
      check_mpi(MPI_Testall(count_of(requests.size()), requests.data(), &all_done, MPI_STATUSES_IGNORE), "MPI_Testall");
      if (all_done != 0) return;
      if (looks < kEager) {
        std::this_thread::yield();
        continue;
      }
      std::this_thread::sleep_for(pause);
      pause = std::min(2 * pause, kLongest);
      if (watch.seconds() > timeout_s_) fail_absent();
    }
  }

  /// Each rank that has waited too long says so to all others; those that are not heard of are the absent ones. The lowest of the others
  /// throws first, so that one rank reports what happened.
  [[noreturn]] void fail_absent() {
    constexpr double kRollCall_s = 3;
    failed_ = true;
    std::vector<MPI_Request> sent(static_cast<std::size_t>(size_), MPI_REQUEST_NULL), heard = sent;
    std::vector<std::uint64_t> numbers(static_cast<std::size_t>(size_), 0);
    const std::uint64_t own = operations_;
    for (int r = 0; r < size_; ++r) {
      if (r == rank_) continue;
      const auto i = static_cast<std::size_t>(r);
      MPI_Irecv(&numbers[i], 1, MPI_UINT64_T, r, kRollCallTag, MPI_COMM_WORLD, &heard[i]);
      MPI_Isend(&own, 1, MPI_UINT64_T, r, kRollCallTag, MPI_COMM_WORLD, &sent[i]);
    }
    const Stopwatch watch;
    std::vector<int> which(static_cast<std::size_t>(size_));
    for (int left = size_ - 1; left > 0 && watch.seconds() < std::max(kRollCall_s, timeout_s_ / 10);) {
      int count = 0;
      MPI_Testsome(size_, heard.data(), &count, which.data(), MPI_STATUSES_IGNORE);  // sets those that are done to MPI_REQUEST_NULL
      if (count > 0) left -= count;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::vector<int> absent, present;
    for (int r = 0; r < size_; ++r) (r == rank_ || heard[static_cast<std::size_t>(r)] == MPI_REQUEST_NULL ? present : absent).push_back(r);
    if (present.front() != rank_) std::this_thread::sleep_for(std::chrono::seconds(2));
    throw Error(ErrorTag::kResources, absent.empty() ? "MPI" : fmt::format("rank {}", fmt::join(absent, ", ")),
                absent.empty() ? fmt::format("all ranks waited {:.0f} s for a message", timeout_s_)
                               : fmt::format("did not come to a sum within {:.0f} s, the other ranks end", timeout_s_),
                "the last checkpoint is good: --resume goes on; --comm-timeout sets how long a rank may be late");
  }

  /// Sends `values_of(rank)` to each other rank and receives `into(rank)` from it.
  template <class T, class ValuesOf, class Into>
  void exchange(const ValuesOf& values_of, const Into& into) {
    std::vector<MPI_Request> requests;
    const auto add = [&](std::span<T> values, const auto& start) {
      if (!values.empty()) start(values.data(), count_of(values.size()), &requests.emplace_back(MPI_REQUEST_NULL));
    };
    requests.reserve(2 * static_cast<std::size_t>(size_));
    for (int step = 1; step < size_; ++step) {  // so that not all ranks send to the same one at first
      const int from = (rank_ + size_ - step) % size_, to = (rank_ + step) % size_;
      add(into(from), [&](T* data, int count, MPI_Request* request) {
        check_mpi(MPI_Irecv(data, count, type_of(T()), from, kDataTag, MPI_COMM_WORLD, request), "MPI_Irecv");
      });
      add(values_of(to), [&](T* data, int count, MPI_Request* request) {
        check_mpi(MPI_Isend(data, count, type_of(T()), to, kDataTag, MPI_COMM_WORLD, request), "MPI_Isend");
      });
    }
    wait(requests);
  }

  template <class T>
  std::span<T> part(std::span<T> values, int rank) const {
    const Part part = part_of(values.size(), rank, size_);
    return values.subspan(part.begin, part.size());
  }

  /// What rank r sends of its part goes to slot r of `received`, which has room for one part of each rank.
  template <class T>
  void reduce_scatter(std::span<T> values) {
    const std::span<T> own = part(values, rank_);
    received_.resize(own.size_bytes() * static_cast<std::size_t>(size_));
    const std::span<T> received(reinterpret_cast<T*>(received_.data()), own.size() * static_cast<std::size_t>(size_));
    const auto slot = [&](int r) { return received.subspan(static_cast<std::size_t>(r) * own.size(), own.size()); };
    exchange<T>([&](int r) { return part(values, r); }, slot);
    std::ranges::copy(own, slot(rank_).begin());
    std::ranges::copy(slot(0), own.begin());
    add_in_order(own, received.subspan(own.size()));
  }

  /// Each rank's numbers are rounded to bf16, its own too, and summed up in f32.
  void reduce_scatter_rounded(std::span<float> values) {
    const std::span<float> own = part(values, rank_);
    std::vector<BFloat16> sent(values.begin(), values.end());
    std::vector<BFloat16> received(own.size() * static_cast<std::size_t>(size_));
    const auto slot = [&](int r) { return std::span(received).subspan(static_cast<std::size_t>(r) * own.size(), own.size()); };
    exchange<BFloat16>([&](int r) { return part(std::span(sent), r); }, slot);
    std::ranges::copy(part(std::span(sent), rank_), slot(rank_).begin());
    std::ranges::fill(own, 0.0f);
    for (int r = 0; r < size_; ++r) {  // one rank after the other, which compilers turn into vector code
      const std::span<const BFloat16> theirs = slot(r);
      for (std::size_t i = 0; i < own.size(); ++i) own[i] += static_cast<float>(theirs[i]);
    }
  }

  template <class T>
  void all_gather(std::span<T> values) {
    exchange<T>([&](int) { return part(values, rank_); }, [&](int r) { return part(values, r); });
  }

  double timeout_s_;
  std::mutex mutex_;
  std::condition_variable come_;
  std::deque<std::packaged_task<void()>> tasks_;
  bool stopping_ = false;
  std::atomic<bool> failed_ = false;
  std::uint64_t operations_ = 0;
  std::vector<std::byte> received_;
  std::thread thread_;  // last, because it uses the others
};

}  // namespace

std::unique_ptr<Comm> open_comm(const CommOptions& options) {
  if (options.launch.ranks == 0) return std::make_unique<Comm>();  // MPI would start a helper process for a single one
  return std::make_unique<MpiComm>(options);
}

}  // namespace minbert
