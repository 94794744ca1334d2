// Shards: the same bytes as one process writes, after kills too, and no file where one is missing.
#include <signal.h>

#include "minbert/base/json.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class ShardTest : public ProjectTest {
 protected:
  ShardTest() { train(); }

  /// Runs the command as `count` shards into `file`, and joins them.
  void run_shards(std::vector<std::string> command, const std::string& file, int count) const {
    command.insert(command.end(), {"-o", file, "--shard", ""});
    for (int i = 0; i < count; ++i) {
      command.back() = fmt::format("{}/{}", i, count);
      expect_success(minbert(command));
    }
    expect_success(minbert({"merge", file}));
  }
  std::string name(std::string_view stem, int i, int count, std::string_view ending) const {
    return fmt::format("{}-{:05}-of-{:05}{}", stem, i, count, ending);
  }
  Json json(std::string_view file) const { return parse_json(text(file), file, ErrorTag::kInternal); }
  /// Lines of texts, each of its own.
  static std::string lines(int count) {
    std::string text;
    for (int i = 0; i < count; ++i) text += fmt::format("a {} film, number {}\n", i % 3 == 0 ? "fine" : "dull", i);
    return text;
  }
};

TEST_F(ShardTest, JoinsToTheBytesOfOneProcess) {
  write("texts.txt", lines(11));
  std::string table = "id,sentence,note\n";
  for (int i = 0; i < 11; ++i) table += fmt::format("row \"\"{0}\"\",\"a film, {0}\",\"two\nlines, \"\"quoted\"\"\"\n", i);
  write("rows.csv", table);
  const std::vector<std::string> embed = {"embed", "run", "-i", "texts.txt"},
                                 labels = {"predict", "run", "--task", "sentiment", "-i", "rows.csv", "--text", "sentence"};
  std::vector<std::string> kept = labels;
  kept.push_back("--keep-columns");
  int number = 0;
  for (const auto& [command, ending] :
       {std::pair(embed, ".npy"), {embed, ".jsonl"}, {labels, ".tsv"}, {labels, ".jsonl"}, {kept, ".csv"}}) {
    const std::string whole = fmt::format("whole{}{}", number, ending);
    std::vector<std::string> plain = command;
    plain.insert(plain.end(), {"-o", whole});
    expect_success(minbert(plain));
    for (const int count : number == 0 ? std::vector{1, 3, 16} : std::vector{3}) {  // 16 are more than there are rows
      const std::string joined = fmt::format("joined{}-{}{}", number, count, ending);
      run_shards(command, joined, count);
      EXPECT_EQ(text(joined), text(whole)) << joined;
    }
    ++number;
  }
}

TEST_F(ShardTest, AFinishedShardIsLeftAlone) {
  write("texts.txt", lines(5));
  const std::vector<std::string> command = {"embed", "run", "-i", "texts.txt", "-o", "out.npy", "--shard", "1/2"};
  expect_success(minbert(command));
  const std::string file = name("out", 1, 2, ".npy");
  const Json marker = json(file + ".done");
  EXPECT_EQ(marker["rows"], 2);
  EXPECT_EQ(marker["input_rows"], 5);
  EXPECT_EQ(marker["bytes"], fs::file_size(path(file)));
  EXPECT_FALSE(fs::exists(path(file + ".part")));
  const auto written = fs::last_write_time(path(file));
  const Finished again = minbert(command);
  expect_success(again);
  EXPECT_NE(again.err.find("finished already"), std::string::npos) << again.err;
  EXPECT_EQ(fs::last_write_time(path(file)), written);
  std::vector<std::string> other = command;
  other.insert(other.end(), {"--pool", "mean"});
  expect_failure(minbert(other), 2, "--pool was absent, is now [\"mean\"]");
  std::string changed = lines(5);
  changed.back() = ' ';  // the same number of bytes
  write("texts.txt", changed);
  expect_failure(minbert(command), 2, "input_sha256");
  write("texts.txt", lines(5));
  expect_success(minbert(command));
  expect_success(minbert({"train", "tiny.toml", "-o", "run", "--overwrite", "--set", "run.seed=9"}));
  expect_failure(minbert(command), 2, "model_sha256");
}

