// Files: whole reads, memory maps, and writes that appear complete or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "minbert/base/check.h"
#include "minbert/base/live_files.h"

namespace minbert {

/// The whole file, or all that InputBytes (input_bytes.h) gives for a pipe or "-". Throws Error(tag) naming the path when it cannot be
/// read.
std::string read_file(const std::filesystem::path& path, ErrorTag tag = ErrorTag::kData);

/// A read-only memory map of a whole file. Movable; the bytes live as long as the object. When another program cuts the file short
/// meanwhile, reading what is gone ends the process (on_cut_file); where nobody reports that, as in servers and libraries, a model's file
/// is read into memory instead.
class MappedFile {
 public:
  /// Throws Error(tag) when the file is missing, cannot be mapped or is cut short while it is read. An empty file maps to an empty span.
  /// kModel is the tag of models.
  explicit MappedFile(const std::filesystem::path& path, ErrorTag tag = ErrorTag::kData);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  /// Gives back the memory that the bytes read so far take, if they are mapped. Whoever reads them again gets them from the file again.
  void release() const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::unique_ptr<internal::LiveFile> live_;
};

/// Writes to a temporary name beside `path`; commit() flushes, syncs and renames. Without commit() nothing is left behind.
/// Every failure (full disk, missing folder, no permission) throws Error(kResources) naming the path.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view text);
  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  std::unique_ptr<internal::LiveFile> live_;  // while the temporary file is there
  std::FILE* file_ = nullptr;
};

/// Writes `content` through an AtomicFile.
void write_file(const std::filesystem::path& path, std::string_view content);

/// A file that grows. Each write goes to the operating system at once, so that a killed writer leaves at most one torn piece.
/// Every failure (full disk, missing folder, no permission) throws Error(kResources) naming the path.
class AppendFile {
 public:
  /// Creates the file if absent, and appends to what it holds.
  explicit AppendFile(std::filesystem::path path);
  ~AppendFile();
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;

  void write(std::string_view text);
  /// Returns when all that was written is on disk.
  void sync();

 private:
  std::filesystem::path path_;
  int descriptor_ = -1;
};

/// Replaces a folder as a whole or not at all, even when the process is killed meanwhile. Without commit() nothing is left behind. Every
/// failure throws Error(kResources).
class AtomicFolder {
 public:
  /// Recovers `path` first.
  explicit AtomicFolder(std::filesystem::path path);
  ~AtomicFolder();
  AtomicFolder(const AtomicFolder&) = delete;
  AtomicFolder& operator=(const AtomicFolder&) = delete;

  /// Where to write: a hidden folder beside `path`.
  const std::filesystem::path& temporary() const { return temporary_; }
  void commit();
  /// Clears away what a killed writer left: afterwards `path` is the last complete folder, or there is none.
  static void recover(const std::filesystem::path& path);

 private:
  std::filesystem::path path_, temporary_;
  std::unique_ptr<internal::LiveFile> live_;  // while the temporary folder is there
};

/// A folder of its own among the system's temporary ones. The destructor removes it with all that is in it, and so do signals that end the
/// process. Throws Error(kResources).
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  internal::LiveFile live_;
};

/// Makes `to` a folder with the files of `from`, as a whole or not at all: as hard links, which take no room, or as copies where the
/// filesystem has none. Throws Error(kResources).
void link_folder(const std::filesystem::path& from, const std::filesystem::path& to);

/// Throws Error(kResources) when the filesystem of `path`, a file or a folder that may be absent still, has fewer than `bytes` free. `what`
/// says what they are for.
void expect_free_bytes(const std::filesystem::path& path, std::int64_t bytes, std::string_view what);

/// Creates the folder and its parents. Throws Error(kResources).
void make_directories(const std::filesystem::path& path);

/// The Error(kResources) that FileLock throws when another process holds the lock.
struct LockHeld : Error {
  using Error::Error;
};

/// An exclusive advisory lock on a file (created if absent, never through a link), released by the destructor.
class FileLock {
 public:
  /// With `wait`, waits until the lock is free. Without, throws LockHeld when it is not.
  explicit FileLock(const std::filesystem::path& path, bool wait = false);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  /// Whether another process holds the lock now. The check takes the lock for an instant.
  static bool is_held(const std::filesystem::path& path);

 private:
  int descriptor_ = -1;
};

}  // namespace minbert
