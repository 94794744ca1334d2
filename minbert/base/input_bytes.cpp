// InputBytes: the table of what has been read from inputs that give their bytes only once.
#include "minbert/base/input_bytes.h"

#include <poll.h>

#include <array>
#include <cerrno>
#include <map>
#include <mutex>
#include <utility>

#include "minbert/base/descriptor.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// By device and inode, which are the same for every name of a pipe.
using StreamId = std::pair<dev_t, ino_t>;
std::map<StreamId, std::shared_ptr<const std::string>> streams;
std::mutex streams_mutex;

bool get_status(const fs::path& path, struct stat& status) {
  return (path == "-" ? ::fstat(STDIN_FILENO, &status) : ::stat(path.c_str(), &status)) == 0;
}

/// Whether a device ends: a terminal does by Ctrl-D, /dev/null at once.
bool has_end(int descriptor, const struct stat& status) {
  struct stat null {};
  return !(S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) || ::isatty(descriptor) == 1 ||
         (::stat("/dev/null", &null) == 0 && null.st_rdev == status.st_rdev);
}

/// Opens what is read once; the caller owns the descriptor.
int open_stream(const fs::path& path, ErrorTag tag) {
  struct stat opened {};
  internal::Descriptor stream(internal::open_to_read(path, tag, opened));
  if (!has_end(stream.get(), opened)) throw Error(tag, input_name(path), "expected a file or a pipe, got a device");
  return stream.release();
}

std::shared_ptr<const std::string> read_stream(const fs::path& path, const struct stat& status, ErrorTag tag) {
  const std::lock_guard lock(streams_mutex);
  const StreamId id(status.st_dev, status.st_ino);
  // A pipe with a name is not even opened again: that would wait for another writer.
  if (const auto known = streams.find(id); known != streams.end()) return known->second;
  const internal::Descriptor stream(open_stream(path, tag));
  return streams[id] = std::make_shared<const std::string>(internal::read_all(stream.get(), input_name(path), tag, 0));
}

}  // namespace

std::string input_name(const fs::path& path) { return path == "-" ? "standard input" : path.string(); }

bool is_read_once(const fs::path& path) {
  struct stat status {};
  return path == "-" || (get_status(path, status) && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode));
}

bool comes_over_time(const fs::path& path) {
  struct stat status {};
  return is_read_once(path) && get_status(path, status) && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

InputBytes::InputBytes(const fs::path& path, ErrorTag tag) {
  struct stat status {};
  if (is_read_once(path) && get_status(path, status))
    text_ = read_stream(path, status, tag);
  else
    file_.emplace(path, tag);  // or throws what is wrong with the path
}

LineStream::LineStream(const fs::path& path, ErrorTag tag) : path_(path), tag_(tag), descriptor_(open_stream(path, tag)) {}

LineStream::~LineStream() { ::close(descriptor_); }

/// Waits for bytes and appends them to pending_; false at the end.
bool LineStream::read_some() {
  std::array<char, 1 << 16> buffer;
  ssize_t size = 0;
  do size = ::read(descriptor_, buffer.data(), buffer.size());
  while (size < 0 && errno == EINTR);
  if (size < 0) internal::fail_file(tag_, input_name(path_), "read", errno);
  pending_.append(buffer.data(), static_cast<std::size_t>(size));
  ended_ = size == 0;
  return !ended_;
}

std::string LineStream::next() {
  constexpr std::size_t kMost = std::size_t{1} << 20;
  std::size_t whole = pending_.rfind('\n');
  while (whole == std::string::npos && !ended_ && read_some()) whole = pending_.rfind('\n');
  struct pollfd ready {
    .fd = descriptor_, .events = POLLIN, .revents = 0
  };
  while (!ended_ && pending_.size() < kMost && ::poll(&ready, 1, 0) > 0 && read_some()) {
  }
  if (!ended_) {
    std::string lines = pending_.substr(0, pending_.rfind('\n') + 1);
    pending_.erase(0, lines.size());
    return lines;
  }
  return std::exchange(pending_, {});
}

std::string LineStream::rest() {
  while (!ended_ && read_some()) {
  }
  return std::exchange(pending_, {});
}

}  // namespace minbert
