// Errors of three kinds: bad input (Error), broken invariants (CHECK), foreign calls (wrapped where they are made).
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

#include "minbert/base/error.h"

namespace minbert {

namespace internal {
[[noreturn]] void check_failed(const char* file, int line, const char* condition, const std::string& message);
}  // namespace internal

}  // namespace minbert

/// Throws Error(kInternal) naming file, line and condition, with a message formatted by fmt. Always on.
#define MINBERT_CHECK(condition, ...)                                                                   \
  do {                                                                                                  \
    if (!(condition)) [[unlikely]]                                                                      \
      ::minbert::internal::check_failed(__FILE__, __LINE__, #condition, ::fmt::format("" __VA_ARGS__)); \
  } while (false)
