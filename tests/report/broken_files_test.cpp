// Reports of runs and studies with a file spoilt: a page, or an error that is no broken invariant.
#include "tests/base/broken_files.h"

#include "minbert/report/report.h"
#include "tests/report/run_fixture.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> files_in(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  return files;
}

TEST(BrokenFiles, OfARun) {
  RunFixture run;
  run.make_whole();
  run.write("profile.json",
            R"({"seconds": 2.5, "ops": [{"op": "linear", "calls": 3, "seconds": 1.5, "share": 0.6, "gflop_per_s": 50, "gb_per_s": 9}]})");
  const auto use = [&] { make_report(run.path()); };
  use();
  for (const fs::path& file : files_in(run.path())) {
    expect_errors_at_most(file, 8, use);
    if (file.extension() == ".jsonl") expect_errors_at_most(file, 20, use, spoilt_lines);
  }
}

TEST(BrokenFiles, OfAStudy) {
  const TempFolder folder;
  RunFixture run;
  run.make_whole();
  make_directories(folder / "rows/alpha");
  fs::copy(run.path(), folder / "rows/alpha/seed-1", fs::copy_options::recursive);
  write_file(folder / "study.json", R"j({"format": 1, "name": "small", "title": "Small", "caption": "", "state": "done", "rows": [
    {"name": "alpha", "title": "Alpha", "published": {"stars": 0.5, "mean": 0.4}, "seeds": [
      {"seed": 1, "folder": "rows/alpha/seed-1", "state": "done", "shared": [{"stage": "pretrain", "from": "rows/beta/seed-1"}]}]}]})j");
  expect_errors_at_most(folder / "study.json", 60, [&] { make_report(folder.path()); });
}

}  // namespace
}  // namespace minbert
