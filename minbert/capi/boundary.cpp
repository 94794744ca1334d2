// Checks arguments, and makes errors that C can own.
#include "minbert/capi/boundary.h"

#include <new>

namespace minbert {
namespace {

std::string_view view_of(const char* text, std::size_t size, const char* name, std::size_t i) {
  if (text == nullptr && size != 0)
    throw Error(ErrorTag::kUsage, std::string(name) + "[" + std::to_string(i) + "]", "expected a text, got NULL");
  return size == MINBERT_ZERO_TERMINATED ? std::string_view(text) : std::string_view(text, size);
}

}  // namespace

minbert_status hand_over_current_error(minbert_error** error) noexcept {
  try {
    const Error caught = current_error();
    if (error != nullptr) *error = new minbert_error{caught};
    return caught.exit_code();
  } catch (...) {  // no memory for the error itself: there is a code, and no error
    return MINBERT_RESOURCES;
  }
}

void expect_given(const void* argument, const char* name) {
  if (argument == nullptr) throw Error(ErrorTag::kUsage, name, "expected an argument, got NULL");
}

std::vector<api::Input> read_texts(const minbert_text* texts, std::size_t count, const char* name) {
  if (count > 0) expect_given(texts, name);
  std::vector<api::Input> inputs(count);
  for (std::size_t i = 0; i < count; ++i) {
    inputs[i].text = view_of(texts[i].text, texts[i].size, name, i);
    if (texts[i].text_pair != nullptr) inputs[i].text_pair = view_of(texts[i].text_pair, texts[i].pair_size, name, i);
  }
  return inputs;
}

std::vector<std::string_view> read_single_texts(const minbert_text* texts, std::size_t count, const char* name) {
  std::vector<std::string_view> out;
  for (const api::Input& input : read_texts(texts, count, name)) {
    if (input.text_pair)
      throw Error(ErrorTag::kUsage, std::string(name) + "[" + std::to_string(out.size()) + "]", "expected one text, got a pair");
    out.push_back(input.text);
  }
  return out;
}

}  // namespace minbert

extern "C" {

minbert_status minbert_error_code(const minbert_error* error) noexcept { return error == nullptr ? MINBERT_OK : error->error.exit_code(); }
const char* minbert_error_message(const minbert_error* error) noexcept { return error == nullptr ? "" : error->error.message().c_str(); }
const char* minbert_error_place(const minbert_error* error) noexcept { return error == nullptr ? "" : error->error.place().c_str(); }
const char* minbert_error_hint(const minbert_error* error) noexcept { return error == nullptr ? "" : error->error.hint().c_str(); }
void minbert_error_free(minbert_error* error) noexcept { delete error; }

}  // extern "C"
