// Output: a verb's data, to stdout or to a file that appears only when complete.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/base/text_table.h"

namespace minbert {

/// Thrown when the reader of stdout has gone: the program ends, quietly and well.
struct BrokenPipe {};

class Output {
 public:
  /// "-" is stdout. Throws Error(kResources) when the file cannot be written.
  explicit Output(const std::string& path = "-");
  /// Throws BrokenPipe, or Error(kResources): full disk, closed stdout.
  void write(std::string_view text);
  /// Everything is written; a file gets its name. Without it a file does not appear.
  void commit();

 private:
  std::optional<AtomicFile> file_;
};

/// Text to stdout, at once.
void print(std::string_view text);
/// One JSON value, indented, and a newline.
void print_json(const Json& json);

}  // namespace minbert
