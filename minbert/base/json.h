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

/// Parses `text`. Throws Error(tag) "place:line:column: ..." on a syntax error.
Json parse_json(std::string_view text, std::string_view place, ErrorTag tag);

/// Reads and parses a whole file.
Json read_json(const std::filesystem::path& path, ErrorTag tag);
SortedJson read_sorted_json(const std::filesystem::path& path, ErrorTag tag);

/// One line of JSON; invalid UTF-8 becomes U+FFFD, NaN and infinities become null.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace minbert
