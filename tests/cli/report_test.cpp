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

TEST(ReportVerb, SeveralRunsGoIntoTheWorkingFolder) {
  const TempFolder folder;
  for (const char* name : {"a", "b"}) {
    make_directories(folder / name);
    write_file(folder / name / "status.json", R"({"format": 1, "state": "running"})");
  }
  const Finished both = run({"report", "a", "b"}, {.folder = folder.path()});
  expect_success(both);
  EXPECT_EQ(both.out, "report.html\n");
  EXPECT_NE(read_file(folder / "report.html").find("<h1>a, b</h1>"), std::string::npos);
  EXPECT_FALSE(fs::exists(folder / "a/eval"));
  expect_success(run({"report", "a", "b", "-o", "both.html"}, {.folder = folder.path()}));
  expect_failure(run({"report", "a", "c"}, {.folder = folder.path()}), 3, "is no run folder");
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
