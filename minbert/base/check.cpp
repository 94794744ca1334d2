// Error and CHECK: formatting of messages.
#include "minbert/base/check.h"

#include <utility>

namespace minbert {

std::string_view tag_name(ErrorTag tag) {
  switch (tag) {
    case ErrorTag::kInternal: return "internal";
    case ErrorTag::kUsage: return "usage";
    case ErrorTag::kData: return "data";
    case ErrorTag::kModel: return "model";
    case ErrorTag::kResources: return "resources";
    case ErrorTag::kDiverged: return "diverged";
    case ErrorTag::kGate: return "gate";
  }
  return "internal";
}

Error::Error(ErrorTag tag, std::string_view place, std::string_view message, std::string hint)
    : std::runtime_error(place.empty() ? fmt::format("[{}] {}", tag_name(tag), message)
                                       : fmt::format("[{}] {}: {}", tag_name(tag), place, message)),
      tag_(tag),
      hint_(std::move(hint)) {}

namespace internal {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::string_view path = file;
  if (const auto at = path.rfind("minbert/"); at != std::string_view::npos) path.remove_prefix(at);
  throw Error(ErrorTag::kInternal, fmt::format("{}:{}", path, line),
              fmt::format("check failed: {}{}{}", condition, message.empty() ? "" : ": ", message));
}

}  // namespace internal
}  // namespace minbert
