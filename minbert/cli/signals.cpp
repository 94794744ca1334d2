// The signal handler, which may only set a flag or end the process.
#include "minbert/cli/signals.h"

#include <unistd.h>

#include <csignal>
#include <ctime>
#include <initializer_list>
#include <string_view>

#include "minbert/base/live_files.h"

namespace minbert {
namespace {

volatile std::sig_atomic_t received = 0;

void on_signal(int signal) {
  if (received != 0 && signal == SIGINT) end_at_once();
  received = signal;
}

}  // namespace

void end_at_once(int code) {
  remove_temporary_files();
  ::_exit(code);
}

void catch_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1, SIGHUP}) {
    struct sigaction action {};
    if (signal == SIGHUP && ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN) continue;  // nohup
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

namespace {

sigset_t held_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::sigaddset(&set, signal);
  return set;
}

}  // namespace

void hold_signals() {
  const sigset_t set = held_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

int wait_for_signal(double timeout_s) {
  const sigset_t set = held_signals();
  const auto whole = static_cast<std::time_t>(timeout_s);
  const timespec timeout = {whole, static_cast<long>((timeout_s - static_cast<double>(whole)) * 1e9)};
  const int signal = ::sigtimedwait(&set, nullptr, &timeout);
  return signal < 0 ? 0 : signal;
}

void report_cut_files() {
  on_cut_file([](const char* path, ErrorTag tag) {
    const auto put = [](std::string_view text) { static_cast<void>(!::write(STDERR_FILENO, text.data(), text.size())); };
    put("minbert: error [");
    put(tag_name(tag));
    put("] ");
    for (; *path != '\0'; ++path) put(static_cast<unsigned char>(*path) < 0x20 ? std::string_view(" ") : std::string_view(path, 1));
    put(": it was cut short while it was read\nhint: does another program write this file? Wait until it is done, or read a copy\n");
    ::_exit(static_cast<int>(tag));
  });
}

bool stop_requested() { return received != 0; }

void throw_if_stopped() {
  if (received != 0) throw Interrupted{received};
}

}  // namespace minbert
