// Files on POSIX: open, read, map, lock, and write-then-rename.
#include "minbert/base/files.h"

#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <random>
#include <system_error>
#include <utility>

#include "minbert/base/descriptor.h"
#include "minbert/base/file_part.h"
#include "minbert/base/input_bytes.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

using internal::Descriptor;
using internal::open_to_read;

[[noreturn]] void fail(ErrorTag tag, const fs::path& path, std::string_view action, int error_number) {
  internal::fail_file(tag, path, action, error_number);
}

/// A rename is on disk only once its folder is. Some filesystems cannot sync a folder; that is ignored.
void sync_folder(const fs::path& folder) {
  const Descriptor descriptor(::open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (descriptor.get() >= 0) ::fsync(descriptor.get());
}

std::string random_digits() { return fmt::format("{:08x}{:08x}", std::random_device()(), std::random_device()()); }

/// A name that no other writer has used, on this or another machine: a killed writer's file may still be there. It is hidden, so that
/// nobody takes that for a result.
fs::path temporary_name(const fs::path& path) {
  return path.parent_path() / fmt::format(".{}.{}.tmp", path.filename().string(), random_digits());
}

}  // namespace

namespace internal {

void fail_file(ErrorTag tag, const fs::path& path, std::string_view action, int error_number, std::string hint) {
  if (error_number == ENOSPC && hint.empty()) hint = "the disk is full";
  throw Error(tag, path.string(), fmt::format("cannot {}: {}", action, std::generic_category().message(error_number)), std::move(hint));
}

int open_to_read(const fs::path& path, ErrorTag tag, struct stat& status) {
  const bool is_input = path == "-";
  Descriptor file(is_input ? ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  const fs::path name = is_input ? "standard input" : path;
  if (file.get() < 0 || ::fstat(file.get(), &status) != 0) {
    const bool was_pipe = errno == ENOENT && (name.string().starts_with("/dev/fd/") || name.string().starts_with("/proc/self/fd/"));
    fail_file(tag, name, "open", errno, was_pipe ? "a pipe of another command is gone with it: give the data again, or a file" : "");
  }
  if (S_ISDIR(status.st_mode)) throw Error(tag, name.string(), "expected a file, got a folder");
  return file.release();
}

std::string read_all(int descriptor, const fs::path& path, ErrorTag tag, std::size_t expected_bytes) {
  std::string content;
  content.reserve(expected_bytes);
  std::array<char, 1 << 16> buffer;
  for (;;) {
    const ssize_t got = ::read(descriptor, buffer.data(), buffer.size());
    if (got == 0) return content;
    if (got > 0)
      content.append(buffer.data(), static_cast<std::size_t>(got));
    else if (errno != EINTR)
      fail(tag, path, "read", errno);
  }
}

}  // namespace internal

std::string read_file(const fs::path& path, ErrorTag tag) {
  if (is_read_once(path)) return std::string(InputBytes(path, tag).text());
  struct stat status {};
  const Descriptor file(open_to_read(path, tag, status));
  return internal::read_all(file.get(), path, tag, static_cast<std::size_t>(status.st_size));
}

namespace {

void read_into(int file, const fs::path& path, std::uintmax_t offset, std::span<char> out, ErrorTag tag) {
  for (std::size_t done = 0; done < out.size();) {
    const ssize_t got = ::pread(file, out.data() + done, out.size() - done, static_cast<off_t>(offset + done));
    if (got == 0) throw Error(tag, path.string(), fmt::format("expected {} bytes, got {}", offset + out.size(), offset + done));
    if (got > 0)
      done += static_cast<std::size_t>(got);
    else if (errno != EINTR)
      fail(tag, path, "read", errno);
  }
}

}  // namespace

void read_at(const fs::path& path, std::uintmax_t offset, std::span<char> out, ErrorTag tag) {
  struct stat status {};
  const Descriptor file(open_to_read(path, tag, status));
  read_into(file.get(), path, offset, out, tag);
}

MappedFile::MappedFile(const fs::path& path, ErrorTag tag) {
  struct stat status {};
  const Descriptor file(open_to_read(path, tag, status));
  if (!S_ISREG(status.st_mode))
    throw Error(tag, path.string(), "expected a regular file, got a pipe or a device", "save it to a file first");
  if (status.st_size == 0) return;
  size_ = static_cast<std::size_t>(status.st_size);
  const bool copies = tag == ErrorTag::kModel && !reports_cut_files();
  void* address = copies ? ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                         : ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
  if (address == MAP_FAILED) fail(tag, path, "map", errno);
  data_ = static_cast<const std::byte*>(address);
  if (!copies) {
    live_ = std::make_unique<internal::LiveFile>(path, bytes(), tag);
    return;
  }
  try {
    read_into(file.get(), path, 0, {static_cast<char*>(address), size_}, tag);
  } catch (...) {
    ::munmap(address, size_);  // no destructor runs
    throw;
  }
}

MappedFile::~MappedFile() {
  live_.reset();
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release() const {
  if (live_ != nullptr) (void)::madvise(const_cast<std::byte*>(data_), size_, MADV_DONTNEED);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)), live_(std::move(other.live_)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(live_, other.live_);
  return *this;
}

AtomicFile::AtomicFile(fs::path path) : path_(std::move(path)) {
  std::error_code ignored;
  // The target of a link is replaced or created, not the link. A device or a pipe, such as /dev/null, is written to, never replaced.
  constexpr int kMostLinks = 40;  // as Linux follows
  for (int links = 0; fs::is_symlink(path_, ignored) && links < kMostLinks; ++links)
    path_ = path_.parent_path() / fs::read_symlink(path_, ignored);
  const auto kind = fs::status(path_, ignored).type();
  if (kind == fs::file_type::directory) fail(ErrorTag::kResources, path_, "write", EISDIR);
  const bool replaceable = kind == fs::file_type::regular || kind == fs::file_type::not_found;
  if (replaceable) {
    temporary_ = temporary_name(path_);
    live_ = std::make_unique<internal::LiveFile>(temporary_);  // a signal may come as soon as the file is there
  }
  const int flags = O_WRONLY | O_CLOEXEC | (replaceable ? O_CREAT | O_EXCL : 0);
  Descriptor descriptor(::open(replaceable ? temporary_.c_str() : path_.c_str(), flags, 0666));
  if (descriptor.get() < 0) fail(ErrorTag::kResources, path_, "write", errno);
  struct stat old {};
  if (kind == fs::file_type::regular && ::stat(path_.c_str(), &old) == 0)  // who may read the file stays as it is
    (void)::fchmod(descriptor.get(), old.st_mode & 07777);
  file_ = ::fdopen(descriptor.get(), "wb");
  if (file_ == nullptr) fail(ErrorTag::kResources, path_, "write", errno);
  descriptor.release();
}

AtomicFile::~AtomicFile() {
  if (file_ != nullptr) std::fclose(file_);
  if (!temporary_.empty()) ::unlink(temporary_.c_str());
}

void AtomicFile::write(std::string_view text) { write(std::as_bytes(std::span(text))); }

void AtomicFile::write(std::span<const std::byte> bytes) {
  MINBERT_CHECK(file_ != nullptr, "write after commit");
  if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file_) != bytes.size())
    fail(ErrorTag::kResources, path_, "write", errno);
}

