// Event files equal those of TensorBoard's own Python writer, and a folder orders them by name.
#include "minbert/train/tensorboard.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/file_size_limit.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) text += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return text;
}

// Written by tensorboard 2.21.0, RecordWriter over event_pb2.Event; one record a line.
constexpr std::string_view kVersionRecord = "1800000000000000a37f4b22090000a042fc54d9411a0d627261696e2e4576656e743a32cb909ad4";
constexpr std::string_view kPurgeRecord = "0f000000000000006d532b09090000a042fc54d94110033a020801a2efb46c";
constexpr std::string_view kLossRecord = "1e00000000000000d9dc1232090000d042fc54d94110032a110a0f0a086c6f73732f737374150000c03f68e60576";
constexpr std::string_view kRateRecord = "1c00000000000000c8c1951d0900000043fc54d9411080e497d0122a0b0a090a026c7215acc5a7b7c00a331b";

TEST(TensorBoard, BytesEqualThePythonWriter) {
  const TempFolder folder;
  TensorBoardWriter writer(folder / "tb", 1700000010.5, 3);
  writer.scalar("loss/sst", 3, 1.5f, 1700000011.25);
  writer.scalar("lr", 5000000000, -2e-5f, 1700000012);
  writer.flush();
  EXPECT_EQ(hex(read_file(writer.path())), fmt::format("{}{}{}{}", kVersionRecord, kPurgeRecord, kLossRecord, kRateRecord));
}

TEST(TensorBoard, FirstRunPurgesNothingAndIsVisibleAtOnce) {
  const TempFolder folder;
  const TensorBoardWriter writer(folder.path(), 1700000010.5);
  EXPECT_EQ(hex(read_file(writer.path())), kVersionRecord);
}

TEST(TensorBoard, ResumedRunOpensALaterFile) {
  const TempFolder folder;
  const TensorBoardWriter first(folder.path(), 999999999.9), second(folder.path(), 1700000010), same_second(folder.path(), 1700000010.9);
  EXPECT_EQ(folder.count(), 3);
  EXPECT_LT(first.path(), second.path());
  EXPECT_LT(second.path(), same_second.path());
  EXPECT_NE(first.path().filename().string().find("tfevents"), std::string::npos);
}

TEST(TensorBoard, BadFolderIsAnErrorThatNamesIt) {
  const TempFolder folder;
  write_file(folder / "taken", "a file");
  expect_error(ErrorTag::kResources, {"taken"}, [&] { TensorBoardWriter(folder / "taken", 1); });
}

TEST(TensorBoard, FullDiskIsAnErrorThatNamesTheFile) {
  const TempFolder folder;
  TensorBoardWriter many(folder.path(), 1), few(folder.path(), 2);
  const FileSizeLimit limit(64);
  expect_error(ErrorTag::kResources, {"tfevents.0000000001", "cannot write"}, [&] {
    for (int step = 0; step < 1000; ++step) many.scalar("loss", step, 1, 2);
  });
  few.scalar("loss", 1, 1, 2);
  expect_error(ErrorTag::kResources, {"tfevents.0000000002", "cannot write"}, [&] { few.flush(); });
}

}  // namespace
}  // namespace minbert
