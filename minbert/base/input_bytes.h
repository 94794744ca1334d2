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

/// "standard input" for "-", else the path, for errors.
std::string input_name(const std::filesystem::path& path);

/// Maps a regular file. What can be read only once is read to its end by the first object that names it and kept for later ones, as rows
/// are read several times: for labels, for splits, for fingerprints. An error names devices, which have no end.
class InputBytes {
 public:
  /// Throws Error(tag).
  explicit InputBytes(const std::filesystem::path& path, ErrorTag tag = ErrorTag::kData);

  std::string_view text() const { return file_ ? file_->text() : std::string_view(*text_); }

 private:
  std::optional<MappedFile> file_;
  std::shared_ptr<const std::string> text_;
};

}  // namespace minbert
