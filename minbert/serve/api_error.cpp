// Error bodies.
#include "minbert/serve/api_error.h"

#include "minbert/base/json.h"

namespace minbert {
namespace {

std::string_view open_ai_type(int status) {
  if (status == 401) return "authentication_error";
  if (status == 429) return "rate_limit_error";
  return status >= 500 ? "server_error" : "invalid_request_error";
}

std::string open_ai_code(const ApiError& error) {
  if (error.status() == 401) return "invalid_api_key";
  if (error.status() == 429) return "rate_limit_exceeded";
  std::string code(error_type_name(error.type()));
  code[0] = static_cast<char>(code[0] - 'A' + 'a');
  return code;
}

}  // namespace

std::string_view error_type_name(ErrorType type) {
  constexpr std::string_view kNames[] = {"Unhealthy", "Backend", "Overloaded", "Validation", "Tokenizer", "Empty"};
  return kNames[static_cast<std::size_t>(type)];
}

ErrorShape error_shape(std::string_view path) {
  return path.starts_with("/v1/") || path.starts_with("/v2/") || path == "/embeddings" ? ErrorShape::kOpenAi : ErrorShape::kTei;
}

HttpReply error_reply(const ApiError& error, ErrorShape shape) {
  HttpReply reply{.status = error.status(), .content_type = "application/json", .body = {}, .headers = {}};
  Json body;
  if (shape == ErrorShape::kTei) {
    body = {{"error", error.what()}, {"error_type", error_type_name(error.type())}};
  } else {
    body["error"] = {{"message", error.what()}, {"type", open_ai_type(error.status())}, {"param", nullptr}, {"code", open_ai_code(error)}};
    if (!error.param().empty()) body["error"]["param"] = error.param();
  }
  reply.body = dump_json(body);
  if (error.status() == 429 || error.status() == 503) reply.headers.emplace_back("Retry-After", "1");
  if (error.status() == 401) reply.headers.emplace_back("WWW-Authenticate", "Bearer");
  return reply;
}

}  // namespace minbert
