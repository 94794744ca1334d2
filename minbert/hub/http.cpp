// HttpClient on libcurl's easy interface.
#include "minbert/hub/http.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <memory>
#include <utility>

#include "minbert/base/check.h"

namespace minbert {
namespace {

constexpr std::string_view kLinked = "x-linked-";

/// Initialises libcurl once for the process.
void initialize_curl() {
  static const CURLcode code = curl_global_init(CURL_GLOBAL_DEFAULT);
  MINBERT_CHECK(code == CURLE_OK, "{}", curl_easy_strerror(code));
}

template <class Value>
void set(CURL* handle, CURLoption option, Value value) {
  const CURLcode code = curl_easy_setopt(handle, option, value);
  MINBERT_CHECK(code == CURLE_OK, "option {}: {}", static_cast<int>(option), curl_easy_strerror(code));
}

void set_protocols(CURL* handle, bool only_https) {
#if LIBCURL_VERSION_NUM >= 0x075500  // 7.85 replaced the bit masks by names
  set(handle, CURLOPT_PROTOCOLS_STR, only_https ? "https" : "http,https");
  set(handle, CURLOPT_REDIR_PROTOCOLS_STR, only_https ? "https" : "http,https");
#else
  const long protocols = only_https ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS;
  set(handle, CURLOPT_PROTOCOLS, protocols);
  set(handle, CURLOPT_REDIR_PROTOCOLS, protocols);
#endif
}

std::string_view trim(std::string_view text) {
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
  while (!text.empty() && blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && blank(text.back())) text.remove_suffix(1);
  return text;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

HttpOutcome classify(CURL* handle, CURLcode code) {
  switch (code) {
    case CURLE_OK: return HttpOutcome::kDone;
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_TOO_MANY_REDIRECTS:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_PEER_FAILED_VERIFICATION: return HttpOutcome::kUnreachable;
    case CURLE_OPERATION_TIMEDOUT: {
      // Behind a firewall that drops packets, every further attempt would take the whole timeout again.
      curl_off_t sent_us = 0;
      curl_easy_getinfo(handle, CURLINFO_PRETRANSFER_TIME_T, &sent_us);
      return sent_us > 0 ? HttpOutcome::kCut : HttpOutcome::kUnreachable;
    }
    default: return HttpOutcome::kCut;
  }
}

}  // namespace

namespace {

/// "https://host:port" of a URL, without user and password; as libcurl reads it.
std::string origin_of(const char* url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  std::string origin;
  if (parsed == nullptr || curl_url_set(parsed.get(), CURLUPART_URL, url, 0) != CURLUE_OK) return origin;
  for (const CURLUPart part : {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT}) {
    char* text = nullptr;
    if (curl_url_get(parsed.get(), part, &text, CURLU_DEFAULT_PORT) != CURLUE_OK) return {};
    origin += (origin.empty() ? "" : part == CURLUPART_HOST ? "://" : ":") + std::string(text);
    curl_free(text);
  }
  std::transform(origin.begin(), origin.end(), origin.begin(), lower);
  return origin;
}

/// Hugging Face's own clients send a token over http to any mirror, in silence. Here only this machine may get one so.
void expect_no_token_in_clear(const std::string& url) {
  const std::string origin = origin_of(url.c_str());
  if (!origin.starts_with("http://")) return;
  const std::string host = origin.substr(7, origin.rfind(':') - 7);
  if (host == "localhost" || host == "[::1]" || host == "127.0.0.1") return;
  throw Error(ErrorTag::kUsage, url, "a token would go in clear over http", "use an https address, or unset HF_TOKEN");
}

}  // namespace

struct HttpClient::Transfer {
  CURL* handle;
  const HttpSink& sink;
  std::string origin;  // of the URL that was asked for
  HttpHead head;
  bool left_origin = false;  // a redirect led to another host; no later response may vouch for the file
  bool stopped = false;
  std::exception_ptr failure;
};

std::string_view HttpHead::header(std::string_view lower_case_name) const {
  const auto found = headers.find(std::string(lower_case_name));
  return found == headers.end() ? std::string_view{} : found->second;
}

HttpClient::HttpClient(HttpOptions options)
    : options_(std::move(options)), handle_((initialize_curl(), curl_easy_init()), [](void* handle) { curl_easy_cleanup(handle); }) {
  MINBERT_CHECK(handle_ != nullptr, "libcurl refuses a handle");
}

HttpClient::~HttpClient() = default;

std::size_t HttpClient::on_header(char* data, std::size_t size, std::size_t count, void* transfer) {
  auto& self = *static_cast<Transfer*>(transfer);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {
    const char* url = nullptr;
    curl_easy_getinfo(self.handle, CURLINFO_EFFECTIVE_URL, &url);
    self.left_origin = self.left_origin || url == nullptr || origin_of(url) != self.origin;
    std::erase_if(self.head.headers, [](const auto& header) { return !header.first.starts_with(kLinked); });
    curl_easy_getinfo(self.handle, CURLINFO_RESPONSE_CODE, &self.head.status);
    long redirects = 0;
    curl_easy_getinfo(self.handle, CURLINFO_REDIRECT_COUNT, &redirects);
    self.head.redirects = static_cast<int>(redirects);
  } else if (const auto colon = line.find(':'); colon != std::string_view::npos) {
    std::string name(line.substr(0, colon));
    std::transform(name.begin(), name.end(), name.begin(), lower);
    if (self.left_origin && name.starts_with(kLinked)) return line.size();
    self.head.headers.insert_or_assign(std::move(name), trim(line.substr(colon + 1)));
  }
  return line.size();
}

std::size_t HttpClient::on_body(char* data, std::size_t size, std::size_t count, void* transfer) {
  auto& self = *static_cast<Transfer*>(transfer);
  if (self.head.status / 100 != 2) return size * count;
  // libcurl is C: an exception must not cross it.
  try {
    self.stopped = !self.sink(self.head, std::as_bytes(std::span(data, size * count)));
  } catch (...) {
    self.failure = std::current_exception();
    self.stopped = true;
  }
  return self.stopped ? 0 : size * count;
}

HttpResult HttpClient::get(const std::string& url, std::int64_t first_byte, const HttpSink& sink) {
  CURL* handle = handle_.get();
  if (!options_.token.empty()) expect_no_token_in_clear(url);
  Transfer transfer{handle, sink, origin_of(url.c_str()), {}, false, false, {}};
  std::array<char, CURL_ERROR_SIZE> message{};
  curl_easy_reset(handle);
  set(handle, CURLOPT_URL, url.c_str());
  set_protocols(handle, url.starts_with("https:"));
  set(handle, CURLOPT_FOLLOWLOCATION, 1L);
  set(handle, CURLOPT_MAXREDIRS, 10L);
  set(handle, CURLOPT_USERAGENT, "minbert");
  set(handle, CURLOPT_NOSIGNAL, 1L);
  set(handle, CURLOPT_BUFFERSIZE, 256L << 10);
  set(handle, CURLOPT_CONNECTTIMEOUT_MS, std::lround(options_.connect_timeout_s * 1000));
  set(handle, CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(handle, CURLOPT_LOW_SPEED_TIME, std::max(1L, std::lround(options_.stall_timeout_s)));
  set(handle, CURLOPT_ERRORBUFFER, message.data());
  set(handle, CURLOPT_HEADERFUNCTION, &HttpClient::on_header);
  set(handle, CURLOPT_HEADERDATA, &transfer);
  set(handle, CURLOPT_WRITEFUNCTION, &HttpClient::on_body);
  set(handle, CURLOPT_WRITEDATA, &transfer);
  if (!options_.ca_file.empty()) set(handle, CURLOPT_CAINFO, options_.ca_file.c_str());
  if (!options_.token.empty()) {
    // As authentication, unlike as a header, libcurl sends the token to its own host only.
    set(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
    set(handle, CURLOPT_XOAUTH2_BEARER, options_.token.c_str());
  }
  if (first_byte > 0) set(handle, CURLOPT_RANGE, fmt::format("{}-", first_byte).c_str());

  const CURLcode code = curl_easy_perform(handle);
  set(handle, CURLOPT_ERRORBUFFER, static_cast<char*>(nullptr));
  if (transfer.failure) std::rethrow_exception(transfer.failure);
  HttpResult result{transfer.stopped ? HttpOutcome::kStopped : classify(handle, code), std::move(transfer.head), {}};
  if (result.outcome == HttpOutcome::kCut || result.outcome == HttpOutcome::kUnreachable) {
    result.message = message[0] != '\0' ? message.data() : curl_easy_strerror(code);
  }
  return result;
}

std::string url_encode(std::string_view text, std::string_view keep) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       std::string_view("-._~").find(c) != std::string_view::npos || keep.find(c) != std::string_view::npos;
    if (plain)
      encoded.push_back(c);
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

}  // namespace minbert
