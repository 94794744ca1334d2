// HTTP by Boost.Beast, whose parser and timeouts it uses. It was chosen over cpp-httplib, which holds a thread for each connection and
// polls each: there 2,000 idle connections kept 1.8 cores busy and made the slowest hundredth of requests take 8 ms.
#include "minbert/serve/http.h"

#include <sys/resource.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <boost/version.hpp>
#include <ctime>
#include <optional>
#include <thread>
#include <utility>  // Boost 1.74 forgets it

#include "minbert/base/check.h"
#include "minbert/base/unicode.h"

namespace minbert {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;
using boost::system::error_code;
using Strand = asio::strand<asio::io_context::executor_type>;
using Stream = beast::basic_stream<tcp, Strand>;
using Socket = asio::basic_stream_socket<tcp, Strand>;

constexpr std::size_t kHeadBytes = 32 << 10;
constexpr std::size_t kSmallBody = 64 << 10;  // the body of a refused request is read to its end up to this size
constexpr std::size_t kWholeBodies = 64;      // bodies of the largest size that may be in memory at once
constexpr double kLingerSeconds = 5;          // how long a refused client may go on sending before the connection ends

std::chrono::steady_clock::duration seconds(double s) {
  return std::chrono::duration_cast<std::chrono::steady_clock::duration>(std::chrono::duration<double>(s));
}

bool same_name(std::string_view a, std::string_view b) {
  return beast::iequals(beast::string_view(a.data(), a.size()), beast::string_view(b.data(), b.size()));
}

/// "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110, 5.6.7)
std::string http_date() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  return fmt::format("{}, {:02} {} {} {:02}:{:02}:{:02} GMT", kDays[utc.tm_wday], utc.tm_mday, kMonths[utc.tm_mon], utc.tm_year + 1900,
                     utc.tm_hour, utc.tm_min, utc.tm_sec);
}

std::string decode_escapes(std::string_view text) {
  const auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool escape = text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0;
    out += escape ? static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2])) : text[i];
    if (escape) i += 2;
  }
  return out;
}

/// Lets the process hold so many connections, as far as its hard limit allows.
void allow_descriptors(std::size_t count) {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= count) return;
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, count);
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

class Connection;

/// What all connections share.
struct Shared {
  HttpLimits limits;
  HttpHandlers handlers;
  std::atomic<std::size_t> connections = 0, unanswered = 0, body_bytes = 0;
  std::atomic<bool> draining = false;
};

