// Study and search folders with a file spoilt: the next command goes on, or says what is wrong.
#include "tests/base/broken_files.h"

#include "minbert/study/search.h"
#include "tests/study/tiny_study.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kShort = "\n[model.config]\nnum_hidden_layers = 1\n[[stage]]\ntasks = [\"near\"]\nepochs = 1\nmax_steps = 2\n";

class BrokenFilesTest : public TinyStudyTest {
 protected:
  BrokenFilesTest() { write("short.toml", kShort); }
};

struct SilentSearch final : SearchEvents, TrainEvents {
  TrainEvents& begin(const Trial&) override { return *this; }
  void end(const Trial&) override {}
};

TEST_F(BrokenFilesTest, OfAStudy) {
  write("small.toml",
        "[study]\nbase = [\"base.toml\", \"short.toml\"]\n[[row]]\nname = \"one\"\n[[row]]\nname = \"two\"\nset = [\"stage.0.lr=2e-3\"]\n");
  study("small");
  const fs::path run = study_path("small") / "rows/one/seed-11711";
  ASSERT_TRUE(fs::exists(run / "fingerprint.json"));
  for (const char* name : {"status.json", "fingerprint.json", "checkpoints/stage-0/stage.json"})
    expect_errors_at_most(run / name, 15, [&] { study("small"); });
}

TEST_F(BrokenFilesTest, OfASearch) {
  write("mine.toml",
        "[search]\nrecipe = [\"base.toml\", \"short.toml\"]\ntrials = 2\nkeep = \"all\"\n[[space]]\nkey = \"stage.0.lr\"\nlow = 1e-4\nhigh "
        "= 1e-2\n");
  SearchOptions options;
  options.resume = true;
  const auto search = [&](const fs::path& searches) {
    options.folder = searches;
    SilentSearch silent;
    run_search(*backend, load_search(folder.path() / "mine.toml", options), options, silent);
  };
  const fs::path good = folder / "good", copy = folder / "copy";
  search(good);
  const auto resume = [&] {
    fs::remove_all(copy);
    fs::copy(good, copy, fs::copy_options::recursive);
    search(copy);
  };
  expect_errors_at_most(good / "journal.jsonl", 20, resume, spoilt_lines);
  expect_errors_at_most(good / "journal.jsonl", 8, resume);
}

}  // namespace
}  // namespace minbert
