// InputBytes: what can be read only once is there for every reader.
#include "minbert/base/input_bytes.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "minbert/base/hash.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

/// A named pipe with a writer behind it, which must be read once.
class FedPipe {
 public:
  FedPipe(const std::filesystem::path& path, std::string content) {
    EXPECT_EQ(::mkfifo(path.c_str(), 0600), 0);
    writer_ = std::jthread([path, content = std::move(content)] { AppendFile(path).write(content); });
  }

 private:
  std::jthread writer_;
};

TEST(InputBytes, ArePlainForFiles) {
  const TempFolder folder;
  write_file(folder / "f", "one");
  EXPECT_FALSE(is_read_once(folder / "f"));
  EXPECT_EQ(InputBytes(folder / "f").text(), "one");
  write_file(folder / "f", "two");
  EXPECT_EQ(InputBytes(folder / "f").text(), "two") << "a file may change";
  write_file(folder / "f", "");
  EXPECT_EQ(InputBytes(folder / "f").text(), "");
  expect_error(ErrorTag::kModel, {"absent", "No such file"}, [&] { InputBytes(folder / "absent", ErrorTag::kModel); });
  expect_error(ErrorTag::kData, {"expected a file, got a folder"}, [&] { InputBytes(folder.path()); });
}

TEST(InputBytes, OfAPipeStayForLaterReaders) {
  const TempFolder folder;
  const std::string content(300'000, 'x');
  const FedPipe pipe(folder / "pipe", content);
  ASSERT_TRUE(is_read_once(folder / "pipe"));
  EXPECT_EQ(InputBytes(folder / "pipe").text(), content);
  EXPECT_EQ(InputBytes(folder / "pipe").text(), content) << "without another writer";
  std::filesystem::create_symlink("pipe", folder / "link");
  EXPECT_EQ(read_file(folder / "link"), content);
  EXPECT_EQ(sha256_file(folder / "pipe"), sha256_hex(content));
}

TEST(InputBytes, OfADescriptorOfThisProcess) {
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe(ends.data()), 0);
  ASSERT_EQ(::write(ends[1], "a,b\n", 4), 4);
  ::close(ends[1]);
  const std::string path = fmt::format("/dev/fd/{}", ends[0]);
  EXPECT_EQ(InputBytes(path).text(), "a,b\n");
  EXPECT_EQ(InputBytes(path).text(), "a,b\n");
  ::close(ends[0]);
  expect_error(ErrorTag::kData, {path, "a pipe of another command is gone with it"}, [&] { InputBytes(path + "9"); });
}

TEST(InputBytes, RefuseDevicesWithoutEnd) {
  expect_error(ErrorTag::kData, {"/dev/zero", "got a device"}, [] { InputBytes("/dev/zero"); });
  EXPECT_EQ(InputBytes("/dev/null").text(), "");
}

}  // namespace
}  // namespace minbert
