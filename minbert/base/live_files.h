// LiveFile: what a signal handler must know of files in use: those mapped into memory, and temporary ones.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

#include "minbert/base/check.h"

namespace minbert {

/// Reading a mapped file beyond the end that another program has cut it to raises SIGBUS. From now on `report` is called then, by the
/// signal handler, once temporary files are removed; it may use async-signal-safe functions only, and must end the process. A SIGBUS of
/// another cause keeps its effect. Without a `report`, as at first, MappedFile copies models, so that the process need not end.
void on_cut_file(void (*report)(const char* path, ErrorTag tag));
/// Whether on_cut_file() has set a report.
bool reports_cut_files();

/// Makes every signal that would end the process unlink its temporary files first; signals that are ignored or have a handler keep their
/// effect. Called once, at start.
void remove_temporary_files_on_signals();

/// Unlinks what AtomicFile and AtomicFolder are writing at this moment. Async-signal-safe, for a process that ends without its destructors.
void remove_temporary_files();

namespace internal {

/// Keeps a file in the table of the functions above. The table has room for 512 files at once; later ones are left out of it.
class LiveFile {
 public:
  /// A temporary file, or a temporary folder with all that is in it.
  explicit LiveFile(const std::filesystem::path& path);
  /// A mapped file; `tag` is that of its errors.
  LiveFile(const std::filesystem::path& path, std::span<const std::byte> mapped, ErrorTag tag);
  ~LiveFile();
  LiveFile(const LiveFile&) = delete;
  LiveFile& operator=(const LiveFile&) = delete;

 private:
  std::size_t slot_;
};

}  // namespace internal
}  // namespace minbert