TEST_F(ShardTest, AKilledShardGoesOn) {
  write("texts.txt", lines(30000));
  const std::vector<std::string> plain = {"embed", "run", "-i", "texts.txt", "-o", "out.npy"};
  std::vector<std::string> command = plain;
  command.insert(command.end(), {"--shard", "0/2"});
  const std::string file = name("out", 0, 2, ".npy");
  expect_success(minbert({"embed", "run", "-i", "texts.txt", "-o", "want.npy", "--shard", "0/2"}));
  int stopped = 0;
  for (const int signal : {SIGTERM, SIGKILL, SIGTERM}) {
    Program program(command, options());
    const auto before = fs::exists(path(file + ".part")) ? fs::file_size(path(file + ".part")) : 0;
    program.wait_until([&] { return fs::exists(path(file + ".part")) && fs::file_size(path(file + ".part")) > before + (1 << 16); });
    if (program.ended()) break;  // a fast machine
    program.send(signal);
    EXPECT_EQ(program.wait().code, signal == SIGTERM ? 75 : -SIGKILL);
    EXPECT_FALSE(fs::exists(path(file)));
    ++stopped;
  }
  EXPECT_GT(stopped, 0);
  expect_failure(minbert({"merge", "out.npy"}), 2, "has no shards");
  expect_success(minbert(command));
  EXPECT_EQ(text(file), text(name("want", 0, 2, ".npy")));
}

TEST_F(ShardTest, MergeRefusesGaps) {
  expect_failure(minbert({"merge", "out.jsonl"}), 2, "out.jsonl: has no shards");
  write("texts.txt", lines(7));
  std::vector<std::string> command = {"embed", "run", "-i", "texts.txt", "-o", "out.jsonl", "--shard", "0/3"};
  expect_success(minbert(command));
  expect_failure(minbert({"merge", "out.jsonl"}), 3, "shard 1 of 3 is not finished");
  for (const char* shard : {"1/3", "2/3"}) {
    command.back() = shard;
    expect_success(minbert(command));
  }
  expect_success(minbert({"merge", "out.jsonl"}));
  EXPECT_EQ(lines_of(text("out.jsonl")).size(), 7u);
  const std::string last = name("out", 2, 3, ".jsonl");
  const std::string good = text(last);
  write(last, good.substr(0, good.size() - 2));
  expect_failure(minbert({"merge", "out.jsonl"}), 3, "expected " + std::to_string(good.size()) + " bytes");
  write(last, good);
  command.back() = "0/2";
  expect_success(minbert(command));
  expect_failure(minbert({"merge", "out.jsonl"}), 2, "has shards of 2 and of 3");
  expect_success(minbert({"merge", "out.jsonl", "--of", "3"}));
}

TEST_F(ShardTest, MergeTakesAListOfShards) {
  write("texts.txt", lines(7));
  const std::string a = name("out", 0, 2, ".dat"), b = name("out", 1, 2, ".dat");
  for (const char* shard : {"0/2", "1/2"})
    expect_success(
        minbert({"predict", "run", "--task", "sentiment", "-i", "texts.txt", "-o", "out.dat", "--format", "csv", "--shard", shard}));
  expect_success(minbert({"predict", "run", "--task", "sentiment", "-i", "texts.txt", "-o", "whole.csv"}));
  expect_success(minbert({"merge", b, a, "-o", "all.dat"}));
  EXPECT_EQ(text("all.dat"), text("whole.csv"));
  expect_failure(minbert({"merge", a, "-o", "one.dat"}), 2, "expected shard 0 of 1, got shard 0 of 2");
  expect_failure(minbert({"merge", a, a, "-o", "twice.dat"}), 2, "expected shard 1 of 2, got shard 0 of 2");
  expect_failure(minbert({"merge", a, b}), 2, "-o: expected the file to write");
  expect_failure(minbert({"merge", a, "texts.txt", "-o", "mixed.dat"}), 3, "texts.txt: expected a finished shard");
}

