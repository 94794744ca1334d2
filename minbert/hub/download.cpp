// Downloader: the loop of attempts, and the errors after the last one.
#include "minbert/hub/download.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <thread>

#include "minbert/base/check.h"
#include "minbert/base/unicode.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

bool worth_another_try(const HttpResult& result) {
  const long status = result.head.status;
  if (result.outcome != HttpOutcome::kDone) return result.outcome == HttpOutcome::kCut;
  return status == 408 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

/// Seconds before the next attempt: doubled each time, or what the server asks for; 10 at most.
double pause_s(const HttpResult& result, double backoff_s, int failures) {
  constexpr double kLongest = 10;
  const double pause = std::min(kLongest, backoff_s * std::exp2(failures - 1));
  const std::string_view asked = result.head.header("retry-after");
  int seconds = 0;
  std::from_chars(asked.data(), asked.data() + asked.size(), seconds);
  return std::clamp(static_cast<double>(seconds), pause, kLongest);
}

/// The server's error message, safe to print.
std::string server_message(const HttpHead& head) {
  const std::string message = printable(head.header("x-error-message").substr(0, 200));
  return message.empty() ? message : ": " + message;
}

[[noreturn]] void throw_failure(const std::string& url, const HttpResult& result, int attempts, ErrorTag refused) {
  const std::string tries = attempts > 1 ? fmt::format(" ({} attempts)", attempts) : "";
  if (result.outcome == HttpOutcome::kUnreachable) {
    throw Error(ErrorTag::kResources, url, "cannot connect: " + result.message,
                "is there a network? --endpoint or HF_ENDPOINT names a mirror, https_proxy a proxy");
  }
  if (result.outcome == HttpOutcome::kCut) {
    throw Error(ErrorTag::kResources, url, fmt::format("the transfer was cut{}: {}", tries, result.message),
                "run it again: it goes on where it stopped");
  }
  const long status = result.head.status;
  const std::string message = fmt::format("HTTP status {}{}{}", status, tries, server_message(result.head));
  if (status == 401 || status == 403) {
    throw Error(refused, url, message,
                refused == ErrorTag::kModel
                    ? "there is no such repository, or it is private or gated: check its name, or give a token in HF_TOKEN"
                    : "");
  }
  if (status == 429) throw Error(ErrorTag::kResources, url, message, "too many requests: wait, or give a token in HF_TOKEN");
  if (status >= 500 || status == 408) throw Error(ErrorTag::kResources, url, message, "the server is in trouble: try again later");
  throw Error(refused, url, message);
}

}  // namespace

/// Repeats `attempt` until it ends with status 2xx or 404, or stops itself. Throws when another attempt would not help, and after
/// options_.attempts failures in a row. A failure that set `advanced` counts as the first.
HttpResult Downloader::with_retries(const std::string& url, const std::function<HttpResult(bool& advanced)>& attempt) {
  for (int failures = 0;;) {
    bool advanced = false;
    HttpResult result = attempt(advanced);
    const bool answered = result.head.status / 100 == 2 || result.head.status == 404;
    if (result.outcome == HttpOutcome::kStopped || (result.outcome == HttpOutcome::kDone && answered)) return result;
    failures = advanced ? 1 : failures + 1;
    if (!worth_another_try(result) || failures >= options_.attempts) throw_failure(url, result, failures, options_.refused);
    std::this_thread::sleep_for(std::chrono::duration<double>(pause_s(result, options_.backoff_s, failures)));
  }
}

std::optional<std::string> Downloader::text(const std::string& url, std::size_t max_bytes) {
  std::string body;
  const HttpResult result = with_retries(url, [&](bool&) {
    body.clear();
    return client_.get(url, 0, [&](const HttpHead&, std::span<const std::byte> bytes) {
      if (body.size() + bytes.size() > max_bytes) return false;
      body.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return true;
    });
  });
  if (result.outcome == HttpOutcome::kStopped) {
    throw Error(options_.refused, url, fmt::format("expected at most {} bytes, got more", max_bytes));
  }
  if (result.head.status == 404) return std::nullopt;
  return body;
}

std::optional<Download> Downloader::file(const std::string& url, const fs::path& path, std::string_view sha256, const OnBytes& on_bytes) {
  const fs::path target = path.has_parent_path() ? path : "." / path;
  if (!sha256.empty() && fs::is_regular_file(target) && sha256_file(target, ErrorTag::kResources) == sha256) {
    return Download{static_cast<std::int64_t>(fs::file_size(target)), std::string(sha256), false};
  }
  make_directories(target.parent_path());
  FileTransfer transfer(target, {std::string(sha256), on_bytes, options_.max_unsized_bytes, options_.refused});
  std::int64_t furthest_byte = transfer.written_bytes();
  const HttpResult result = with_retries(url, [&](bool& advanced) {
    HttpResult got = client_.get(url, transfer.next_request(),
                                 [&](const HttpHead& head, std::span<const std::byte> bytes) { return transfer.accept(head, bytes); });
    transfer.settle(got, url);
    advanced = transfer.written_bytes() > furthest_byte;
    furthest_byte = std::max(furthest_byte, transfer.written_bytes());
    return got;
  });
  if (result.head.status == 404) return std::nullopt;
  return transfer.download();
}

void throw_not_found(const std::string& url, const std::string& hint) {
  throw Error(ErrorTag::kModel, url, "HTTP status 404: not found", hint);
}

Download fetch_file(const std::string& url, const fs::path& path, std::string_view sha256, const DownloadOptions& options,
                    const OnBytes& on_bytes) {
  const auto download = Downloader(options).file(url, path, sha256, on_bytes);
  if (!download) throw_not_found(url, "check the address");
  return *download;
}

}  // namespace minbert
