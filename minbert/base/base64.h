// Base64 (RFC 4648).
#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace minbert {

/// With "=" at the end where the number of bytes asks for it.
std::string base64(std::span<const std::byte> bytes);

}  // namespace minbert
