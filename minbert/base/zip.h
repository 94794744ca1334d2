// ZIP: the directory of an archive in memory, and its stored (uncompressed) entries in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "minbert/base/check.h"

namespace minbert {

/// One file of an archive. Name and bytes point into the archive.
struct ZipEntry {
  std::string_view name;
  std::span<const std::byte> bytes;
};

/// Reads the central directory (APPNOTE 6.3, with ZIP64) of a whole archive in memory, in its order. Throws Error(tag) with
/// `place` for anything cut short or out of bounds, a name that appears twice, and a compressed or encrypted entry.
std::vector<ZipEntry> read_stored_zip(std::span<const std::byte> archive, std::string_view place, ErrorTag tag);

}  // namespace minbert
