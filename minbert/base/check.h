// Errors of three kinds: bad input (Error), broken invariants (CHECK), foreign calls (wrapped where they are made).
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <string_view>

namespace minbert {

/// What kind of thing went wrong. The value is the exit code (README, "Exit codes").
enum class ErrorTag : int {
  kInternal = 1,   ///< a bug: a broken invariant
  kUsage = 2,      ///< flags, config, unknown task
  kData = 3,       ///< data file missing, broken row, missing column, empty file
  kModel = 4,      ///< model folder missing, broken or unsupported weights, config or tokenizer
  kResources = 5,  ///< disk, memory, port, lock
  kDiverged = 6,   ///< NaN or Inf in weights, training or outputs
  kGate = 7,       ///< --fail-under not reached
};

/// The tag as printed: "data" for kData.
std::string_view tag_name(ErrorTag tag);

/// Bad input. what() is "[tag] place: message"; only cli prints it.
class Error : public std::runtime_error {
 public:
  /// `place` is a file, file:line, flag or key; it may be empty. `hint` is printed on a second line when not empty.
  Error(ErrorTag tag, std::string_view place, std::string_view message, std::string hint = {});
  ErrorTag tag() const { return tag_; }
  const std::string& hint() const { return hint_; }
  int exit_code() const { return static_cast<int>(tag_); }

 private:
  ErrorTag tag_;
  std::string hint_;
};

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
