// parallel_for on OpenMP.
#include "minbert/base/parallel.h"

#include <omp.h>
#include <sched.h>

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "minbert/base/check.h"

namespace minbert {

int num_threads() { return omp_get_max_threads(); }

void set_num_threads(int n) {
  MINBERT_CHECK(n >= 1, "threads = {}", n);
  omp_set_num_threads(n);
}

int available_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return omp_get_num_procs();
  return std::max(1, CPU_COUNT(&set));
}

void for_teams(int teams, const std::function<void(int)>& body) {
  MINBERT_CHECK(teams >= 1 && teams <= num_threads(), "{} teams of {} threads", teams, num_threads());
  const int threads = num_threads() / teams;
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(teams));
  {
    std::vector<std::jthread> running;
    for (int team = 0; team < teams; ++team) {
      running.emplace_back([&, team] {
        omp_set_num_threads(threads);  // of this thread's own regions
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

void parallel_for_impl(std::int64_t count, std::int64_t grain, void* context, void (*body)(void*, std::int64_t, std::int64_t)) {
  if (count <= 0) return;
  const std::int64_t parts = std::min<std::int64_t>(num_threads(), (count + grain - 1) / std::max<std::int64_t>(grain, 1));
  if (parts <= 1 || omp_in_parallel()) {
    body(context, 0, count);
    return;
  }
  std::exception_ptr failure;
  std::mutex mutex;
#pragma omp parallel for schedule(static, 1) num_threads(static_cast<int>(parts))
  for (std::int64_t part = 0; part < parts; ++part) {
    try {
      body(context, count * part / parts, count * (part + 1) / parts);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  }
  if (failure) std::rethrow_exception(failure);
}

}  // namespace internal
}  // namespace minbert