/// One client. All that happens to it happens on its strand, one thing at a time.
class Connection final : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Socket&& socket, const Strand& strand, Shared& shared) : strand_(strand), stream_(std::move(socket)), shared_(shared) {
    ++shared_.connections;
    error_code ignored;
    stream_.socket().set_option(tcp::no_delay(true), ignored);
    const auto address = stream_.socket().remote_endpoint(ignored);
    if (!ignored) peer_ = address.address().to_string();
  }
  ~Connection() { --shared_.connections; }

  const Strand& strand() const { return strand_; }
  void start() { read_first(); }
  void end() {
    error_code ignored;
    stream_.socket().close(ignored);
  }
  void refuse_connection(const HttpRefusal& refusal) {
    request_ = std::make_shared<HttpRequest>();
    request_->peer = peer_;
    send(shared_.handlers.refuse(*request_, refusal), true, true);
  }

  // ---- called by an exchange, on the strand ----
  void answer(std::uint64_t number, HttpReply reply) {
    if (number != number_ || !pending_) return;
    pending_ = false;
    on_leaving_ = nullptr;
    send(std::move(reply), false, false);
  }
  void watch(std::uint64_t number, std::function<void(Leaving)> on_leaving) {
    if (number != number_ || !pending_) return;
    on_leaving_ = std::move(on_leaving);
    wait_for_leaving();
  }

 private:
  class Exchange;
  using Parser = http::request_parser<http::string_body>;

  template <class F>
  auto bound(F&& f) {
    return [self = shared_from_this(), f = std::forward<F>(f)](error_code error, auto...) { f(*self, error); };
  }

  /// Waits for the next request, as long as an idle connection may.
  void read_first() {
    request_.reset();
    head_only_ = false;
    ++number_;
    parser_.emplace();
    parser_->header_limit(kHeadBytes);
    parser_->body_limit(shared_.limits.payload_bytes);
    if (buffer_.size() == 0 && buffer_.capacity() > kSmallBody) buffer_ = {};
    if (buffer_.size() > 0) return read_head();
    stream_.expires_after(seconds(shared_.limits.idle_timeout_s));
    stream_.async_read_some(buffer_.prepare(4096), [self = shared_from_this()](error_code error, std::size_t bytes) {
      if (error) return self->close();
      self->buffer_.commit(bytes);
      self->read_head();
    });
  }

  void read_head() {
    stream_.expires_after(seconds(shared_.limits.header_timeout_s));
    http::async_read_header(stream_, buffer_, *parser_, bound([](Connection& self, error_code error) { self.on_head(error); }));
  }

  void on_head(error_code error) {
    if (error && error != http::error::body_limit) return on_read_error(error, "head");
    take_head();
    if (error == http::error::body_limit) return on_read_error(error, "body");
    ++shared_.unanswered;
    counted_ = true;
    // The server cannot tell where a body of another coding ends (RFC 9112, section 6.3), so it must not read on for a next request.
    const auto codings = request_->header_values("transfer-encoding");
    if (codings.size() > 1 || (codings.size() == 1 && !same_name(codings.front(), "chunked")))
      return send(shared_.handlers.refuse(*request_, {400, fmt::format("expected the Transfer-Encoding \"chunked\" alone, got \"{}\"",
                                                                       printable(fmt::format("{}", fmt::join(codings, ", "))))}),
                  true, true);
    if (auto reply = shared_.handlers.check(*request_)) return refuse_before_body(std::move(*reply));
    // Chunked bodies may grow to the limit.
    const std::size_t expected = parser_->is_done()          ? 0
                                 : parser_->content_length() ? *parser_->content_length()
                                                             : shared_.limits.payload_bytes;
    if (expected > kSmallBody && (request_->method == "GET" || request_->method == "HEAD"))
      return refuse_before_body(shared_.handlers.refuse(*request_, {400, fmt::format("a {} request has no body", request_->method)}));
    if (shared_.body_bytes.fetch_add(expected) + expected > kWholeBodies * shared_.limits.payload_bytes) {
      shared_.body_bytes -= expected;
      return refuse_before_body(shared_.handlers.refuse(*request_, {429, "too many large requests arrive at once"}));
    }
    reserved_ = expected;
    if (!same_name(request_->header("expect"), "100-continue") || parser_->is_done()) return read_body();
    asio::async_write(stream_, asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\n")),
                      bound([](Connection& self, error_code failed) {
                        if (failed) return self.close();
                        self.read_body();
                      }));
  }

  void take_head() {
    request_ = std::make_shared<HttpRequest>();
    const auto& head = parser_->get();
    request_->method = std::string(head.method_string());
    request_->target = std::string(head.target());
    std::string_view target = request_->target;
    if (target.starts_with("http://") || target.starts_with("https://")) {  // the absolute form of RFC 9112, section 3.2.2
      const std::size_t path = target.find('/', target.find("//") + 2);
      target = path == target.npos ? "/" : target.substr(path);
    }
    const std::size_t mark = target.find('?');
    request_->path = decode_escapes(target.substr(0, mark));
    if (mark != target.npos) request_->query = target.substr(mark + 1);
    for (const auto& field : head) request_->headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    request_->peer = peer_;
    keep_alive_ = head.keep_alive();
    head_only_ = request_->method == "HEAD";
  }

  void read_body() {
    if (parser_->is_done()) return on_body({});
    stream_.expires_after(seconds(shared_.limits.body_timeout_s));
    http::async_read(stream_, buffer_, *parser_, bound([](Connection& self, error_code error) { self.on_body(error); }));
  }

  void on_body(error_code error) {
    if (error) return on_read_error(error, "body");
    request_->body = std::move(parser_->get().body());
    shared_.body_bytes -= reserved_ - request_->body.size();  // a chunked body has reserved the most that it could be
    reserved_ = request_->body.size();
    stream_.expires_never();
    pending_ = true;
    shared_.handlers.handle(make_exchange());
  }

  std::shared_ptr<HttpExchange> make_exchange();

  void on_read_error(error_code error, std::string_view part) {
    if (error == http::error::end_of_stream || error == asio::error::operation_aborted) return close();
    const bool protocol = error.category() == http::make_error_code(http::error::bad_method).category();
    if (!protocol || error == http::error::partial_message) return close();  // a timeout has closed the socket already
    if (!request_) {
      request_ = std::make_shared<HttpRequest>();
      request_->peer = peer_;
    }
    HttpRefusal refusal{400, fmt::format("malformed {} of an HTTP request: {}", part, error.message())};
    if (error == http::error::header_limit) refusal = {431, fmt::format("the head of a request may have {} bytes", kHeadBytes)};
    if (error == http::error::body_limit)
      refusal = {413,
                 fmt::format("the body of a request may have {} bytes; --payload-limit raises the limit", shared_.limits.payload_bytes)};
    send(shared_.handlers.refuse(*request_, refusal), true, true);
  }

  /// Small bodies are read and forgotten, so that the connection can go on.
  void refuse_before_body(HttpReply reply) {
    const bool expects = same_name(request_->header("expect"), "100-continue");
    if (parser_->is_done()) return send(std::move(reply), false, false);
    if (expects || !parser_->content_length() || *parser_->content_length() > kSmallBody) return send(std::move(reply), true, true);
    stream_.expires_after(seconds(shared_.limits.header_timeout_s));
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this(), reply = std::move(reply)](error_code error, std::size_t) mutable {
                       self->send(std::move(reply), static_cast<bool>(error), false);
                     });
  }

  /// `unread`: the client may still be sending, so that the connection must not be closed under its data: it would not see the reply.
  void send(HttpReply reply, bool last, bool unread) {
    closing_ = last || reply.close || !keep_alive_ || shared_.draining;
    head_ = fmt::format("HTTP/1.1 {} {}\r\nDate: {}\r\n", reply.status,
                        std::string(http::obsolete_reason(static_cast<http::status>(reply.status))), http_date());
    if (!reply.content_type.empty()) head_ += fmt::format("Content-Type: {}\r\n", reply.content_type);
    if (reply.status != 204) head_ += fmt::format("Content-Length: {}\r\n", reply.body.size());
    for (const auto& [name, value] : reply.headers) head_ += fmt::format("{}: {}\r\n", name, value);
    head_ += closing_                                                   ? "Connection: close\r\n\r\n"
             : keep_alive_ && parser_ && parser_->get().version() == 10 ? "Connection: keep-alive\r\n\r\n"
                                                                        : "\r\n";
    body_ = head_only_ ? std::string() : std::move(reply.body);
    until_sent_ = std::move(reply.until_sent);
    const std::array<asio::const_buffer, 2> buffers = {asio::buffer(head_), asio::buffer(body_)};
    // Each piece has the time that a request's body has, so that a slow reader gets a long reply whole, and one that stopped is let go.
    const auto next_piece = [this](error_code error, std::size_t sent) {
      stream_.expires_after(seconds(shared_.limits.body_timeout_s));
      return asio::transfer_all()(error, sent);
    };
    asio::async_write(stream_, buffers, next_piece, bound([unread](Connection& self, error_code error) { self.on_sent(error, unread); }));
  }

  void on_sent(error_code error, bool unread) {
    release();
    if (body_.capacity() > kSmallBody) body_ = {};
    if (error) return close();
    if (!closing_) return read_first();
    if (!unread) return close();
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
    stream_.expires_after(seconds(kLingerSeconds));
    linger();
  }

  /// Reads and forgets what the client still sends.
  void linger() {
    buffer_.clear();
    stream_.async_read_some(buffer_.prepare(kSmallBody), bound([](Connection& self, error_code error) {
                              if (error) return self.close();
                              self.linger();
                            }));
  }

  void close() {
    release();
    const auto on_leaving = std::exchange(on_leaving_, nullptr);
    if (std::exchange(pending_, false) && on_leaving) on_leaving(Leaving::kGone);
    error_code ignored;
    stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    stream_.close();
  }

  /// The request is over, answered or not.
  void release() {
    until_sent_.reset();
    if (std::exchange(counted_, false)) --shared_.unanswered;
    shared_.body_bytes -= std::exchange(reserved_, 0);
  }

  /// Looks for the end of what the client sends while it waits for a reply.
  void wait_for_leaving() {
    if (waiting_) return;
    waiting_ = true;
    stream_.socket().async_wait(tcp::socket::wait_read, bound([](Connection& self, error_code) {
                                  self.waiting_ = false;
                                  self.look_for_leaving();
                                }));
  }

  void look_for_leaving() {
    if (!pending_ || !on_leaving_) return;
    char byte = 0;
    error_code error;
    stream_.socket().non_blocking(true, error);
    const std::size_t bytes = stream_.socket().receive(asio::buffer(&byte, 1), tcp::socket::message_peek, error);
    if (error == asio::error::would_block) return wait_for_leaving();
    if (!error && bytes > 0) return;  // the next request, which waits its turn
    if (error == asio::error::eof) return on_leaving_(Leaving::kHalf);
    close();
  }

  Strand strand_;
  Stream stream_;
  Shared& shared_;
  std::string peer_;
  beast::flat_buffer buffer_;
  std::optional<Parser> parser_;
  std::shared_ptr<HttpRequest> request_;
  std::uint64_t number_ = 0;  // of the request; replies to earlier ones are forgotten
  bool keep_alive_ = true, head_only_ = false, pending_ = false, counted_ = false, closing_ = false, waiting_ = false;
  std::size_t reserved_ = 0;  // bytes of Shared::body_bytes
  std::function<void(Leaving)> on_leaving_;
  std::string head_, body_;
  std::shared_ptr<void> until_sent_;
};

