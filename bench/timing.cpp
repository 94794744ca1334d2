// Timing: medians over rounds.
#include "bench/timing.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "minbert/base/clock.h"

namespace minbert {

Timing time_rounds(Backend& backend, std::size_t count, std::int64_t rounds, const std::function<void(std::size_t)>& work) {
  std::vector<std::vector<double>> seconds(count);
  for (std::int64_t round = 0; round <= rounds; ++round) {
    if (round == 1) backend.reset_profile();
    for (std::size_t i = 0; i < count; ++i) {
      const Stopwatch watch;
      work(i);
      if (round > 0) seconds[i].push_back(watch.seconds());
    }
  }
  Timing timing;
  for (std::vector<double>& one : seconds) {
    std::sort(one.begin(), one.end());
    timing.ms += one[one.size() / 2] * 1e3 / static_cast<double>(count);
    timing.best_ms += one[0] * 1e3 / static_cast<double>(count);
  }
  return timing;
}

double rounded(double x) { return std::round(x * 1000) / 1000; }

}  // namespace minbert
