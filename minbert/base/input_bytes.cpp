// InputBytes: the table of what has been read from inputs that give their bytes only once.
#include "minbert/base/input_bytes.h"

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

std::shared_ptr<const std::string> read_stream(const fs::path& path, const struct stat& status, ErrorTag tag) {
  const std::lock_guard lock(streams_mutex);
  const StreamId id(status.st_dev, status.st_ino);
  // A pipe with a name is not even opened again: that would wait for another writer.
  if (const auto known = streams.find(id); known != streams.end()) return known->second;
  struct stat opened {};
  const internal::Descriptor stream(internal::open_to_read(path, tag, opened));
  if (!has_end(stream.get(), opened)) throw Error(tag, input_name(path), "expected a file or a pipe, got a device");
  return streams[id] = std::make_shared<const std::string>(internal::read_all(stream.get(), input_name(path), tag, 0));
}

}  // namespace

std::string input_name(const fs::path& path) { return path == "-" ? "standard input" : path.string(); }

bool is_read_once(const fs::path& path) {
  struct stat status {};
  return path == "-" || (get_status(path, status) && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode));
}

InputBytes::InputBytes(const fs::path& path, ErrorTag tag) {
  struct stat status {};
  if (is_read_once(path) && get_status(path, status))
    text_ = read_stream(path, status, tag);
  else
    file_.emplace(path, tag);  // or throws what is wrong with the path
}

}  // namespace minbert
