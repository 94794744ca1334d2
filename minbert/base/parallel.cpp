// parallel_for on OpenMP; with MINBERT_STD_THREADS on std::thread, whose synchronisation ThreadSanitizer understands.
#include "minbert/base/parallel.h"

#ifndef MINBERT_STD_THREADS
#include <omp.h>
#endif

#include <algorithm>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "minbert/base/check.h"
#include "minbert/base/cpu_limits.h"
#include "minbert/base/round_up.h"

namespace minbert {
namespace {

#ifdef MINBERT_STD_THREADS

thread_local int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
thread_local bool parallel = false;

int max_threads() { return threads; }
void set_max_threads(int n) { threads = n; }
bool in_parallel() { return parallel; }

/// body(part) for each part, each on a thread of its own.
template <class Body>
void run_parts(std::int64_t parts, const Body& body) {
  std::vector<std::jthread> running;
  for (std::int64_t part = 0; part < parts; ++part)
    running.emplace_back([&body, part, inherited = threads] {
      threads = inherited;
      parallel = true;
      body(part);
    });
}

#else

int max_threads() { return omp_get_max_threads(); }
void set_max_threads(int n) { omp_set_num_threads(n); }
bool in_parallel() { return omp_in_parallel() != 0; }

template <class Body>
void run_parts(std::int64_t parts, const Body& body) {
#pragma omp parallel for schedule(static, 1) num_threads(static_cast<int>(parts))
  for (std::int64_t part = 0; part < parts; ++part) body(part);
}

#endif

}  // namespace

int num_threads() { return max_threads(); }

void set_num_threads(int n) {
  MINBERT_CHECK(n >= 1, "threads = {}", n);
  set_max_threads(n);
}

int available_cores() { return read_cpu_limits().threads(); }

void for_teams(int teams, const std::function<void(int)>& body) {
  MINBERT_CHECK(teams >= 1 && teams <= num_threads(), "{} teams of {} threads", teams, num_threads());
  const int own = num_threads() / teams;
  std::vector<std::exception_ptr> failures(static_cast<std::size_t>(teams));
  {
    std::vector<std::jthread> running;
    for (int team = 0; team < teams; ++team) {
      running.emplace_back([&, team] {
        set_max_threads(own);  // of this thread's own regions
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
  const std::int64_t parts = std::min<std::int64_t>(num_threads(), divide_up(count, std::max<std::int64_t>(grain, 1)));
  if (parts <= 1 || in_parallel()) {
    body(context, 0, count);
    return;
  }
  std::exception_ptr failure;
  std::mutex mutex;
  run_parts(parts, [&](std::int64_t part) {
    try {
      body(context, count * part / parts, count * (part + 1) / parts);
    } catch (...) {
      const std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace internal
}  // namespace minbert
