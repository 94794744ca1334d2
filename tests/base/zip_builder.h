// stored_zip: a small archive in memory, for tests that then spoil it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace minbert {

namespace internal {
inline void put(std::string& out, std::uint64_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<char>(i < 8 ? value >> (8 * i) : 0));
}
}  // namespace internal

/// An archive of uncompressed files, as APPNOTE lays it out. With `zip64`, sizes and offsets are in ZIP64 fields and records.
inline std::string stored_zip(const std::vector<std::pair<std::string_view, std::string_view>>& files, bool zip64 = false) {
  using internal::put;
  std::string out, directory;
  for (const auto& [name, data] : files) {
    const std::uint64_t local = out.size(), shown = zip64 ? 0xffffffffu : data.size();
    put(out, 0x04034b50, 4);
    put(out, 0, 22);  // version, flags, method, time, date, crc, sizes: readers take them from the directory
    put(out, name.size(), 2);
    put(out, 5, 2);  // an extra field that is longer here than in the directory
    out.append(name).append("extra").append(data);

    put(directory, 0x02014b50, 4);
    put(directory, 0, 16);
    put(directory, shown, 4);
    put(directory, shown, 4);
    put(directory, name.size(), 2);
    put(directory, zip64 ? 28 : 0, 2);
    put(directory, 0, 10);
    put(directory, zip64 ? 0xffffffffu : local, 4);
    directory.append(name);
    if (zip64) {
      put(directory, 1, 2);
      put(directory, 24, 2);
      for (const std::uint64_t value : {std::uint64_t{data.size()}, std::uint64_t{data.size()}, local}) put(directory, value, 8);
    }
  }
  const std::uint64_t start = out.size(), end64 = start + directory.size();
  out += directory;
  if (zip64) {
    put(out, 0x06064b50, 4);
    put(out, 44, 8);
    put(out, 0, 12);
    for (const std::uint64_t value : {std::uint64_t{files.size()}, std::uint64_t{files.size()}, std::uint64_t{directory.size()}, start})
      put(out, value, 8);
    put(out, 0x07064b50, 4);
    put(out, 0, 4);
    put(out, end64, 8);
    put(out, 1, 4);
  }
  put(out, 0x06054b50, 4);
  put(out, 0, 4);
  put(out, zip64 ? 0xffff : files.size(), 2);
  put(out, zip64 ? 0xffff : files.size(), 2);
  put(out, zip64 ? 0xffffffffu : directory.size(), 4);
  put(out, zip64 ? 0xffffffffu : start, 4);
  put(out, 0, 2);
  return out;
}

}  // namespace minbert
