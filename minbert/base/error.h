// Error: what bad input throws, in every room and through every door of the library.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

/// Exports a symbol from the shared library.
#define MINBERT_API __attribute__((visibility("default")))

namespace minbert {

/// What kind of thing went wrong. The value is the exit code (README, "Exit codes").
enum class MINBERT_API ErrorTag : int {
  kInternal = 1,   ///< a bug: a broken invariant
  kUsage = 2,      ///< flags, config, unknown task
  kData = 3,       ///< data file missing, broken row, missing column, empty file
  kModel = 4,      ///< model folder missing, broken or unsupported weights, config or tokenizer
  kResources = 5,  ///< disk, memory, port, lock
  kDiverged = 6,   ///< NaN or Inf in weights, training or outputs
  kGate = 7,       ///< --fail-under not reached
};

/// The tag as printed: "data" for kData.
MINBERT_API std::string_view tag_name(ErrorTag tag);

/// Bad input. what() is "[tag] place: message"; only cli prints it.
class MINBERT_API Error : public std::runtime_error {
 public:
  /// `place` is a file, file:line, flag or key; it may be empty. `hint` is printed on a second line when not empty.
  Error(ErrorTag tag, std::string_view place, std::string_view message, std::string hint = {});
  Error(const Error&);
  ~Error() override;
  ErrorTag tag() const { return tag_; }
  const std::string& place() const { return place_; }
  /// what() without the tag and the place.
  const std::string& message() const { return message_; }
  const std::string& hint() const { return hint_; }
  int exit_code() const { return static_cast<int>(tag_); }

 private:
  ErrorTag tag_;
  std::string place_, message_, hint_;
};

/// Converts the exception that is being handled: an Error stays as it is, lack of memory and errors of the system or of files become
/// kResources, all others kInternal. To be called in a catch block.
Error current_error();

}  // namespace minbert
