// Output: writes a verb's data to stdout, or to a file that appears only when complete.
#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/base/text_table.h"
#include "minbert/cli/shard.h"

namespace minbert {

/// Thrown when the reader of stdout has closed it; the program then ends with 0, without a message.
struct BrokenPipe {};

class Output {
 public:
  /// "-" is stdout. Throws Error(kResources) when the file cannot be written.
  explicit Output(const std::string& path = "-");
  /// The file of a shard, which must outlive this object.
  explicit Output(ShardFile& shard) : shard_(&shard) {}
  /// Throws BrokenPipe, or Error(kResources) for a full disk or a closed stdout.
  void write(std::string_view text);
  /// Hands what was written to the reader of stdout now; a file waits for commit(). Throws as write() does.
  void flush();
  /// Flushes stdout, or gives the complete file its name; a file without a commit never appears. A shard's file is left to its owner.
  void commit();
  /// Writes what stands before the first row, unless an earlier process wrote it into the shard.
  void write_header(std::string_view text);

 private:
  std::optional<AtomicFile> file_;
  ShardFile* shard_ = nullptr;
};

/// The format of an output file by the ending of its name, in any case and without its dot: one of `formats`. "-" is jsonl, as standard
/// output has it. Throws Error(kUsage) for another ending.
std::string output_format(const std::string& path, std::initializer_list<std::string_view> formats, std::string hint = {});

/// `text` as one word of a shell's command line, quoted if it must be.
std::string shell_word(std::string_view text);

/// Writes data to stdout as it is, and flushes it.
void print(std::string_view text);
/// Writes text for people to stdout: lines by printable().
void print_text(std::string_view text);
/// Writes one JSON value, indented, and a newline.
void print_json(const Json& json);

}  // namespace minbert
