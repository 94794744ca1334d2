// clean: what is taken from which run, and what is left alone.
#include "minbert/study/clean.h"

#include <gtest/gtest.h>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class CleanTest : public testing::Test {
 protected:
  /// A run of two stages whose best/ is linked to that of the second stage.
  void write_run(const std::string& run, std::string_view state) const {
    write(run + "/status.json", fmt::format(R"({{"format":1,"state":"{}"}})", state));
    write(run + "/checkpoints/last/model.safetensors", std::string(1000, 'l'));
    write(run + "/checkpoints/stage-0/best/model.safetensors", std::string(200, '0'));
    write(run + "/checkpoints/stage-0/stage.json", "{}");
    write(run + "/checkpoints/stage-1/best/model.safetensors", std::string(30, '1'));
    write(run + "/checkpoints/stage-1/stage.json", "{}");
    link_folder(folder / run / "checkpoints/stage-1/best", folder / run / "best");
  }
  void write(const std::string& file, std::string_view text) const {
    make_directories((folder / file).parent_path());
    write_file(folder / file, text);
  }
  bool has(const std::string& path) const { return fs::exists(folder / path); }
  /// The bytes that cleaning `path` frees, which it then does.
  std::int64_t freed(const std::string& path) const {
    std::int64_t bytes = 0;
    for (const RunSurplus& run : find_surplus(folder / path)) {
      for (const auto& [part, size] : run.free) bytes += size;
      free_surplus(run);
    }
    return bytes;
  }

  TempFolder folder;
};

TEST_F(CleanTest, AFinishedRunGivesUpWhatItsModelDoesNotNeed) {
  write_run("run", "done");
  EXPECT_EQ(freed("run"), 1200);
  for (const char* gone : {"run/checkpoints/last", "run/checkpoints/stage-0/best"}) EXPECT_FALSE(has(gone)) << gone;
  for (const char* kept : {"run/best/model.safetensors", "run/checkpoints/stage-0/stage.json",
                           "run/checkpoints/stage-1/best/model.safetensors", "run/status.json"})
    EXPECT_TRUE(has(kept)) << kept << " takes no room";
  EXPECT_EQ(freed("run"), 0);
}

TEST_F(CleanTest, AStudyKeepsWhatItsOtherRunsMayShare) {
  write_run("study/rows/one/seed-1", "done");
  write_run("study/rows/two/seed-1", "stopped");
  write("study/study.json", R"({"state":"stopped"})");
  EXPECT_EQ(freed("study"), 1000);
  EXPECT_TRUE(has("study/rows/one/seed-1/checkpoints/stage-0/best"));
  EXPECT_TRUE(has("study/rows/two/seed-1/checkpoints/last"));
  write("study/rows/two/seed-1/status.json", R"({"format":1,"state":"done"})");
  write("study/study.json", R"({"state":"done"})");
  EXPECT_EQ(freed("study"), 1400);
}

TEST_F(CleanTest, SearchesAndSeedsAreFoldersOfRuns) {
  write_run("search/trials/000", "done");
  write("search/journal.jsonl", "");
  write_run("seeds/seed-1", "done");
  write_run("seeds/seed-2", "failed");
  EXPECT_EQ(freed("search"), 1200);
  EXPECT_EQ(freed("seeds"), 1200);
  EXPECT_TRUE(has("seeds/seed-2/checkpoints/last"));
}

TEST_F(CleanTest, OtherFoldersAndBusyRunsAreRefused) {
  write("thesis/text.txt", "years of work");
  for (const char* path : {"thesis", "absent"})
    expect_error(ErrorTag::kUsage, {path, "expected the folder of a run"}, [&] { find_surplus(folder / path); });
  write("broken/status.json", R"({"format":1})");
  expect_error(ErrorTag::kData, {"broken/status.json", "state"}, [&] { find_surplus(folder / "broken"); });
  write_run("killed", "running");
  EXPECT_EQ(find_surplus(folder / "killed")[0].state, "stopped");
  write_run("run", "done");
  const std::vector<RunSurplus> before = find_surplus(folder / "run");
  const FileLock other(folder / "run/.lock");
  EXPECT_THROW(free_surplus(before[0]), LockHeld);
  const std::vector<RunSurplus> busy = find_surplus(folder / "run");
  EXPECT_EQ(busy[0].state, "running");
  EXPECT_TRUE(busy[0].free.empty());
  EXPECT_TRUE(has("run/checkpoints/last"));
}

}  // namespace
}  // namespace minbert
