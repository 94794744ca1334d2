// report: where the file goes, and what a broken run leaves behind.
#include "minbert/base/files.h"
#include "tests/cli/program.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

TEST(ReportVerb, WritesIntoTheRunFolderUnlessToldOtherwise) {
  const TempFolder folder;
  write_file(folder / "status.json", R"({"format": 1, "state": "running"})");
  const Finished inside = run({"report", folder.path().string()});
  expect_success(inside);
  EXPECT_EQ(inside.out, (folder / "report.html").string() + "\n");
  const std::string html = read_file(folder / "report.html");
  EXPECT_TRUE(html.starts_with("<!DOCTYPE html>"));
  expect_success(run({"report", folder.path().string(), "-o", (folder / "other.html").string()}));
  EXPECT_EQ(read_file(folder / "other.html"), html);
  EXPECT_EQ(run({"report", folder.path().string(), "-o", "-"}).out, html);
}

TEST(ReportVerb, ABrokenRunLeavesNoFile) {
  const TempFolder folder;
  write_file(folder / "status.json", "{");
  expect_failure(run({"report", folder.path().string()}), 3, "status.json");
  EXPECT_FALSE(fs::exists(folder / "report.html"));
  expect_failure(run({"report", (folder / "absent").string()}), 3, "is no run folder");
}

}  // namespace
}  // namespace minbert
