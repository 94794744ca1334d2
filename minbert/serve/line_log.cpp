// The writing thread.
#include "minbert/serve/line_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace minbert {

LineLog::LineLog(Write write) : write_(std::move(write)) {
  if (write_) thread_ = std::jthread([this] { run(); });
}

LineLog::~LineLog() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
}

void LineLog::add(std::string_view line) {
  constexpr std::size_t kMostBytes = 1 << 20;
  if (!write_) return;
  const std::lock_guard lock(mutex_);
  if (waiting_.size() + line.size() > kMostBytes) {
    ++dropped_;
    return;
  }
  if (waiting_.empty()) wake_.notify_one();
  if (dropped_ > 0) waiting_ += fmt::format("{{\"dropped_lines\":{}}}\n", std::exchange(dropped_, 0));
  waiting_ += line;
  waiting_ += '\n';
}

void LineLog::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stop_ || !waiting_.empty(); });
    if (waiting_.empty() && begun_.empty()) return;
    const std::string lines = std::exchange(begun_, {}) + std::exchange(waiting_, {});
    const bool last = stop_;
    lock.unlock();
    const std::string_view rest = std::string_view(lines).substr(write_(lines));
    // Under load, one write for the lines of a few milliseconds costs less than one each.
    if (!last) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    lock.lock();
    if (last) return;
    const bool is_within = !rest.empty() && rest.size() < lines.size() && lines[lines.size() - rest.size() - 1] != '\n';
    const std::size_t whole = is_within ? rest.find('\n') + 1 : 0;
    begun_ = rest.substr(0, whole);
    dropped_ += static_cast<std::size_t>(std::ranges::count(rest.substr(whole), '\n'));
  }
}

}  // namespace minbert
