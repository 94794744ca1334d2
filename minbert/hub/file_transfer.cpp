// FileTransfer: what a response's headers mean, the .part file, and the checks before it gets its name.
#include "minbert/hub/file_transfer.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <system_error>
#include <utility>

#include "minbert/base/check.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

[[noreturn]] void fail_to_write(const fs::path& path, int error_number) {
  throw Error(ErrorTag::kResources, path.string(), fmt::format("cannot write: {}", std::generic_category().message(error_number)),
              error_number == ENOSPC ? "the disk is full; the next fetch goes on from here" : "");
}

std::optional<std::int64_t> parse_bytes(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

/// An entity tag without its quotes and its mark of weakness.
std::string_view bare_etag(std::string_view etag) {
  if (etag.starts_with("W/")) etag.remove_prefix(2);
  if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
  return etag;
}

void cut(HttpResult& result, std::string message) {
  result.outcome = HttpOutcome::kCut;
  result.message = std::move(message);
}

}  // namespace

bool is_sha256(std::string_view text) {
  const auto hexadecimal = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 64 && std::all_of(text.begin(), text.end(), hexadecimal);
}

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
  // A Hugging Face hub names large files by their SHA-256. Behind a redirect, a plain ETag is the storage's own affair.
  const std::string_view linked = bare_etag(head.header("x-linked-etag")), plain = bare_etag(head.header("etag"));
  const std::string_view etag = linked.empty() ? plain : linked;
  if (is_sha256(etag) && (!linked.empty() || head.redirects == 0)) remote.sha256 = etag;
  const std::string_view version = etag.empty() ? head.header("last-modified") : etag;
  remote.identity = sha256_hex(fmt::format("{} {}", version, remote.bytes.value_or(-1))).substr(0, 16);
  return remote;
}

FileTransfer::FileTransfer(fs::path path, std::string_view sha256, OnBytes on_bytes, ErrorTag refused)
    : path_(std::move(path)), expected_sha256_(sha256), on_bytes_(std::move(on_bytes)), refused_(refused) {
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
  if (std::fwrite(bytes.data(), 1, bytes.size(), file_.get()) != bytes.size()) fail_to_write(part_, errno);
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
  return wanted_sha256().empty() || sha256_file(path_, ErrorTag::kResources) == wanted_sha256();
}

/// Takes the lock and opens the part: an earlier transfer's to go on with when written_ > 0, else an empty one.
void FileTransfer::open() {
  part_ = part_path(remote_.identity);
  lock_ = std::make_unique<FileLock>(part_);
  if (written_ > 0) {
    const MappedFile so_far(part_, ErrorTag::kResources);
    if (static_cast<std::int64_t>(so_far.bytes().size()) != written_) {
      throw Error(ErrorTag::kResources, part_.string(), "changed meanwhile: another process is at work here");
    }
    hash_.update(so_far.bytes());
    resumed_ = true;
  }
  file_.reset(std::fopen(part_.c_str(), written_ > 0 ? "ab" : "wb"));
  if (file_ == nullptr) fail_to_write(part_, errno);
  std::error_code ignored;
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
  if (download_.bytes == total && right_hash) return publish();
  const bool was_resumed = resumed_;
  restart();
  if (was_resumed) return cut(result, "the parts do not make the file");
  if (download_.bytes != total) throw Error(refused_, url, fmt::format("expected {} bytes, got {}", total, download_.bytes));
  throw Error(refused_, url, fmt::format("expected sha256 {}, got {}", wanted_sha256(), download_.sha256),
              "the file at this address is not the expected one; nothing of it was kept");
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
  begun_ = resumed_ = false;
}

void FileTransfer::report(bool always) {
  if (!on_bytes_ || (!always && since_report_.seconds() < 0.1)) return;
  since_report_.reset();
  on_bytes_(written_, remote_.bytes.value_or(0));
}

fs::path FileTransfer::part_path(std::string_view identity) const {
  return path_.parent_path() / fmt::format(".{}.{}.part", path_.filename().string(), identity);
}

/// Parts of this path, whoever left them.
std::vector<fs::path> FileTransfer::leftovers() const {
  const std::string example = part_path("0123456789abcdef").filename().string();
  const std::string_view start = std::string_view(example).substr(0, example.size() - 16 - std::string_view(".part").size());
  std::vector<fs::path> parts;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(path_.parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.size() == example.size() && name.starts_with(start) && name.ends_with(".part")) parts.push_back(entry.path());
  }
  return parts;
}

}  // namespace minbert
