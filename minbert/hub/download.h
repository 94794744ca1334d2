// Downloader: a URL to a file, resumed where it was cut, retried where that may help, checked before it gets its name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "minbert/hub/file_transfer.h"
#include "minbert/hub/http.h"

namespace minbert {

struct DownloadOptions {
  HttpOptions http;
  int attempts = 5;        ///< failures in a row after which to give up; one that brought new bytes counts as the first
  double backoff_s = 0.5;  ///< pause after the first failed try, doubled by each further one up to 10 s
  std::int64_t max_unsized_bytes = std::int64_t{4} << 30;  ///< the most that is taken of a file whose length nobody tells
  ErrorTag refused = ErrorTag::kModel;                     ///< tag of the error for a file that is missing, refused or has a wrong checksum
};

/// Every failure except 404 throws Error: kResources for network, server and disk trouble (after the last attempt, where another
/// may help), options.refused for a refusal (401, 403, other 4xx) or a wrong checksum. Messages name the URL and the status.
class Downloader {
 public:
  explicit Downloader(DownloadOptions options) : options_(std::move(options)), client_(options_.http) {}

  /// The body of a small page, or nothing for 404. Throws Error(options.refused) beyond max_bytes.
  std::optional<std::string> text(const std::string& url, std::size_t max_bytes);

  /// Downloads to `path`, or nothing for 404. `sha256` (64 hexadecimal digits, or empty) is checked, as is the checksum
  /// that a Hugging Face hub sends. A complete `path` is kept: one with that sha256 (then no request is made), or with the
  /// size and checksum (SHA-256, or git's name of a small file) that the server tells; a size alone proves nothing. A cut download is kept
  /// beside `path` as a hidden .part file and resumed.
  std::optional<Download> file(const std::string& url, const std::filesystem::path& path, std::string_view sha256 = {},
                               const OnBytes& on_bytes = {});

 private:
  HttpResult with_retries(const std::string& url, const std::function<HttpResult(bool& advanced)>& attempt);

  DownloadOptions options_;
  HttpClient client_;
};

/// Downloader::file for one file; 404 throws Error(kModel).
Download fetch_file(const std::string& url, const std::filesystem::path& path, std::string_view sha256 = {},
                    const DownloadOptions& options = {}, const OnBytes& on_bytes = {});

/// Throws Error(kModel) for a page that does not exist.
[[noreturn]] void throw_not_found(const std::string& url, const std::string& hint);

}  // namespace minbert