TEST_F(ShardTest, RowsEndAsTheFormatSaysWhateverTheName) {
  write("rows.csv", "sentence,note\n\"a film\",\"two\nlines\"\n\"a bore\",\"one\"\n\"fine\",\"more\nlines\"\n");
  const std::vector<std::string> command = {"predict",  "run",      "--task", "sentiment",     "-i", "rows.csv", "--text",
                                            "sentence", "--format", "csv",    "--keep-columns"};
  std::vector<std::string> plain = command;
  plain.insert(plain.end(), {"-o", "whole.dat"});
  expect_success(minbert(plain));
  run_shards(command, "joined.dat", 2);
  EXPECT_EQ(text("joined.dat"), text("whole.dat"));
}

TEST_F(ShardTest, TheExampleForGnuParallelRuns) {
  if (std::system("parallel --version 2>/dev/null | grep -q GNU") != 0) GTEST_SKIP() << "no GNU parallel";
  write("texts.txt", lines(9));
  fs::create_directory(path("bin"));
  fs::create_symlink(MINBERT_PROGRAM, path("bin/minbert"));
  expect_success(minbert({"embed", "run", "-i", "texts.txt", "-o", "whole.npy"}));
  const std::string example =
      fmt::format("cd {} && PATH=$PWD/bin:$PATH {}/examples/parallel/embed.sh run texts.txt out.npy 3 2 >out.txt 2>&1", path(".").string(),
                  MINBERT_SOURCE_DIR);
  EXPECT_EQ(std::system(example.c_str()), 0) << text("out.txt");
  EXPECT_EQ(text("out.npy"), text("whole.npy"));
}

TEST_F(ShardTest, LaunchersNameTheShard) {
  write("texts.txt", lines(3));
  const auto run_as = [&](const std::string& shard, std::vector<std::string> environment) {
    RunOptions how = options();
    how.environment.insert(how.environment.end(), environment.begin(), environment.end());
    return run({"embed", "run", "-i", "texts.txt", "-o", "out.jsonl", "--shard", shard}, how);
  };
  expect_success(run_as("auto", {"SLURM_ARRAY_TASK_ID=4", "SLURM_ARRAY_TASK_MIN=2", "SLURM_ARRAY_TASK_COUNT=3"}));
  EXPECT_TRUE(fs::exists(path(name("out", 2, 3, ".jsonl"))));
  expect_success(run_as("auto/3", {"SLURM_ARRAY_TASK_ID=1", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_COUNT=1"}));
  expect_success(run_as("auto/3", {"JOB_COMPLETION_INDEX=0"}));
  expect_success(minbert({"merge", "out.jsonl"}));
  expect_failure(run_as("auto", {}), 2, "no SLURM_ARRAY_TASK_ID");
  expect_failure(run_as("auto", {"SLURM_ARRAY_TASK_ID=5", "SLURM_ARRAY_TASK_MIN=1", "SLURM_ARRAY_TASK_COUNT=2"}), 2, "with gaps");
  expect_failure(run_as("auto/3", {"JOB_COMPLETION_INDEX=3"}), 2, "as task 3");
  for (const char* bad : {"3/3", "1", "-1/2", "0/0", "a/b", "1/2/3", ""}) {
    if (*bad != '\0') expect_failure(run_as(bad, {}), 2, "--shard");
  }
  expect_failure(minbert({"embed", "run", "-o", "out.jsonl", "--shard", "0/2"}, "a\n"), 2, "expected -i FILE");
  expect_failure(minbert({"embed", "run", "-i", "texts.txt", "-o", "out.safetensors", "--shard", "0/2"}), 2, "expected -o FILE.npy");
  expect_failure(minbert({"predict", "run", "--task", "sentiment", "-i", "texts.txt", "--shard", "0/2"}), 2, "got standard output");
}

}  // namespace
}  // namespace minbert
