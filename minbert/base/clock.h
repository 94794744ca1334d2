// Clock: elapsed seconds and UTC time stamps.
#pragma once

#include <chrono>
#include <string>
#include <utility>

namespace minbert {

/// Seconds since construction, reset() or lap(), by a clock that never goes back.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  void reset() { start_ = Clock::now(); }
  /// seconds(), and starts anew.
  double lap() {
    const Clock::time_point start = std::exchange(start_, Clock::now());
    return std::chrono::duration<double>(start_ - start).count();
  }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

/// ISO 8601 to the second, such as "2024-02-29T12:34:56Z".
std::string utc_timestamp(std::chrono::system_clock::time_point time = std::chrono::system_clock::now());

}  // namespace minbert
