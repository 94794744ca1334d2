// Clock: elapsed seconds and UTC time stamps.
#pragma once

#include <chrono>
#include <string>

namespace minbert {

/// Seconds since construction or reset(), by a clock that never goes back.
class Stopwatch {
 public:
  double seconds() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }
  void reset() { start_ = Clock::now(); }

 private:
  using Clock = std::chrono::steady_clock;
  Clock::time_point start_ = Clock::now();
};

/// ISO 8601 to the second, such as "2024-02-29T12:34:56Z".
std::string utc_timestamp(std::chrono::system_clock::time_point time = std::chrono::system_clock::now());

}  // namespace minbert
