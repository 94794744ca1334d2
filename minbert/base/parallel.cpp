// Implements parallel_for with a pool of threads that take chunks from a shared counter. No thread waits for another one to start:
// whichever thread runs takes the next chunk. A thread that finds no chunk spins briefly and then sleeps. Thus other processes on the
// machine slow the maths down by little more than the processor time that they use, although the scheduler stops threads at any moment.
#include "minbert/base/parallel.h"

#include <semaphore.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "minbert/base/check.h"
#include "minbert/base/cpu_limits.h"
#include "minbert/base/round_up.h"

namespace minbert {
namespace {

using ParallelBody = void (*)(void* context, std::int64_t begin, std::int64_t end);

/// How long a thread spins before it sleeps. It is longer than most gaps between the ops of a step, because to fall asleep and wake takes
/// tens of microseconds. It is shorter than the milliseconds for which a scheduler stops a thread, because a thread that spins while it
/// waits for a stopped thread may occupy the core that the stopped thread needs.
constexpr std::chrono::microseconds kSpin{50};

/// Lets threads sleep until a condition is true. The thread that makes it true calls wake(). It uses a semaphore, because a forked child
/// has none of its parent's sleeping threads, and there a condition variable would wait for them.
class Condition {
 public:
  Condition() { MINBERT_CHECK(sem_init(&wakings_, 0, 0) == 0, "semaphore"); }
  ~Condition() { sem_destroy(&wakings_); }
  Condition(const Condition&) = delete;
  Condition& operator=(const Condition&) = delete;

  template <class Ready>
  void wait(const Ready& ready) {
    while (!spin(ready)) {
      ++sleepers_;  // comes before the next ready(), so that a thread that makes it true after that call finds a sleeper to wake
      if (ready() && take_sleepers(1) == 1) return;
      while (sem_wait(&wakings_) != 0) {  // it fails when a signal interrupts it
      }
    }
  }
  /// Wakes at most `most` sleepers.
  void wake(std::int64_t most) {
    for (std::int64_t count = take_sleepers(most); count > 0; --count) sem_post(&wakings_);
  }

 private:
  template <class Ready>
  static bool spin(const Ready& ready) {
    const auto start = std::chrono::steady_clock::now();
    do {
      if (ready()) return true;
    } while (std::chrono::steady_clock::now() - start < kSpin);
    return false;
  }
  /// Lowers sleepers_ by at most `most`, and returns by how much.
  std::int64_t take_sleepers(std::int64_t most) {
    std::int64_t all = sleepers_, count = 0;
    do {
      count = std::min(all, most);
    } while (count > 0 && !sleepers_.compare_exchange_weak(all, all - count));
    return count;
  }

  std::atomic<std::int64_t> sleepers_ = 0;  // how many threads sleep, or are about to, and have no sem_post on its way
  sem_t wakings_;
};

/// How indices are cut into chunks. Chunks come in at most four rounds, and a round has one chunk for each thread. The chunks of a round
/// cover half of what is left, those of the fourth all of it. Thus threads that run undisturbed get equal shares in a few large chunks, and
/// a thread that was stopped leaves only small chunks to the others. Grains that do not divide evenly among threads are single chunks at
/// the end.
class Chunks {
 public:
  Chunks() = default;
  Chunks(std::int64_t indices, std::int64_t grain, int threads)
      : indices_(indices), grains_(divide_up(indices, std::max<std::int64_t>(grain, 1))), threads_(threads) {
    std::int64_t left = grains_ / threads_;
    count_ = grains_ % threads_;
    for (std::size_t round = 0; left > 0; ++round) {
      sizes_[round] = round + 1 < sizes_.size() ? divide_up(left, 2) : left;
      left -= sizes_[round];
      count_ += threads_;
    }
  }

  std::int64_t count() const { return count_; }
  /// Calls body(begin, end) for one chunk.
  template <class Body>
  void call(std::int64_t chunk, const Body& body) const {
    std::int64_t first = 0, size = 1;
    for (const std::int64_t round_size : sizes_) {
      if (round_size == 0) break;
      if (chunk < threads_) {
        size = round_size;
        break;
      }
      first += threads_ * round_size;
      chunk -= threads_;
    }
    first += chunk * size;
    body(indices_ * first / grains_, indices_ * (first + size) / grains_);
  }

