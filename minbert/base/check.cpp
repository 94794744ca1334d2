// Error and CHECK: formatting of messages.
#include "minbert/base/check.h"

#include <exception>
#include <filesystem>
#include <new>
#include <system_error>
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

namespace {

std::string full_text(ErrorTag tag, std::string_view place, std::string_view message) {
  return place.empty() ? fmt::format("[{}] {}", tag_name(tag), message) : fmt::format("[{}] {}: {}", tag_name(tag), place, message);
}

}  // namespace

Error::Error(ErrorTag tag, std::string_view place, std::string_view message, std::string hint)
    : std::runtime_error(full_text(tag, place, message)), tag_(tag), place_(place), message_(message), hint_(std::move(hint)) {}
Error::Error(const Error&) = default;
Error::~Error() = default;

MINBERT_API Error current_error() {  // libminbert_c calls it in libminbert
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::filesystem::filesystem_error& error) {
    return Error(ErrorTag::kResources, error.path1().string(), error.code().message());
  } catch (const std::bad_alloc&) {
    return Error(ErrorTag::kResources, "memory", "out of memory", "a smaller input, model, batch or max_length needs less");
  } catch (const std::system_error& error) {  // of the standard library, threads alone throw it
    return Error(ErrorTag::kResources, "threads", error.code().message(), "--threads N asks for fewer");
  } catch (const std::exception& error) {
    return Error(ErrorTag::kInternal, "", error.what());
  } catch (...) {
    return Error(ErrorTag::kInternal, "", "an exception that is no std::exception");
  }
}

namespace internal {

void check_failed(const char* file, int line, const char* condition, const std::string& message) {
  std::string_view path = file;
  if (const auto at = path.rfind("minbert/"); at != std::string_view::npos) path.remove_prefix(at);
  throw Error(ErrorTag::kInternal, fmt::format("{}:{}", path, line),
              fmt::format("check failed: {}{}{}", condition, message.empty() ? "" : ": ", message));
}

}  // namespace internal
}  // namespace minbert
