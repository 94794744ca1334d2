// Reads a part of a file that is too large to be read whole, or one of too many to be kept open.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "minbert/base/check.h"

namespace minbert {

/// Fills `out` with the bytes of a file from `offset` on; the file is open only meanwhile. Throws Error(tag), also where it ends before.
void read_at(const std::filesystem::path& path, std::uintmax_t offset, std::span<char> out, ErrorTag tag = ErrorTag::kData);

}  // namespace minbert
