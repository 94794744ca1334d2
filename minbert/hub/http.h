// HttpClient: GET requests by libcurl. No other code uses the network.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace minbert {

struct HttpOptions {
  std::string token;    ///< bearer token; never sent to a host that a redirect leads to, and in clear (http) to this machine alone
  std::string ca_file;  ///< certificates to trust, PEM; empty: the system's
  double connect_timeout_s = 15;
  double stall_timeout_s = 30;  ///< a transfer without a byte for so long is cut (libcurl adds about 5 s)
};

/// Status and headers of a response. Headers of redirects are dropped, except X-Linked-* of the hub itself: they describe the file.
struct HttpHead {
  long status = 0;
  int redirects = 0;
  std::map<std::string, std::string>
      headers;  ///< names in lower case; X-Linked-* only from the host of the URL, and before any other answered
  /// The value, or "" when absent.
  std::string_view header(std::string_view lower_case_name) const;
};

enum class HttpOutcome {
  kDone,         ///< the whole response arrived, whatever its status
  kStopped,      ///< the sink asked to stop
  kCut,          ///< the connection broke or stalled; another attempt may succeed
  kUnreachable,  ///< no such host, no connection or no trusted certificate; another attempt would fail too
};

struct HttpResult {
  HttpOutcome outcome = HttpOutcome::kDone;
  HttpHead head;
  std::string message;  ///< libcurl's message for kCut and kUnreachable
};

/// Receives the bytes of a 2xx body as they arrive; returns false to stop. get() rethrows what it throws.
using HttpSink = std::function<bool(const HttpHead& head, std::span<const std::byte> bytes)>;

/// Keeps connections open between requests. Proxies are taken from the usual environment variables. Not thread-safe.
class HttpClient {
 public:
  explicit HttpClient(HttpOptions options);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Follows up to 10 redirects, never from https to http. Throws Error(kUsage) rather than send the token in clear. Asks for the bytes
  /// from first_byte on when that is not 0; whether the server obliged shows in the status (206, not 200).
  HttpResult get(const std::string& url, std::int64_t first_byte, const HttpSink& sink);

 private:
  struct Transfer;
  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* transfer);
  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* transfer);

  HttpOptions options_;
  std::unique_ptr<void, void (*)(void*)> handle_;
};

/// Percent-encodes all but letters, digits and "-._~"; `keep` lists further characters left as they are.
std::string url_encode(std::string_view text, std::string_view keep = {});

}  // namespace minbert
