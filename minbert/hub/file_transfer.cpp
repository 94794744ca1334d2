// FileTransfer: reads the headers of responses, keeps the .part file, and checks it before it gets its name.
#include "minbert/hub/file_transfer.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "minbert/base/check.h"
#include "minbert/base/number.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_to_write(const fs::path& path, int error_number) {
  throw Error(ErrorTag::kResources, path.string(), fmt::format("cannot write: {}", std::generic_category().message(error_number)),
              error_number == ENOSPC ? "the disk is full; the next fetch goes on from here" : "");
}

/// A regular file with one name: neither a link nor a second name of a file elsewhere.
bool is_own_file(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1;
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
  const auto value = number_from<std::int64_t>(text);
  return value && *value >= 0 ? value : std::nullopt;
}

/// An entity tag without its quotes and its mark of weakness.
std::string_view bare_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

bool is_hexadecimal(std::string_view text, std::size_t digits) {
  const auto digit = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == digits && std::all_of(text.begin(), text.end(), digit);
}

void cut(HttpResult& result, std::string message) {
  result.outcome = HttpOutcome::kCut;
  result.message = std::move(message);
}

}  // namespace

bool is_sha256(std::string_view text) { return is_hexadecimal(text, 64); }

RemoteFile describe_remote_file(const HttpHead& head) {
  RemoteFile remote;
  if (head.status == 206) {
    // Content-Range: bytes FIRST-LAST/TOTAL
    std::string_view range = head.header("content-range");
    if (range.starts_with("bytes ")) range.remove_prefix(6);
    remote.first_byte = parse_bytes(range.substr(0, range.find('-'))).value_or(-1);
    if (const auto slash = range.find('/'); slash != std::string_view::npos) remote.bytes = parse_bytes(range.substr(slash + 1));
  } else {
    remote.bytes = parse_bytes(head.header("content-length"));
  }
  if (const auto linked_bytes = parse_bytes(head.header("x-linked-size"))) remote.bytes = linked_bytes;
  // A Hugging Face hub names large files by their SHA-256. Behind a redirect, a plain ETag is the storage's, and no checksum.
  const std::string_view linked = bare_etag(head.header("x-linked-etag")), plain = bare_etag(head.header("etag"));
  const std::string_view etag = linked.empty() ? plain : linked;
  const bool of_the_hub = !linked.empty() || head.redirects == 0;
  if (of_the_hub && is_hexadecimal(etag, 64)) remote.sha256 = etag;
  if (of_the_hub && is_hexadecimal(etag, 40)) remote.git_blob = etag;
  const std::string_view version = etag.empty() ? head.header("last-modified") : etag;
  remote.identity = sha256_hex(fmt::format("{} {}", version, remote.bytes.value_or(-1))).substr(0, 16);
  return remote;
}

FileTransfer::FileTransfer(fs::path path, TransferOptions options) : path_(std::move(path)), options_(std::move(options)) {
  if (const auto parts = leftovers(); parts.size() == 1) {
    std::error_code error;
    const auto size = fs::file_size(parts.front(), error);
    if (error) return;
    part_ = parts.front();
    written_ = static_cast<std::int64_t>(size);
  }
}

std::int64_t FileTransfer::next_request() {
  begun_ = false;
  return written_;
}

bool FileTransfer::accept(const HttpHead& head, std::span<const std::byte> bytes) {
  if (!begun_ && !begin(head)) return false;
  excess_ = written_ + std::ssize(bytes) > remote_.bytes.value_or(options_.max_unsized_bytes);
  if (excess_) return false;
  if (!bytes.empty() && std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) fail_to_write(part_, errno);
  hash_.update(bytes);
  written_ += static_cast<std::int64_t>(bytes.size());
  report(false);
  return true;
}

/// Looks at the headers before the first byte of a body. False when the body is not wanted: the file is here already
/// (download_ says so), or the range does not fit.
bool FileTransfer::begin(const HttpHead& head) {
  remote_ = describe_remote_file(head);
  if (matches_existing()) {
    download_ = {*remote_.bytes, wanted_sha256(), false};
    return false;
  }
  if (head.status != 206)
    restart();
  else if (remote_.first_byte != written_ || (written_ > 0 && part_ != part_path(remote_.identity)))
    return false;
  begun_ = true;
  if (file_ == nullptr)
    open();
  else
    resumed_ = true;
  return true;
}

bool FileTransfer::matches_existing() const {
  std::error_code error;
  const auto size = fs::file_size(path_, error);
  if (error || !remote_.bytes || static_cast<std::int64_t>(size) != *remote_.bytes) return false;
  if (!wanted_sha256().empty()) return sha256_file(path_, ErrorTag::kResources) == wanted_sha256();
  return !remote_.git_blob.empty() && git_blob_hex(MappedFile(path_, ErrorTag::kResources).text()) == remote_.git_blob;
}

