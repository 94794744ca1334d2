// Notes on config keys: an example, the paper's value, and the meaning of each named value, beside what the keys' visitors say.
#pragma once

#include <span>
#include <string_view>

namespace minbert {

struct KeyNote {
  std::string_view key;    ///< as list_options() names it: "stage[].lr"
  std::string_view value;  ///< an example in TOML; empty: the default is one
  std::string_view paper;  ///< what the paper prints or does; empty: it says nothing
};
struct ValueNote {
  std::string_view key, value, meaning;
};

/// Keys without a note have no example but their default. ctest compares both lists with the schemas.
std::span<const KeyNote> key_notes();
/// For every key that takes one of several names, the meaning of each.
std::span<const ValueNote> value_notes();

}  // namespace minbert
