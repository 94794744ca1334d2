// Signals: the one flag that a first Ctrl-C, SIGTERM or SIGUSR1 sets.
#pragma once

namespace minbert {

inline constexpr int kStoppedCode = 75;  ///< exit code after a checkpoint (sysexits.h: EX_TEMPFAIL, try again later)

/// From now on these signals set the flag; a Ctrl-C after it ends the process with 130.
void catch_signals();
/// True once a signal came.
bool stop_requested();

/// A file that another program cuts short while it is read ends the process with one error line and the exit code of its kind.
void report_cut_files();

/// Thrown by verbs that have nothing to save, so that temporary files go; the exit code is 128 + the signal's number.
struct Interrupted {
  int signal;
};
void throw_if_stopped();

}  // namespace minbert