/// Takes the lock and opens the part: an earlier transfer's to go on with when written_ > 0, else an empty one.
void FileTransfer::open() {
  part_ = part_path(remote_.identity);
  std::error_code ignored;
  if (!is_own_file(part_)) fs::remove(part_, ignored);  // the name is predictable: somebody may have put a link there
  lock_ = std::make_unique<FileLock>(part_);
  if (!is_own_file(part_)) throw Error(ErrorTag::kResources, part_.string(), "expected a file of ours, got a link");
  if (written_ > 0) {
    const MappedFile so_far(part_, ErrorTag::kResources);
    if (static_cast<std::int64_t>(so_far.bytes().size()) != written_) {
      throw Error(ErrorTag::kResources, part_.string(), "changed meanwhile: another process is at work here");
    }
    hash_.update(so_far.bytes());
    resumed_ = true;
  }
  const int descriptor = ::open(part_.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC | (written_ > 0 ? O_APPEND : O_TRUNC));
  if (descriptor < 0) fail_to_write(part_, errno);
  file_.reset(::fdopen(descriptor, written_ > 0 ? "ab" : "wb"));
  if (file_ == nullptr) fail_to_write(part_, errno);
  for (const fs::path& other : leftovers()) {
    if (other != part_) fs::remove(other, ignored);
  }
}

void FileTransfer::settle(HttpResult& result, const std::string& url) {
  if (result.head.status == 416) {
    restart();
    return cut(result, "the part kept does not fit the file");
  }
  if (result.head.status / 100 != 2) return;
  if (excess_) {
    const std::int64_t most = remote_.bytes.value_or(options_.max_unsized_bytes);
    const bool length_known = remote_.bytes.has_value();
    restart();
    throw Error(options_.refused, url,
                length_known ? fmt::format("expected {} bytes, got more", most)
                             : fmt::format("expected at most {} bytes of a file that comes without its length, got more", most));
  }
  // An empty body never reaches the sink.
  if (result.outcome == HttpOutcome::kDone && !begun_ && !accept(result.head, {})) result.outcome = HttpOutcome::kStopped;
  if (!download_.downloaded) {
    result.outcome = HttpOutcome::kDone;
  } else if (result.outcome == HttpOutcome::kStopped) {
    restart();
    cut(result, "the part kept does not fit the file");
  } else if (result.outcome == HttpOutcome::kDone) {
    finish(result, url);
  }
}

void FileTransfer::finish(HttpResult& result, const std::string& url) {
  const std::int64_t total = remote_.bytes.value_or(written_);
  if (written_ < total) return cut(result, fmt::format("expected {} bytes, got {}", total, written_));
  download_ = {written_, hash_.hex(), true};
  const bool right_hash = wanted_sha256().empty() || download_.sha256 == wanted_sha256();
  if (download_.bytes == total && right_hash) return is_there_already() ? keep_existing() : publish();
  const bool was_resumed = resumed_;
  restart();
  if (was_resumed) return cut(result, "the parts do not make the file");
  if (download_.bytes != total) throw Error(options_.refused, url, fmt::format("expected {} bytes, got {}", total, download_.bytes));
  throw Error(options_.refused, url, fmt::format("expected sha256 {}, got {}", wanted_sha256(), download_.sha256),
              "the file at this address is not the expected one; nothing of it was kept");
}

/// Whether the file at the path is the one that came, where no checksum could tell before.
bool FileTransfer::is_there_already() const {
  std::error_code error;
  const auto size = fs::file_size(path_, error);
  return !error && static_cast<std::int64_t>(size) == download_.bytes && sha256_file(path_, ErrorTag::kResources) == download_.sha256;
}

void FileTransfer::keep_existing() {
  report(true);
  restart();
  download_.downloaded = false;
}

/// Gives the complete part its name.
void FileTransfer::publish() {
  if (std::fflush(file_.get()) != 0 || ::fsync(::fileno(file_.get())) != 0) fail_to_write(part_, errno);
  if (std::fclose(file_.release()) != 0) fail_to_write(part_, errno);
  if (::rename(part_.c_str(), path_.c_str()) != 0) fail_to_write(path_, errno);
  lock_.reset();
  report(true);
}

/// Back to the first byte. Removes the part if it is ours; a part of an earlier transfer that did not fit goes when
/// another is opened.
void FileTransfer::restart() {
  file_.reset();
  std::error_code ignored;
  if (lock_ != nullptr) fs::remove(part_, ignored);
  lock_.reset();
  part_.clear();
  hash_ = Sha256();
  written_ = 0;
  begun_ = resumed_ = excess_ = false;
}

void FileTransfer::report(bool always) {
  if (!options_.on_bytes || (!always && since_report_.seconds() < 0.1)) return;
  since_report_.reset();
  options_.on_bytes(written_, remote_.bytes.value_or(0));
}

fs::path FileTransfer::part_path(std::string_view identity) const {
  return path_.parent_path() / fmt::format(".{}.{}.part", path_.filename().string(), identity);
}

/// The .part files of this path that earlier transfers left.
std::vector<fs::path> FileTransfer::leftovers() const {
  const std::string example = part_path("0123456789abcdef").filename().string();
  const std::string_view start = std::string_view(example).substr(0, example.size() - 16 - std::string_view(".part").size());
  std::vector<fs::path> parts;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(path_.parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.size() == example.size() && name.starts_with(start) && name.ends_with(".part") && is_own_file(entry.path()))
      parts.push_back(entry.path());
  }
  return parts;
}

}  // namespace minbert
