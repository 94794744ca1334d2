// JSON by nlohmann-json, keys in insertion order, with errors that name the file.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string_view>

#include "minbert/base/check.h"

namespace minbert {

using Json = nlohmann::ordered_json;
/// Keys in byte order, each found in logarithmic time: for objects with very many keys, where Json searches one by one.
using SortedJson = nlohmann::json;

/// Nothing that is parsed nests deeper, so that code which walks a document may recurse. TOML has the same limit.
inline constexpr int kMaxNesting = 512;
/// Longer JSON texts are refused: a document takes about ten times its text in memory.
inline constexpr std::size_t kMaxJsonBytes = std::size_t{256} << 20;

/// Parses `text`. Throws Error(tag) "place:line:column: ..." on a syntax error, and beyond kMaxNesting and kMaxJsonBytes.
Json parse_json(std::string_view text, std::string_view place, ErrorTag tag);

SortedJson parse_sorted_json(std::string_view text, std::string_view place, ErrorTag tag);

/// What parse_json_line made of a line.
struct JsonLine {
  Json value;           ///< null when there is a problem
  std::string problem;  ///< what was got instead of JSON, such as "invalid JSON"; empty when all is well
};
/// Parses a line that may be broken or cut, within the limits of parse_json. Throws nothing.
JsonLine parse_json_line(std::string_view line);

/// Reads and parses a whole file.
Json read_json(const std::filesystem::path& path, ErrorTag tag);
SortedJson read_sorted_json(const std::filesystem::path& path, ErrorTag tag);

/// One line of JSON, or several with an indent of 0 or more. Invalid UTF-8 becomes U+FFFD, NaN and infinities become null, and characters
/// that could drive a terminal are escaped. A value twice as deep as kMaxNesting is a broken invariant: no parser here makes one.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace minbert
