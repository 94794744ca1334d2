// expect_error: the one way tests look at a thrown Error.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "minbert/base/check.h"

namespace minbert {

/// Runs `body`, which must throw Error(tag) whose message and hint together contain every one of `parts`.
template <class Body>
void expect_error(ErrorTag tag, std::initializer_list<std::string_view> parts, Body&& body) {
  try {
    body();
    ADD_FAILURE() << "no error was thrown";
  } catch (const Error& error) {
    const std::string text = std::string(error.what()) + "\nhint: " + error.hint();
    EXPECT_EQ(error.tag(), tag) << text;
    for (const auto part : parts) EXPECT_NE(text.find(part), std::string::npos) << "no \"" << part << "\" in: " << text;
  }
}

}  // namespace minbert
