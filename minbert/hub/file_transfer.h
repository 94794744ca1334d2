// FileTransfer: brings one file from a URL to its path, over as many responses as it takes.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/clock.h"
#include "minbert/base/files.h"
#include "minbert/base/hash.h"
#include "minbert/hub/http.h"

namespace minbert {

/// Bytes so far and in all (0 while unknown); called at most about 10 times a second, and at the end.
using OnBytes = std::function<void(std::int64_t done_bytes, std::int64_t total_bytes)>;

/// A complete file at its path.
struct Download {
  std::int64_t bytes = 0;
  std::string sha256;      ///< empty for a file kept without reading it
  bool downloaded = true;  ///< false: the same file was already there
};

/// What the headers of a response say about the whole file.
struct RemoteFile {
  std::optional<std::int64_t> bytes;
  std::int64_t first_byte = 0;  ///< of the body that follows
  std::string sha256;           ///< empty when the server does not say
  std::string git_blob;  ///< git's name of the content (git_blob_hex), which hubs send for small files; empty when the server does not say
  std::string identity;  ///< 16 hexadecimal digits, equal for two responses that carry parts of one file
};

RemoteFile describe_remote_file(const HttpHead& head);
/// 64 hexadecimal digits in lower case.
bool is_sha256(std::string_view text);

struct TransferOptions {
  std::string sha256;  ///< what the file must hash to; empty: what the server says
  OnBytes on_bytes;
  std::int64_t max_unsized_bytes = 0;   ///< limit of a file whose length the server does not say
  ErrorTag refused = ErrorTag::kModel;  ///< tag of a wrong size or checksum
};

/// Collects bytes in ".NAME.IDENTITY.part" beside the path, under a lock; the identity decides whether a later response,
/// perhaps to a later process, may go on with it. A link of that name is replaced, never followed. Disk trouble throws Error(kResources).
class FileTransfer {
 public:
  /// Goes on with a part that an earlier transfer to this path left.
  FileTransfer(std::filesystem::path path, TransferOptions options);

  /// Begins a request and returns the byte to begin it with.
  std::int64_t next_request();
  /// The request's HttpSink.
  bool accept(const HttpHead& head, std::span<const std::byte> bytes);
  /// Ends the request. A response that completed nothing turns into kCut; a complete file is checked and gets its name.
  /// Throws Error(refused) naming `url` when a file that came in one piece has the wrong size or checksum, or one is longer than it may be.
  void settle(HttpResult& result, const std::string& url);

  /// Bytes of the file held so far.
  std::int64_t written_bytes() const { return written_; }
  /// After a settle that left kDone with status 2xx.
  const Download& download() const { return download_; }

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  bool begin(const HttpHead& head);
  bool matches_existing() const;
  void open();
  void finish(HttpResult& result, const std::string& url);
  bool is_there_already() const;
  void keep_existing();
  void publish();
  void restart();
  void report(bool always);
  const std::string& wanted_sha256() const { return options_.sha256.empty() ? remote_.sha256 : options_.sha256; }
  std::filesystem::path part_path(std::string_view identity) const;
  std::vector<std::filesystem::path> leftovers() const;

  std::filesystem::path path_, part_;
  TransferOptions options_;
  std::unique_ptr<FileLock> lock_;
  std::unique_ptr<std::FILE, Close> file_;
  Sha256 hash_;
  RemoteFile remote_;
  Download download_;
  Stopwatch since_report_;
  std::int64_t written_ = 0;
  bool begun_ = false;    // begin() has accepted this request's headers
  bool excess_ = false;   // more bytes came than may
  bool resumed_ = false;  // the part holds bytes of more than one response
};

}  // namespace minbert