class Connection::Exchange final : public HttpExchange {
 public:
  Exchange(std::shared_ptr<Connection> connection, std::shared_ptr<HttpRequest> request, std::uint64_t number)
      : connection_(std::move(connection)), request_(std::move(request)), number_(number) {}

  HttpRequest& request() override { return *request_; }
  void reply(HttpReply reply) override {
    asio::dispatch(connection_->strand(), [connection = connection_, number = number_, reply = std::move(reply)]() mutable {
      connection->answer(number, std::move(reply));
    });
  }
  void post(std::function<void()> work) override { asio::post(connection_->strand(), std::move(work)); }
  void watch(std::function<void(Leaving)> on_leaving) override {
    asio::dispatch(connection_->strand(), [connection = connection_, number = number_, on_leaving = std::move(on_leaving)]() mutable {
      connection->watch(number, std::move(on_leaving));
    });
  }

 private:
  std::shared_ptr<Connection> connection_;
  std::shared_ptr<HttpRequest> request_;
  std::uint64_t number_;
};

std::shared_ptr<HttpExchange> Connection::make_exchange() { return std::make_shared<Exchange>(shared_from_this(), request_, number_); }

}  // namespace

std::string_view HttpRequest::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (same_name(key, name)) return value;
  return {};
}

std::vector<std::string_view> HttpRequest::header_values(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : headers)
    if (same_name(key, name)) values.emplace_back(value);
  return values;
}

