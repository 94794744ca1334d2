// InputBytes: the bytes of an input that a person names: a file, a pipe, or "-" for standard input.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "minbert/base/files.h"

namespace minbert {

/// Whether the input is no regular file, so that its bytes come only once: a pipe, a terminal, standard input ("-").
bool is_read_once(const std::filesystem::path& path);

/// Whether the input is a pipe or a terminal, whose next bytes may be long in coming. False for a file that is standard input.
bool comes_over_time(const std::filesystem::path& path);

/// "standard input" for "-", else the path, for errors.
std::string input_name(const std::filesystem::path& path);

/// Maps a regular file. What can be read only once is read to its end by the first object that names it and kept for later ones, as rows
/// are read several times: for labels, for splits, for fingerprints. An error names devices, which have no end.
class InputBytes {
 public:
  /// Throws Error(tag).
  explicit InputBytes(const std::filesystem::path& path, ErrorTag tag = ErrorTag::kData);

  std::string_view text() const { return file_ ? file_->text() : std::string_view(*text_); }
  /// See MappedFile::release().
  void release() const {
    if (file_) file_->release();
  }

 private:
  std::optional<MappedFile> file_;
  std::shared_ptr<const std::string> text_;
};

/// The lines of an input that is read once, as they come: another program may still write it.
class LineStream {
 public:
  /// Throws Error(tag), also for a device without an end.
  explicit LineStream(const std::filesystem::path& path, ErrorTag tag = ErrorTag::kData);
  ~LineStream();
  LineStream(const LineStream&) = delete;
  LineStream& operator=(const LineStream&) = delete;

  /// Waits for a whole line, and returns it with the whole lines that have come behind it (about a megabyte at most). At the end it returns
  /// what is left, which may lack its \n, then nothing. Throws Error(tag).
  std::string next();
  /// Waits for the end, and returns all that next() has not returned.
  std::string rest();

 private:
  bool read_some();

  std::filesystem::path path_;
  ErrorTag tag_;
  int descriptor_;
  std::string pending_;
  bool ended_ = false;
};

}  // namespace minbert
