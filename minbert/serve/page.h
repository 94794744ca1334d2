// The page at /: one HTML file with its style and script inside.
#pragma once

#include <string>

namespace minbert {

const std::string& page_text();
/// Its Content-Security-Policy, which allows its own style and script by their hashes and requests to this server.
const std::string& page_policy();

}  // namespace minbert