 private:
  std::int64_t indices_ = 0, grains_ = 0, threads_ = 1, count_ = 0;
  std::array<std::int64_t, 4> sizes_{};  // grains in each chunk of a round
};

/// The values behind num_threads() and thread_index(), and whether the thread is inside a parallel_for; each thread has its own.
struct ThreadState {
  int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
  int index = 0;
  bool in_parallel = false;
};
thread_local ThreadState self;

/// Threads that help the thread that owns the pool. Only the owner calls run(), and it takes chunks too.
class Pool {
 public:
  explicit Pool(int threads) : threads_(threads), shared_(std::make_shared<Shared>()) {
    // The threads are detached, because a forked child has none of them, and to join them there would wait forever.
    try {
      for (int index = 1; index < threads; ++index)
        std::thread([shared = shared_, state = ThreadState{threads, index, true}] {
          self = state;
          shared->work();
        }).detach();
    } catch (...) {
      stop();
      throw;
    }
  }
  ~Pool() { stop(); }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int threads() const { return threads_; }

  void run(const Chunks& chunks, void* context, ParallelBody body) {
    Shared& s = *shared_;
    s.chunks = chunks;
    s.context = context;
    s.body = body;
    s.unfinished = chunks.count();
    s.left = chunks.count();
    s.work_to_do.wake(std::min<std::int64_t>(chunks.count(), threads_) - 1);
    self.in_parallel = true;
    s.take_chunks();
    self.in_parallel = false;
    s.all_done.wait([&] { return s.unfinished == 0; });
    if (s.failure) std::rethrow_exception(std::exchange(s.failure, nullptr));
  }

 private:
  struct Shared {
    // The owner writes the next three members only while no chunk is unfinished; a thread reads them only while it has a chunk.
    Chunks chunks;
    void* context = nullptr;
    ParallelBody body = nullptr;
    std::mutex failing;
    std::exception_ptr failure;
    alignas(64) std::atomic<std::int64_t> left = 0;        // chunks that nobody has taken
    alignas(64) std::atomic<std::int64_t> unfinished = 0;  // chunks that are not done
    alignas(64) std::atomic<bool> stopped = false;
    Condition work_to_do, all_done;

    void take_chunks() {
      for (std::int64_t n = left; n > 0;) {
        if (!left.compare_exchange_weak(n, n - 1)) continue;
        try {
          chunks.call(chunks.count() - n, [&](std::int64_t begin, std::int64_t end) { body(context, begin, end); });
        } catch (...) {
          const std::lock_guard lock(failing);
          if (!failure) failure = std::current_exception();
        }
        if (--unfinished == 0) all_done.wake(1);
        n = left;
      }
    }
    void work() {
      while (!stopped) {
        take_chunks();
        work_to_do.wait([&] { return left > 0 || stopped; });
      }
    }
  };

  void stop() {
    shared_->stopped = true;
    shared_->work_to_do.wake(threads_);
  }

  int threads_;
  std::shared_ptr<Shared> shared_;
};

/// The calling thread's pool of num_threads() threads.
Pool& own_pool() {
  thread_local std::unique_ptr<Pool> pool;
  if (pool == nullptr || pool->threads() != self.threads) pool = std::make_unique<Pool>(self.threads);
  return *pool;
}

}  // namespace

int num_threads() { return self.threads; }

void set_num_threads(int n) {
  MINBERT_CHECK(n >= 1, "threads = {}", n);
  self.threads = n;
}

int thread_index() { return self.index; }

int available_cores() { return read_cpu_limits().threads(); }

void for_teams(int teams, const std::function<void(int)>& body) {
  MINBERT_CHECK(teams >= 1 && teams <= num_threads(), "{} teams of {} threads", teams, num_threads());
  const int own = num_threads() / teams;
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(teams));
  {
    std::vector<std::jthread> running;
    for (int team = 0; team < teams; ++team) {
      running.emplace_back([&, team] {
        set_num_threads(own);  // applies to each parallel_for that this thread calls
        try {
          body(team);
        } catch (...) {
          failures[static_cast<std::size_t>(team)] = std::current_exception();
        }
      });
    }
  }
  for (const std::exception_ptr& failure : failures)
    if (failure) std::rethrow_exception(failure);
}

namespace internal {

void parallel_for_impl(std::int64_t count, std::int64_t grain, void* context, ParallelBody body) {
  if (count <= 0) return;
  const Chunks chunks(count, grain, num_threads());
  if (num_threads() == 1 || chunks.count() == 1 || self.in_parallel) return body(context, 0, count);
  own_pool().run(chunks, context, body);
}

}  // namespace internal
}  // namespace minbert
