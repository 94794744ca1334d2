// ServeOptions: the settings of minbert serve. Each is a flag (--max-batch-tokens) and a variable (MINBERT_SERVE_MAX_BATCH_TOKENS).
#pragma once

#include <cstdint>
#include <string>

#include "minbert/base/options.h"

namespace minbert {

struct ServeOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;
  std::string served_model_name = {};
  std::int64_t max_batch_tokens = 16384, max_concurrent_requests = 512, max_client_batch_size = 2048, max_connections = 4096;
  std::int64_t payload_limit = 8'000'000, answer_limit = 512'000'000;
  bool auto_truncate = true;
  double request_timeout = 60, header_timeout = 10, idle_timeout = 75;
  std::string cors_allow_origin = {};
  bool open_metrics = false, access_log = true;
  std::string api_key = {};  ///< MINBERT_API_KEY; empty: none
};

constexpr double kLongestSeconds = 1e8;  // three years; what a clock of nanoseconds can count by far

template <class V>
void visit_options(V& v, ServeOptions& o) {
  v.field("host", o.host, "address to listen on; 0.0.0.0 is every one of the machine's");
  v.field("port", o.port, "port to listen on; 0 chooses a free one");
  v.field("served_model_name", o.served_model_name, "name of the model in replies; default: the folder's");
  v.field("max_batch_tokens", o.max_batch_tokens, "tokens that are computed at once; a longer text runs alone", at_least(1));
  v.field("max_concurrent_requests", o.max_concurrent_requests, "requests that may wait, whatever their size; more are answered 429",
          between(1, 1 << 20));
  v.field("max_client_batch_size", o.max_client_batch_size, "texts or pairs in one request", at_least(1));
  v.field("max_connections", o.max_connections, "connections that may be open", between(1, 1 << 20));
  v.field("payload_limit", o.payload_limit, "bytes in the body of a request", between(1024, 1 << 28));
  v.field("answer_limit", o.answer_limit, "bytes that the answers of all requests on their way may take together",
          between(1 << 20, std::int64_t{1} << 40));
  v.field("auto_truncate", o.auto_truncate, "cut texts that are longer than the model reads, unless a request says `truncate`");
  v.field("request_timeout", o.request_timeout,
          "seconds until a request whose computing has not begun is given up, and until the end after SIGTERM",
          between(1e-3, kLongestSeconds));
  v.field("header_timeout", o.header_timeout, "seconds that the head of a request may take to arrive", between(1e-3, kLongestSeconds));
  v.field("idle_timeout", o.idle_timeout, "seconds until an idle connection is closed", between(1e-3, kLongestSeconds));
  v.field("cors_allow_origin", o.cors_allow_origin, "origins whose pages may read replies, separated by commas; * is any");
  v.field("open_metrics", o.open_metrics, "answer /metrics without the API key");
  v.field("access_log", o.access_log, "write a JSON line for each request to stderr");
}

}  // namespace minbert
