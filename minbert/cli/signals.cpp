// The signal handler, which may only set a flag or end the process.
#include "minbert/cli/signals.h"

#include <unistd.h>

#include <csignal>
#include <initializer_list>

namespace minbert {
namespace {

volatile std::sig_atomic_t received = 0;

void on_signal(int signal) {
  if (received != 0 && signal == SIGINT) ::_exit(130);
  received = signal;
}

}  // namespace

void catch_signals() {
  for (const int signal : {SIGINT, SIGTERM, SIGUSR1}) {
    struct sigaction action {};
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    ::sigaction(signal, &action, nullptr);
  }
}

bool stop_requested() { return received != 0; }

void throw_if_stopped() {
  if (received != 0) throw Interrupted{received};
}

}  // namespace minbert