void AtomicFile::commit() {
  MINBERT_CHECK(file_ != nullptr, "second commit");
  if (std::fflush(file_) != 0) fail(ErrorTag::kResources, path_, "write", errno);
  if (!temporary_.empty() && ::fsync(::fileno(file_)) != 0) fail(ErrorTag::kResources, path_, "sync", errno);
  if (std::fclose(std::exchange(file_, nullptr)) != 0) fail(ErrorTag::kResources, path_, "close", errno);
  if (temporary_.empty()) return;
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail(ErrorTag::kResources, path_, "rename", errno);
  temporary_.clear();
  live_.reset();
  sync_folder(path_.parent_path());
}

void write_file(const fs::path& path, std::string_view content) {
  AtomicFile file(path);
  file.write(content);
  file.commit();
}

AppendFile::AppendFile(fs::path path)
    : path_(std::move(path)), descriptor_(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666)) {
  if (descriptor_ < 0) fail(ErrorTag::kResources, path_, "write", errno);
}

AppendFile::~AppendFile() { ::close(descriptor_); }

void AppendFile::write(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor_, text.data(), text.size());
    if (written >= 0)
      text.remove_prefix(static_cast<std::size_t>(written));
    else if (errno != EINTR)
      fail(ErrorTag::kResources, path_, "write", errno);
  }
}

