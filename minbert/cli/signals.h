// Signals: the flag that the first Ctrl-C, SIGTERM, SIGUSR1 or SIGHUP (a closed terminal) sets.
#pragma once

namespace minbert {

inline constexpr int kStoppedCode = 75;  ///< exit code after a checkpoint (sysexits.h: EX_TEMPFAIL, try again later)

/// Makes these signals set the flag from now on. A Ctrl-C while the flag is set calls end_at_once().
void catch_signals();
/// Ends the process with this code, without temporary files. Async-signal-safe.
[[noreturn]] void end_at_once(int code = 130);
/// True once the flag is set.
bool stop_requested();

/// A file that another program cuts short while it is read ends the process with one error line and the exit code of its kind.
void report_cut_files();

/// Keeps SIGINT, SIGTERM and SIGHUP for wait_for_signal(): in this thread, and in those that it starts from now on.
void hold_signals();
/// Waits for the next held signal and returns its number, or 0 after `timeout_s` seconds.
int wait_for_signal(double timeout_s);

/// Thrown by verbs that have nothing to save: unwinding removes temporary files, and the exit code is 128 + the signal's number.
struct Interrupted {
  int signal;
};
/// Throws Interrupted once the flag is set.
void throw_if_stopped();

}  // namespace minbert
