// ZIP: end record, central directory, local headers; every offset is checked before it is followed.
#include "minbert/base/zip.h"

#include <algorithm>
#include <concepts>
#include <cstring>
#include <string>
#include <unordered_set>

namespace minbert {
namespace {

// Signatures, and the sizes of records without their texts (APPNOTE 4.3.7, 4.3.12, 4.3.14 to 4.3.16).
constexpr std::uint32_t kLocal = 0x04034b50, kCentral = 0x02014b50, kEnd = 0x06054b50, kEnd64 = 0x06064b50, kLocator64 = 0x07064b50;
constexpr std::uint64_t kLocalBytes = 30, kCentralBytes = 46, kEndBytes = 22, kEnd64Bytes = 56, kLocator64Bytes = 20;
constexpr std::uint64_t kMaxCommentBytes = 0xffff;
constexpr std::uint16_t kZip64Field = 1, kEncrypted = 1;

class ZipReader {
 public:
  ZipReader(std::span<const std::byte> archive, std::string_view place, ErrorTag tag) : archive_(archive), place_(place), tag_(tag) {}

  std::vector<ZipEntry> entries() {
    const Directory directory = find_directory();
    std::vector<ZipEntry> entries;
    std::unordered_set<std::string_view> names;
    std::uint64_t at = directory.offset;
    for (std::uint64_t i = 0; i < directory.count; ++i) {
      const ZipEntry entry = central_entry(at);
      if (!names.insert(entry.name).second) fail(fmt::format("entry \"{}\" appears twice", entry.name));
      entries.push_back(entry);
    }
    return entries;
  }

 private:
  struct Directory {
    std::uint64_t offset, count;
  };

  [[noreturn]] void fail(const std::string& message, std::string hint = {}) const {
    throw Error(tag_, place_, "not a readable ZIP archive: " + message, std::move(hint));
  }

  /// The bytes [at, at + size).
  std::span<const std::byte> bytes(std::uint64_t at, std::uint64_t size) const {
    if (at > archive_.size() || size > archive_.size() - at)
      fail(fmt::format("expected {} bytes at offset {}, got a file of {}", size, at, archive_.size()), "the file is cut short or damaged");
    return archive_.subspan(at, size);
  }

  template <std::unsigned_integral T>
  T number(std::uint64_t at) const {
    T value;
    std::memcpy(&value, bytes(at, sizeof(T)).data(), sizeof(T));
    return value;
  }

  void expect(std::uint64_t at, std::uint32_t signature, std::string_view what) const {
    if (number<std::uint32_t>(at) != signature) fail(fmt::format("expected {} at offset {}", what, at));
  }

  /// The end record is the last thing in the file but for a comment.
  Directory find_directory() const {
    if (archive_.size() < kEndBytes) fail(fmt::format("got a file of {} bytes", archive_.size()), "the file is cut short");
    const std::uint64_t last = archive_.size() - kEndBytes;
    const std::uint64_t first = last - std::min(last, kMaxCommentBytes);
    std::uint64_t end = last;
    while (number<std::uint32_t>(end) != kEnd) {
      if (end == first) fail("no end-of-directory record", "the file is cut short; download it again");
      --end;
    }
    Directory directory{number<std::uint32_t>(end + 16), number<std::uint16_t>(end + 10)};
    if (end >= kLocator64Bytes && number<std::uint32_t>(end - kLocator64Bytes) == kLocator64) {
      const auto end64 = number<std::uint64_t>(end - kLocator64Bytes + 8);
      bytes(end64, kEnd64Bytes);
      expect(end64, kEnd64, "a ZIP64 end-of-directory record");
      directory = {number<std::uint64_t>(end64 + 48), number<std::uint64_t>(end64 + 32)};
    }
    return directory;
  }

  /// Reads one record of the directory and moves `at` past it.
  ZipEntry central_entry(std::uint64_t& at) const {
    bytes(at, kCentralBytes);
    expect(at, kCentral, "a directory entry");
    const auto name_size = number<std::uint16_t>(at + 28), extra_size = number<std::uint16_t>(at + 30),
               comment_size = number<std::uint16_t>(at + 32);
    const auto name_bytes = bytes(at + kCentralBytes, name_size);
    const std::string_view name(reinterpret_cast<const char*>(name_bytes.data()), name_size);
    if (number<std::uint16_t>(at + 8) & kEncrypted) fail(fmt::format("entry \"{}\" is encrypted", name));
    if (const auto method = number<std::uint16_t>(at + 10); method != 0)
      fail(fmt::format("expected stored entries, got \"{}\" compressed with method {}", name, method),
           "save the file again with torch.save");

    std::uint64_t stored = number<std::uint32_t>(at + 20), size = number<std::uint32_t>(at + 24), local = number<std::uint32_t>(at + 42);
    widen(at + kCentralBytes + name_size, extra_size, {&size, &stored, &local});
    if (stored != size) fail(fmt::format("entry \"{}\": {} bytes stored as {}", name, size, stored));
    at += kCentralBytes + name_size + extra_size + comment_size;

    bytes(local, kLocalBytes);
    expect(local, kLocal, "a local header");
    const std::uint64_t data = local + kLocalBytes + number<std::uint16_t>(local + 26) + number<std::uint16_t>(local + 28);
    return {name, bytes(data, size)};
  }

  /// Fields that read 0xffffffff have their value in the ZIP64 extra field, in this order (APPNOTE 4.5.3).
  void widen(std::uint64_t at, std::uint64_t size, std::initializer_list<std::uint64_t*> fields) const {
    bytes(at, size);
    for (const std::uint64_t end = at + size; end - at >= 4;) {
      const auto id = number<std::uint16_t>(at), length = number<std::uint16_t>(at + 2);
      std::uint64_t value = at + 4;
      at = value + length;
      if (at > end) fail(fmt::format("an extra field of {} bytes leaves its entry", length));
      if (id != kZip64Field) continue;
      for (std::uint64_t* field : fields) {
        if (*field != 0xffffffffu) continue;
        if (at - value < 8) fail("a ZIP64 field is missing");
        *field = number<std::uint64_t>(value);
        value += 8;
      }
    }
  }

  std::span<const std::byte> archive_;
  std::string_view place_;
  ErrorTag tag_;
};

}  // namespace

std::vector<ZipEntry> read_stored_zip(std::span<const std::byte> archive, std::string_view place, ErrorTag tag) {
  return ZipReader(archive, place, tag).entries();
}

}  // namespace minbert
