// A log whose reader does not keep up.
#include "minbert/serve/line_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <mutex>
#include <string>
#include <thread>

namespace minbert {
namespace {

TEST(LineLog, CountsWhatIsNotTakenAndCutsNoLine) {
  std::promise<void> go;
  std::atomic<int> calls = 0;
  std::mutex mutex;
  std::string taken;
  const auto text = [&] {
    const std::lock_guard lock(mutex);
    return taken;
  };
  {
    LineLog log([&](std::string_view lines) {
      const int call = ++calls;
      if (call == 1) go.get_future().wait();
      const std::size_t size = call == 2 ? 5 : lines.size();
      const std::lock_guard lock(mutex);
      taken += lines.substr(0, size);
      return size;
    });
    log.add("zero");
    while (calls == 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    for (const char* line : {"first line", "second", "third"}) log.add(line);
    go.set_value();
    while (text().find("dropped_lines") == std::string::npos) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
      if (calls > 1) log.add("more");
    }
  }
  const std::string all = text();
  EXPECT_EQ(all.find("zero\nfirst line\n"), 0u) << all;
  EXPECT_EQ(all.find("second"), std::string::npos) << all;
  EXPECT_EQ(all.find("{\"dropped_lines\":"), all.find("dropped_lines") - 2);
  EXPECT_EQ(all[all.find("{\"dropped_lines\":") - 1], '\n');
  EXPECT_TRUE(all.ends_with("more\n")) << all;
}

}  // namespace
}  // namespace minbert
