// Run folders with a file spoilt, gone or out of range: a resume goes on, or says which file and key is wrong.
#include "minbert/train/progress.h"
#include "tests/base/broken_files.h"
#include "tests/base/error_matchers.h"
#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class BrokenRunTest : public TinyRunTest {
 protected:
  /// Trains two stages, of three and four steps, and stops after the fifth step. The run lies in runs/cut.
  BrokenRunTest() {
    train(run_, "cut", {}, [&] { return events.steps.size() == 5; });
    EXPECT_EQ(find_checkpoint(last())->stage_step, 2);
  }
  fs::path last() const { return run_path("cut") / "checkpoints/last"; }
  /// Resumes a copy of the run.
  void resume() {
    fs::remove_all(run_path("try"));
    fs::copy(run_path("cut"), run_path("try"), fs::copy_options::recursive);
    train(run_, "try", kResume);
  }
  void expect_refused(const char* pointer, const Json& value, std::string_view key) {
    const std::string good = read_file(last() / "state.json");
    Json state = parse_json(good, "state.json", ErrorTag::kInternal);
    state[Json::json_pointer(pointer)] = value;
    write_file(last() / "state.json", dump_json(state));
    SCOPED_TRACE(dump_json(state));
    expect_error(ErrorTag::kModel, {"checkpoints/last/state.json", key}, [&] { resume(); });
    write_file(last() / "state.json", good);
  }

  RunConfig run_ = config("[[stage]]\nepochs = 1\nmax_steps = 3\n[[stage]]\nname = \"second\"\nmax_steps = 4\ncheckpoint_every = 1\n");
};

TEST_F(BrokenRunTest, StatesOutOfRangeAreNamed) {
  resume();
  EXPECT_EQ(events.steps.size(), 2u);
  for (const char* key : {"epoch", "epoch_step", "stage_step", "run_step"})
    for (const Json& value : {Json(-1), Json(1.5), Json("1"), Json(), Json(INT64_MAX), Json(UINT64_MAX)})
      expect_refused(("/" + std::string(key)).c_str(), value, key);
  expect_refused("/stage", 3, "stage");
  expect_refused("/stage", 2, "stage");
  expect_refused("/epoch", 12, "epoch");
  expect_refused("/epoch_step", 3, "epoch_step");
  expect_refused("/stage_step", 5, "stage_step");
  expect_refused("/wall_s", -1, "wall_s");
  expect_refused("/data", 3, "data");
  expect_refused("/format", 2, "format");
  expect_refused("/selection", Json(), "selection");
  expect_refused("/selection/best", Json::array(), "selection.best");
  expect_refused("/selection/best_epoch", -2, "selection.best_epoch");
  expect_refused("/selection/epochs_without", -1, "selection.epochs_without");
}

TEST_F(BrokenRunTest, EveryFileMayBeSpoilt) {
  expect_errors_at_most(last() / "state.json", 60, [&] { resume(); });
  for (const char* name : {"checkpoints/last/model.safetensors", "checkpoints/last/heads.safetensors",
                           "checkpoints/last/optimizer.safetensors", "checkpoints/stage-0/stage.json", "status.json", "config.toml"})
    expect_errors_at_most(run_path("cut") / name, 12, [&] { resume(); });
  expect_errors_at_most(run_path("cut") / "metrics.jsonl", 20, [&] { resume(); }, spoilt_lines);
}

TEST_F(BrokenRunTest, EveryFileMayBeGone) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(run_path("cut")))
    if (entry.is_regular_file()) files.push_back(entry.path());
  for (const fs::path& file : files) {
    SCOPED_TRACE(file);
    fs::rename(file, folder / "aside");
    try {
      resume();
    } catch (const Error& error) {
      EXPECT_NE(error.tag(), ErrorTag::kInternal) << error.what();
    }
    fs::rename(folder / "aside", file);
  }
}

TEST_F(BrokenRunTest, AFinishedRunMayBeSpoilt) {
  resume();
  const auto again = [&] { train(run_, "try", kResume); };
  for (const char* name : {"status.json", "eval/dev/metrics.json"}) {
    const fs::path file = run_path("try") / name;
    const std::string good = read_file(file);
    Rng rng(3, name);
    for (int i = 0; i < 60; ++i) {
      const std::string bad = spoilt(good, rng);
      write_file(file, bad);
      try {
        again();
        if (!events.steps.empty()) resume();  // a status that does not say "done"
      } catch (const Error& error) {
        EXPECT_NE(error.tag(), ErrorTag::kInternal) << error.what() << "\n" << bad;
      }
    }
    write_file(file, good);
  }
}

TEST_F(BrokenRunTest, SpoiltRecordsAreSaid) {
  const fs::path file = run_path("cut") / "metrics.jsonl";
  const std::string good = read_file(file);
  write_file(file, "{\"event\":\"step\",\"loss\":" + std::string(200'000, '[') + "}\n" + good);
  resume();
  ASSERT_EQ(events.warnings.size(), 1u);
  EXPECT_NE(events.warnings[0].find("metrics.jsonl:1"), std::string::npos) << events.warnings[0];
  EXPECT_NE(events.warnings[0].find("nested deeper"), std::string::npos) << events.warnings[0];
}

}  // namespace
}  // namespace minbert
