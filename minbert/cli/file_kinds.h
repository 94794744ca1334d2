// Kinds of TOML files that the program reads, and their JSON Schemas.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace minbert {

/// run, study, search and data.
std::vector<std::string> file_kinds();
/// The JSON Schema of a kind, as docs/schema holds it.
std::string file_schema(std::string_view kind);

}  // namespace minbert
