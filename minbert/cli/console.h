// Console: what the person at the terminal reads, all of it on stderr.
#pragma once

#include <string>
#include <string_view>

namespace minbert {

class Console {
 public:
  /// Colour and the updating line only where stderr is a terminal. `color` false: no colour there either.
  explicit Console(bool color = false);

  void set_quiet(bool quiet) { quiet_ = quiet; }
  void set_verbose(bool verbose) { verbose_ = verbose; }
  void set_debug(bool debug) { debug_ = debug; }
  bool quiet() const { return quiet_; }
  bool verbose() const { return verbose_; }
  bool is_terminal() const { return terminal_; }

  /// A line, unless -q.
  void info(std::string_view text);
  /// A line with -v or MINBERT_DEBUG only.
  void detail(std::string_view text);
  /// `minbert: warning: TEXT`, -q or not.
  void warning(std::string_view text);
  /// `minbert: error TEXT` and, where there is one, `hint: HINT`; control characters become blanks, so that it is one line each.
  void error(std::string_view text, std::string_view hint);
  /// A line that the next one overwrites; nothing off a terminal or with -q.
  void progress(std::string_view text);
  /// Takes the progress line away.
  void clear_progress();

  /// The text in bold, where there is colour.
  std::string bold(std::string_view text) const;

 private:
  std::string paint(std::string_view code, std::string_view text) const;
  void line(std::string_view text);

  bool terminal_, color_;
  bool quiet_ = false, verbose_ = false, debug_ = false, drawn_ = false;
};

/// "1h02m", "3m07s", "12s".
std::string format_duration(double seconds);
/// "87.3 MB"
std::string format_bytes(double bytes);

}  // namespace minbert
