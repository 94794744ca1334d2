// HttpServer: HTTP/1.1 over TCP. Connections are cheap: a few threads serve thousands, and none waits for a computation.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minbert/base/clock.h"

namespace minbert {

struct HttpRequest {
  std::string method, target;  ///< as sent
  std::string path, query;     ///< the target up to "?", with escapes decoded, and what follows
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  std::string peer;    ///< address of the client
  Stopwatch received;  ///< since the head was read

  /// The value of a header, whose name is compared without case; empty if there is none.
  std::string_view header(std::string_view name) const;
  /// The values of all headers with this name, in the order in which they came.
  std::vector<std::string_view> header_values(std::string_view name) const;
  /// The value of a name in the query, with escapes decoded.
  std::optional<std::string> query_value(std::string_view name) const;
};

struct HttpReply {
  int status = 200;
  std::string content_type;  ///< empty: none
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
  bool close = false;                     ///< end the connection after it
  std::shared_ptr<void> until_sent = {};  ///< let go when the reply is sent, or cannot be
};

/// What a client did while its request was computed.
enum class Leaving : std::uint8_t {
  kHalf,  ///< it closed its side: it left, or it still reads
  kGone,  ///< the connection is broken
};

/// A request and the way back. It may be kept and answered later, from any thread.
class HttpExchange {
 public:
  virtual ~HttpExchange() = default;
  virtual HttpRequest& request() = 0;
  /// Sends the reply; only the first one counts, and none if the client is gone.
  virtual void reply(HttpReply reply) = 0;
  /// Calls `work` on one of the server's threads, never two of one exchange at once.
  virtual void post(std::function<void()> work) = 0;
  /// `on_leaving` is called while the request is unanswered.
  virtual void watch(std::function<void(Leaving)> on_leaving) = 0;
};

struct HttpLimits {
  std::size_t payload_bytes = 8'000'000;
  std::size_t connections = 4096;
  double header_timeout_s = 10, idle_timeout_s = 75, body_timeout_s = 60;
};

/// Why the server itself answers a request.
struct HttpRefusal {
  int status;
  std::string message;
};

/// All of them are called on the server's threads and must return soon.
struct HttpHandlers {
  /// Looks at a request whose body is still to come. A reply that it returns is sent without reading the body.
  std::function<std::unique_ptr<HttpReply>(const HttpRequest& head)> check;
  std::function<void(std::shared_ptr<HttpExchange>)> handle;
  /// Makes the reply to a request that is malformed or too large. What was read of it is in `head`.
  std::function<HttpReply(const HttpRequest& head, const HttpRefusal& refusal)> refuse;
};

class HttpServer {
 public:
  /// Listens; port 0 chooses a free one. Throws Error(kResources) if the port is taken. Connections wait until start().
  HttpServer(const std::string& host, std::uint16_t port, HttpLimits limits, int threads, HttpHandlers handlers);
  /// Ends all connections.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  void start();
  std::uint16_t port() const;
  std::size_t connections() const;
  /// Ends connections once their replies are sent; returns when no reply is on its way, or after `timeout_s`.
  void drain(double timeout_s);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

/// Name and version of the HTTP library.
std::pair<std::string, std::string> http_library_version();

}  // namespace minbert
