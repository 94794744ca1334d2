// Descriptor: a file descriptor that closes itself, and what files.cpp and input_bytes.cpp share.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include "minbert/base/check.h"

namespace minbert::internal {

class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return value_; }
  int release() { return std::exchange(value_, -1); }

 private:
  int value_;
};

/// Throws Error(tag) "PATH: cannot ACTION: " and the meaning of `error_number`.
[[noreturn]] void fail_file(ErrorTag tag, const std::filesystem::path& path, std::string_view action, int error_number,
                            std::string hint = {});

/// Opens for reading and refuses folders, which open() accepts; "-" opens a duplicate of standard input. Sets `status`. The caller owns the
/// descriptor. Throws Error(tag).
int open_to_read(const std::filesystem::path& path, ErrorTag tag, struct stat& status);

/// Everything from the descriptor's position to its end. Throws Error(tag).
std::string read_all(int descriptor, const std::filesystem::path& path, ErrorTag tag, std::size_t expected_bytes);

}  // namespace minbert::internal
