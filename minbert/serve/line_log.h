// LineLog: lines that a thread of its own writes, so that no reader of them can hold up requests.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

namespace minbert {

class LineLog {
 public:
  /// Writes lines and returns how many bytes of them it could write. Whole lines of the rest are dropped, and counted.
  using Write = std::function<std::size_t(std::string_view lines)>;

  /// Empty: nothing is kept.
  explicit LineLog(Write write);
  /// Writes what is left.
  ~LineLog();
  LineLog(const LineLog&) = delete;
  LineLog& operator=(const LineLog&) = delete;

  bool on() const { return write_ != nullptr; }
  /// Adds a line, or drops it if more than a megabyte waits; the next line that is written tells how many were dropped, here or by `write`.
  void add(std::string_view line);

 private:
  void run();

  Write write_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string waiting_;
  std::size_t dropped_ = 0;
  std::string begun_;  // the end of a line whose beginning is written
  bool stop_ = false;
  std::jthread thread_;
};

}  // namespace minbert
