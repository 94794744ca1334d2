// Lines, colour and the progress line on stderr.
#include "minbert/cli/console.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

#include "minbert/base/unicode.h"

namespace minbert {
namespace {

/// Width of the terminal in columns, so that the progress line never wraps.
std::size_t terminal_width() {
  struct winsize size {};
  return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1 ? size.ws_col - 1 : 79;
}

}  // namespace

std::size_t write_while_read(std::string_view text) {
  constexpr std::size_t kPiece = 4096;  // a pipe that is ready takes as much
  std::size_t done = 0;
  while (done < text.size()) {
    pollfd ready = {STDERR_FILENO, POLLOUT, 0};
    if (::poll(&ready, 1, 1000) <= 0 || (ready.revents & POLLOUT) == 0) break;
    const ssize_t written = ::write(STDERR_FILENO, text.data() + done, std::min(text.size() - done, kPiece));
    if (written <= 0) break;
    done += static_cast<std::size_t>(written);
  }
  return done;
}

/// Ignores errors: a terminal that is gone, or a full disk behind stderr, must not end a training run.
void Console::put(std::string_view text) const {
  if (lossy_)
    write_while_read(text);
  else
    static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr));
}

Console::Console(bool color) : terminal_(::isatty(STDERR_FILENO) == 1), color_(color && terminal_) {}

std::string Console::paint(std::string_view code, std::string_view text) const {
  return color_ ? fmt::format("\033[{}m{}\033[0m", code, text) : std::string(text);
}

void Console::line(std::string_view text) {
  clear_progress();
  put(fmt::format("{}\n", text));
}

void Console::info(std::string_view text, bool bold) {
  if (!quiet_) line(bold ? paint("1", printable(text)) : printable_lines(text));
}

void Console::detail(std::string_view text) {
  if ((verbose_ || debug_) && !silent_) line(printable_lines(text));
}

void Console::warning(std::string_view text) {
  if (!silent_) line(fmt::format("minbert: {}: {}", paint("33", "warning"), printable(text)));
}

void Console::error(std::string_view text, std::string_view hint) {
  line(fmt::format("minbert: {} {}", paint("1;31", "error"), printable(text)));
  if (!hint.empty()) line(fmt::format("hint: {}", printable(hint)));
}

void Console::progress(std::string_view text) {
  if (!terminal_ || quiet_) return;
  put(fmt::format("\r\033[K{}", printable(text.substr(0, terminal_width()))));
  drawn_ = true;
}

void Console::clear_progress() {
  if (drawn_) put("\r\033[K");
  drawn_ = false;
}

std::string format_duration(double seconds) {
  const auto s = static_cast<long long>(std::max(0.0, seconds) + 0.5);
  if (s >= 3600) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  if (s >= 60) return fmt::format("{}m{:02}s", s / 60, s % 60);
  return fmt::format("{}s", s);
}

std::string format_bytes(double bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  std::size_t unit = 0;
  for (; bytes >= 1000 && unit + 1 < kUnits.size(); ++unit) bytes /= 1000;
  return unit == 0 ? fmt::format("{:.0f} B", bytes) : fmt::format("{:.1f} {}", bytes, kUnits[unit]);
}

}  // namespace minbert
