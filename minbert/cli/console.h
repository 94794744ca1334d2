// Console: messages for people, all on stderr.
#pragma once

#include <string>
#include <string_view>

namespace minbert {

class Console {
 public:
  /// Colour and the progress line appear only if stderr is a terminal; colour only if `color` is set too.
  explicit Console(bool color = false);

  void set_quiet(bool quiet) { quiet_ = quiet; }
  /// Errors only: another process of the same run speaks to people.
  void set_silent() { quiet_ = silent_ = true; }
  /// From now on a reader of stderr that stopped holds nothing up: what it does not take within a second is dropped.
  void set_lossy() { lossy_ = true; }
  void set_verbose(bool verbose) { verbose_ = verbose; }
  void set_debug(bool debug) { debug_ = debug; }
  bool verbose() const { return verbose_; }
  bool is_terminal() const { return terminal_; }

  /// Prints a line, or several, unless -q; in bold if there is colour. Every text here goes through printable().
  void info(std::string_view text, bool bold = false);
  /// Prints a line with -v or MINBERT_DEBUG only.
  void detail(std::string_view text);
  /// Prints `minbert: warning: TEXT`, with -q too.
  void warning(std::string_view text);
  /// Prints `minbert: error TEXT` and, unless it is empty, `hint: HINT`, each as one line.
  void error(std::string_view text, std::string_view hint);
  /// Draws a line that the next one overwrites; does nothing without a terminal or with -q.
  void progress(std::string_view text);
  /// Removes the progress line.
  void clear_progress();

 private:
  std::string paint(std::string_view code, std::string_view text) const;
  void line(std::string_view text);
  void put(std::string_view text) const;

  bool terminal_, color_, lossy_ = false;
  bool quiet_ = false, silent_ = false, verbose_ = false, debug_ = false, drawn_ = false;
};

/// Writes to stderr what its reader takes, waiting a second at most for each piece. Returns how many bytes that were.
std::size_t write_while_read(std::string_view text);

/// "1h02m", "3m07s", "12s".
std::string format_duration(double seconds);
/// "87.3 MB"
std::string format_bytes(double bytes);

}  // namespace minbert
