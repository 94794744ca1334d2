// ApiError: why a request is refused, and how each family of routes says it.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

#include "minbert/serve/http.h"

namespace minbert {

/// The names are text-embeddings-inference's error_type (router/src/lib.rs).
enum class ErrorType : std::uint8_t { kUnhealthy, kBackend, kOverloaded, kValidation, kTokenizer, kEmpty };
/// "Validation" for kValidation.
std::string_view error_type_name(ErrorType type);

class ApiError : public std::runtime_error {
 public:
  /// `param` is the member of the request that is wrong; it may be empty.
  ApiError(int status, ErrorType type, const std::string& message, std::string param = {})
      : std::runtime_error(message), status_(status), type_(type), param_(std::move(param)) {}
  int status() const { return status_; }
  ErrorType type() const { return type_; }
  const std::string& param() const { return param_; }

 private:
  int status_;
  ErrorType type_;
  std::string param_;
};

/// A wrong value: 422.
inline ApiError invalid(const std::string& param, const std::string& message) {
  return {422, ErrorType::kValidation, "`" + param + "`: " + message, param};
}

/// The form of a family's error bodies.
enum class ErrorShape : std::uint8_t {
  kTei,     ///< {"error": text, "error_type": name}
  kOpenAi,  ///< {"error": {"message", "type", "param", "code"}}
};
/// The shape that goes with a path, known or not.
ErrorShape error_shape(std::string_view path);

/// The reply to a refused request, with Retry-After, WWW-Authenticate where they belong.
HttpReply error_reply(const ApiError& error, ErrorShape shape);

}  // namespace minbert
