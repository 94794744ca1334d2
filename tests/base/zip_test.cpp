// Stored ZIP archives: both directory forms, comments, and archives made to break a reader.
#include "minbert/base/zip.h"

#include <gtest/gtest.h>

#include "tests/base/error_matchers.h"
#include "tests/base/zip_builder.h"

namespace minbert {
namespace {

std::vector<ZipEntry> read_entries(std::string_view archive) {
  return read_stored_zip(std::as_bytes(std::span(archive)), "a.zip", ErrorTag::kModel);
}

void expect_archive_refused(std::string_view archive, std::initializer_list<std::string_view> parts) {
  expect_error(ErrorTag::kModel, parts, [&] { read_entries(archive); });
}

std::string_view text_of(const ZipEntry& entry) { return {reinterpret_cast<const char*>(entry.bytes.data()), entry.bytes.size()}; }

TEST(Zip, ReadsEntriesInPlace) {
  for (const bool zip64 : {false, true}) {
    const std::string archive = stored_zip({{"a/b", "hello"}, {"empty", ""}, {"c", "x"}}, zip64);
    const auto entries = read_entries(archive);
    ASSERT_EQ(entries.size(), 3u);
    EXPECT_EQ(entries[0].name, "a/b");
    EXPECT_EQ(text_of(entries[0]), "hello");
    EXPECT_EQ(text_of(entries[1]), "");
    EXPECT_EQ(text_of(entries[2]), "x");
    EXPECT_GE(reinterpret_cast<const char*>(entries[0].bytes.data()), archive.data());
  }
}

TEST(Zip, FindsTheEndRecordBeforeAComment) {
  std::string archive = stored_zip({{"a", "1"}});
  EXPECT_EQ(read_entries(archive + std::string(0xffff, ' ')).size(), 1u);
  expect_archive_refused(archive + std::string(0x10000, ' '), {"no end-of-directory record"});
}

TEST(Zip, AnyCutIsRefused) {
  for (const bool zip64 : {false, true}) {
    const std::string archive = stored_zip({{"a", "12345"}, {"b", "678"}}, zip64);
    for (std::size_t size = 0; size < archive.size(); ++size) expect_archive_refused(archive.substr(0, size), {"a.zip"});
  }
}

TEST(Zip, RefusesWhatItCannotRead) {
  expect_archive_refused(stored_zip({{"same", "1"}, {"same", "2"}}), {"\"same\" appears twice"});
  const std::string archive = stored_zip({{"a", "12345"}});
  const std::size_t entry = archive.find("PK\x01\x02"), end = archive.find("PK\x05\x06");
  const auto spoilt = [&](std::size_t at, char value) {
    std::string copy = archive;
    copy[at] = value;
    return copy;
  };
  expect_archive_refused(spoilt(entry + 8, 1), {"\"a\" is encrypted"});
  expect_archive_refused(spoilt(entry + 10, 8), {"\"a\" compressed with method 8"});
  expect_archive_refused(spoilt(entry + 20, 4), {"5 bytes stored as 4"});
  expect_archive_refused(spoilt(entry + 45, 1), {"bytes at offset"});          // local header far away
  expect_archive_refused(spoilt(entry + 42, 2), {"expected a local header"});  // and in the wrong place
  expect_archive_refused(spoilt(entry, 'X'), {"expected a directory entry"});
  expect_archive_refused(spoilt(end + 10, 2), {"expected 46 bytes at offset"});  // one entry more than there is
}

}  // namespace
}  // namespace minbert
