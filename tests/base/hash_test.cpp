// SHA-256 against the vectors of FIPS 180-4, and the clock's calendar.
#include "minbert/base/hash.h"

#include <gtest/gtest.h>

#include "minbert/base/base64.h"
#include "minbert/base/clock.h"
#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 million;
  for (int i = 0; i < 1000; ++i) million.update(std::string(1000, 'a'));
  EXPECT_EQ(million.hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Base64, Rfc4648) {
  const auto of = [](std::string_view text) { return base64(std::as_bytes(std::span(text))); };
  EXPECT_EQ(of(""), "");
  EXPECT_EQ(of("f"), "Zg==");
  EXPECT_EQ(of("fo"), "Zm8=");
  EXPECT_EQ(of("foo"), "Zm9v");
  EXPECT_EQ(of("foobar"), "Zm9vYmFy");
  EXPECT_EQ(of("\xff\xfe\xfb"), "//77");
  EXPECT_EQ(sha256_base64("abc"), "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
}

TEST(Sha256, HashesFiles) {
  const TempFolder folder;
  write_file(folder / "f", "abc");
  EXPECT_EQ(sha256_file(folder / "f"), sha256_hex("abc"));
  expect_error(ErrorTag::kModel, {"none"}, [&] { sha256_file(folder / "none", ErrorTag::kModel); });
}

TEST(Clock, StampsAreUtc) {
  using std::chrono::system_clock;
  EXPECT_EQ(utc_timestamp(system_clock::from_time_t(0)), "1970-01-01T00:00:00Z");
  EXPECT_EQ(utc_timestamp(system_clock::from_time_t(1709210096)), "2024-02-29T12:34:56Z");
  const Stopwatch watch;
  const double first = watch.seconds();
  EXPECT_GE(first, 0);
  EXPECT_GE(watch.seconds(), first);
}

}  // namespace
}  // namespace minbert
