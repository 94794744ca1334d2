// Boundary: what every C function does with its arguments and with what is thrown.
#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/capi/minbert.h"
#include "minbert/pipeline/api.h"

struct minbert_error {
  minbert::Error error;
};

struct minbert_model {
  minbert::api::Pipeline pipeline;
};

namespace minbert {

/// Hands over what is being thrown, and returns its code. To be called in a catch block.
minbert_status hand_over_current_error(minbert_error** error) noexcept;

/// Calls `work`; what it throws becomes a status and an error.
template <class Work>
minbert_status at_boundary(minbert_error** error, const Work& work) noexcept {
  if (error != nullptr) *error = nullptr;
  try {
    work();
    return MINBERT_OK;
  } catch (...) {
    return hand_over_current_error(error);
  }
}

/// Throws Error(kUsage) naming the argument if it is null.
void expect_given(const void* argument, const char* name);

/// The caller's options with the fields that it knows, and 0 for later ones. All 0 if there are none. Throws Error(kUsage) for an
/// impossible struct_size.
template <class Options>
Options read_options(const Options* given) {
  Options options = {};
  if (given == nullptr) return options;
  if (given->struct_size < sizeof(given->struct_size))
    throw Error(ErrorTag::kUsage, "struct_size", "expected the size of the struct, got " + std::to_string(given->struct_size));
  std::memcpy(&options, given, given->struct_size < sizeof(Options) ? given->struct_size : sizeof(Options));
  return options;
}

/// The caller's texts, which are not copied. Throws Error(kUsage) for a null text.
std::vector<api::Input> read_texts(const minbert_text* texts, std::size_t count, const char* name);
/// The first texts alone, for functions that read no pairs. Throws Error(kUsage) for a pair.
std::vector<std::string_view> read_single_texts(const minbert_text* texts, std::size_t count, const char* name);

}  // namespace minbert