std::optional<std::string> HttpRequest::query_value(std::string_view name) const {
  for (std::string_view rest = query; !rest.empty();) {
    const std::string_view part = rest.substr(0, rest.find('&'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    const std::size_t mark = part.find('=');
    if (mark == part.npos || decode_escapes(part.substr(0, mark)) != name) continue;
    std::string value(part.substr(mark + 1));
    std::replace(value.begin(), value.end(), '+', ' ');
    return decode_escapes(value);
  }
  return std::nullopt;
}

class HttpServer::Impl {
 public:
  Impl(const std::string& host, std::uint16_t port, HttpLimits limits, int threads, HttpHandlers handlers)
      : thread_count_(threads), io_(threads), acceptor_(io_), pause_(io_) {
    shared_.limits = limits;
    shared_.handlers = std::move(handlers);
    allow_descriptors(limits.connections + 128);
    listen(host, port);
  }

  ~Impl() {
    io_.stop();
    threads_.clear();
  }

  void start() {
    accept();
    while (std::ssize(threads_) < thread_count_) threads_.emplace_back([this] { io_.run(); });
  }
  std::uint16_t port() const { return port_; }
  std::size_t connections() const { return shared_.connections; }

  void drain(double timeout_s) {
    shared_.draining = true;
    const Stopwatch watch;
    while (shared_.unanswered > 0 && watch.seconds() < timeout_s) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }

 private:
  void listen(const std::string& host, std::uint16_t port) {
    const std::string place = fmt::format("{}:{}", host, port);
    try {
      const auto found = tcp::resolver(io_).resolve(host, std::to_string(port), tcp::resolver::passive);
      const tcp::endpoint endpoint = *found.begin();
      acceptor_.open(endpoint.protocol());
      acceptor_.set_option(tcp::acceptor::reuse_address(true));
      acceptor_.bind(endpoint);
      acceptor_.listen(1024);
      port_ = acceptor_.local_endpoint().port();
    } catch (const boost::system::system_error& error) {
      const bool taken = error.code() == asio::error::address_in_use;
      throw Error(ErrorTag::kResources, place, fmt::format("cannot listen here: {}", error.code().message()),
                  taken ? "another program listens there: stop it, or choose another --port" : "");
    }
  }

  void accept() {
    const Strand strand = asio::make_strand(io_);
    acceptor_.async_accept(strand, [this, strand](error_code error, Socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (error) {  // out of descriptors, perhaps: closing connections gives some back
        pause_.expires_after(std::chrono::milliseconds(100));
        return pause_.async_wait([this](error_code) { accept(); });
      }
      const auto connection = std::make_shared<Connection>(std::move(socket), strand, shared_);
      const bool full = shared_.connections > shared_.limits.connections;
      asio::dispatch(strand, [connection, full, limit = shared_.limits.connections] {
        if (!full) return connection->start();
        connection->refuse_connection({503, fmt::format("{} connections are open; --max-connections raises the limit", limit)});
      });
      accept();
    });
  }

  int thread_count_;
  Shared shared_;
  asio::io_context io_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  std::uint16_t port_ = 0;
  std::vector<std::jthread> threads_;
};

HttpServer::HttpServer(const std::string& host, std::uint16_t port, HttpLimits limits, int threads, HttpHandlers handlers)
    : impl_(std::make_unique<Impl>(host, port, limits, threads, std::move(handlers))) {}
HttpServer::~HttpServer() = default;
void HttpServer::start() { impl_->start(); }
std::uint16_t HttpServer::port() const { return impl_->port(); }
std::size_t HttpServer::connections() const { return impl_->connections(); }
void HttpServer::drain(double timeout_s) { impl_->drain(timeout_s); }

std::pair<std::string, std::string> http_library_version() {
  return {"Boost", fmt::format("{}.{}.{}", BOOST_VERSION / 100000, BOOST_VERSION / 100 % 1000, BOOST_VERSION % 100)};
}

}  // namespace minbert