void AppendFile::sync() {
  if (::fsync(descriptor_) != 0) fail(ErrorTag::kResources, path_, "sync", errno);
}

namespace {

fs::path beside(const fs::path& path, std::string_view suffix) {
  return path.parent_path() / fmt::format(".{}.{}", path.filename().string(), suffix);
}

/// A name among the system's temporary folders. Others write there too: nobody can guess it.
fs::path new_temporary_name() {
  std::error_code error;
  const fs::path folder = fs::temp_directory_path(error);
  if (error) throw Error(ErrorTag::kResources, "TMPDIR", "expected a folder for temporary files, got none");
  return folder / ("minbert-" + random_digits());
}

void rename_folder(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) fail(ErrorTag::kResources, to, "rename", errno);
  sync_folder(to.parent_path());
}

void remove_folder(const fs::path& path) {
  std::error_code error;
  fs::remove_all(path, error);
  if (error) fail(ErrorTag::kResources, path, "remove", error.value());
}

}  // namespace

AtomicFolder::AtomicFolder(fs::path path) : path_(std::move(path)), temporary_(beside(path_, "new.tmp")) {
  recover(path_);
  live_ = std::make_unique<internal::LiveFile>(temporary_);
  make_directories(temporary_);
}

AtomicFolder::~AtomicFolder() {
  std::error_code ignored;
  fs::remove_all(temporary_, ignored);
}

void AtomicFolder::commit() {
  const fs::path old = beside(path_, "old");
  sync_folder(temporary_);
  if (fs::exists(path_)) rename_folder(path_, old);  // a kill from here on is undone by recover()
  rename_folder(temporary_, path_);
  live_.reset();
  remove_folder(old);
}

void AtomicFolder::recover(const fs::path& path) {
  const fs::path old = beside(path, "old");
  if (fs::exists(old) && !fs::exists(path)) rename_folder(old, path);
  remove_folder(old);
  remove_folder(beside(path, "new.tmp"));
}

TemporaryFolder::TemporaryFolder() : path_(new_temporary_name()), live_(path_) {
  if (::mkdir(path_.c_str(), 0700) != 0) fail(ErrorTag::kResources, path_, "create the folder", errno);
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  fs::remove_all(path_, ignored);
}

void link_folder(const fs::path& from, const fs::path& to) {
  AtomicFolder files(to);
  for (const auto& entry : fs::recursive_directory_iterator(from)) {
    const fs::path target = files.temporary() / entry.path().lexically_relative(from);
    std::error_code error;
    if (entry.is_directory())
      make_directories(target);
    else if (fs::create_hard_link(entry.path(), target, error); error)
      write_file(target, MappedFile(entry.path(), ErrorTag::kResources).text());
  }
  files.commit();
}

void expect_free_bytes(const fs::path& path, std::int64_t bytes, std::string_view what) {
  std::error_code ignored;
  fs::path there = fs::absolute(path, ignored);
  while (!fs::exists(there, ignored) && there.has_relative_path()) there = there.parent_path();
  const fs::space_info space = fs::space(there, ignored);
  const bool is_known = space.capacity != static_cast<std::uintmax_t>(-1) && space.capacity > 0;
  if (!is_known || std::cmp_greater_equal(space.available, bytes)) return;
  throw Error(ErrorTag::kResources, path.string(), fmt::format("expected {} free bytes for {}, got {}", bytes, what, space.available),
              "the disk is full");
}

void make_directories(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error) fail(ErrorTag::kResources, path, "create the folder", error.value());
}

FileLock::FileLock(const fs::path& path, bool wait) {
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0666));
  if (file.get() < 0) fail(ErrorTag::kResources, path, "lock", errno);
  int error = 0;
  do error = ::flock(file.get(), wait ? LOCK_EX : LOCK_EX | LOCK_NB) == 0 ? 0 : errno;
  while (error == EINTR);
  if (error != 0) {
    if (error == EWOULDBLOCK) throw LockHeld(ErrorTag::kResources, path.string(), "locked: another process is at work here");
    fail(ErrorTag::kResources, path, "lock", error);
  }
  descriptor_ = file.release();
}

FileLock::~FileLock() { ::close(descriptor_); }

bool FileLock::is_held(const fs::path& path) {
  const Descriptor file(::open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
  return file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

}  // namespace minbert
