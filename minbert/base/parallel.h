// parallel_for: the one place that starts threads for maths.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <type_traits>

namespace minbert {

/// Threads that parallel_for uses when the calling thread calls it, this one included; at least 1.
int num_threads();
/// Sets it for the calling thread; n >= 1. A thread begins with as many as there are processors in the affinity mask.
void set_num_threads(int n);
/// Sets it for the calling thread while this object lives.
class ThreadScope {
 public:
  explicit ThreadScope(int n) : before_(num_threads()) { set_num_threads(n); }
  ~ThreadScope() { set_num_threads(before_); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;

 private:
  int before_;
};
/// Index of the calling thread within the innermost running parallel_for, from 0 to num_threads() - 1; 0 outside one.
int thread_index();
/// Calls body(0) to body(teams - 1) at the same time, 1 <= teams <= num_threads(), each on a thread that has num_threads() / teams threads
/// to itself. An exception thrown by body is rethrown here once all have returned.
void for_teams(int teams, const std::function<void(int team)>& body);
/// The default number of threads: CpuLimits::threads() of this process.
int available_cores();

namespace internal {
void parallel_for_impl(std::int64_t count, std::int64_t grain, void* context, void (*body)(void*, std::int64_t, std::int64_t));
}  // namespace internal

/// Calls body(begin, end) on disjoint ranges that cover [0, count). They are several for each thread, of about `grain` indices or more.
/// Ranges depend on the thread count: a sum whose result must not is made over fixed chunks by the caller. Which thread gets which range
/// is chance. Nested calls run serially. An exception thrown by body is rethrown here.
template <class Body>
void parallel_for(std::int64_t count, std::int64_t grain, Body&& body) {
  auto* address = const_cast<void*>(static_cast<const void*>(std::addressof(body)));
  internal::parallel_for_impl(count, grain, address, [](void* context, std::int64_t begin, std::int64_t end) {
    (*static_cast<std::remove_reference_t<Body>*>(context))(begin, end);
  });
}

}  // namespace minbert
