// Mistakes of users, by exit code: each gives one error line that names the place and leaves no files. (Code 1 is a mistake of the
// program.)
#include <set>

#include "tests/base/file_size_limit.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

struct Mistake {
  std::vector<std::string> arguments;
  int code;
  std::string part;  ///< expected in the error line
  std::string input = {};
};

class MistakesTest : public ProjectTest {
 protected:
  MistakesTest() {
    train();
    write("bad-label.csv", "id,sentence,label\na,fine,4\nb,so so,7\n");
    write("torn.csv", "sentence,label\nfine,4\nso so\n");
    write("no-column.csv", "words,label\nfine,4\n");
    write("empty.csv", "");
    write("typo.toml", "[run]\nnmae = \"x\"\n");
    write("syntax.toml", "[run\n");
    write("foreign/mine.txt", "keep");
    write("hollow/config.json", "{\"model_type\": \"gpt2\"}");
    fs::copy(path("run/best"), path("spoilt"), fs::copy_options::recursive);
    fs::resize_file(path("spoilt/model.safetensors"), 100);
  }

  /// Lists every file and folder of the project.
  std::set<fs::path> everything() const {
    std::set<fs::path> paths;
    for (const auto& entry : fs::recursive_directory_iterator(path("."))) paths.insert(entry.path());
    return paths;
  }

  void expect_each(const std::vector<Mistake>& mistakes) {
    const auto before = everything();
    for (const Mistake& mistake : mistakes) {
      SCOPED_TRACE("minbert " + fmt::format("{}", fmt::join(mistake.arguments, " ")));
      expect_failure(minbert(mistake.arguments, mistake.input), mistake.code, mistake.part);
      const auto after = everything();
      for (const fs::path& file : after) EXPECT_TRUE(before.contains(file)) << "left behind: " << file;
      for (const fs::path& file : before) EXPECT_TRUE(after.contains(file)) << "lost: " << file;
    }
  }
};

TEST_F(MistakesTest, OfUsageEndWith2) {
  expect_each({
      {{"train"}, 2, "expected a config file"},
      {{"train", "absent.toml"}, 2, "absent.toml"},
      {{"train", "tiny.toml", "-o", "a", "-o", "b"}, 2, "--output: expected once, got more"},
      {{"predict", "run", "a", "--min-score", "nan"}, 2, "--min-score: expected a number from 0 to 1, got \"nan\""},
      {{"pretrain"}, 2, "expected a config file, or --init and --text-file"},
      {{"pretrain", "tiny.toml", "-o", "new"}, 2, "expected stages of kind \"mlm\" only"},
      {{"pretrain", "tiny.toml", "--text-file", "torn.csv"}, 2, "expected config files or --text-file, got both"},
      {{"pretrain", "--text-file", "torn.csv", "-o", "new"}, 2, "--init: expected a model"},
      {{"train", "typo.toml"}, 2, "typo.toml:2"},
      {{"train", "syntax.toml"}, 2, "syntax.toml:1"},
      {{"train", "tiny.toml", "-o", "run"}, 2, "holds a run already"},
      {{"train", "tiny.toml", "-o", "run", "--resume", "--set", "stage.0.lr=1"}, 2, "stage.0.lr"},
      {{"train", "tiny.toml", "-o", "foreign", "--overwrite"}, 2, "foreign"},
      {{"train", "tiny.toml", "-o", "run", "--resume", "--overwrite", "--dry-run"}, 2, "cannot go together"},
      {{"train", "tiny.toml", "--set", "stage.0.epoch=2"}, 2, "stage.0.epoch"},
      {{"train", "tiny.toml", "--set", "task.sentimnet.batch=2"}, 2, "sentimnet"},
      {{"train", "tiny.toml", "--set", "model.max_length=9999", "--dry-run"}, 2, "max_length"},
      {{"train", "--train", "bad-label.csv", "tiny.toml"}, 2, "--train"},
      {{"train", "--train", "bad-label.csv"}, 2, "--init"},
      {{"train", "--train", "bad-label.csv", "--init", "scratch", "--dev", "1.5"}, 2, "--dev"},
      {{"train", "tiny.toml", "--threads", "many"}, 2, "--threads"},
      {{"train", "tiny.toml", "--seeds", "1,x"}, 2, "--seeds"},
      {{"train", "tiny.toml", "--seeds"}, 2, "--seeds: expected a value"},
      {{"train", "tiny.toml", "-o", "run", "--overwrite", "--set", "model.max_length=9999"}, 2, "max_length"},
      {{"predict", "run", "--task", "sentimnet"}, 2, "sentimnet", "text"},
      {{"predict", "run"}, 2, "--task", "text"},
      {{"predict", "run", "--task", "sentiment", "--format", "xml"}, 2, "--format"},
      {{"eval", "run", "--fail-under", "sentiment"}, 2, "--fail-under"},
      {{"eval", "run", "--fail-under", "sentimnet=0"}, 2, "sentimnet"},
      {{"eval", "run", "--split", "future"}, 2, "--split"},
      {{"eval", "run/best"}, 2, "expected data"},
      {{"eval", "run", "--data", "samples/sentiment-dev.csv"}, 2, "--task"},
      {{"embed", "run", "-o", "vectors.txt"}, 2, "-o", "text"},
      {{"embed", "run"}, 2, "--output", "text"},
      {{"export", "run", "-o", "exported", "--as", "pickle"}, 2, "--as"},
      {{"export", "run", "-o", "exported", "--as", "seqcls:sentiment"}, 2, "seqcls:sentiment"},
      {{"export", "run", "-o", "foreign", "--as", "hf"}, 2, "foreign"},
      {{"train", "tiny.toml", "-o", "new", "--dev", "0.3"}, 2, "--dev requires --train"},
      {{"train", "tiny.toml", "-o", "new", "--label", "label"}, 2, "--label requires --train"},
      {{"eval", "run", "--text", "sentence"}, 2, "--text requires --data"},
      {{"eval", "run", "--task", "sentiment", "--data", "samples/sentiment-dev.csv", "--set", "a=b"}, 2, "--set"},
      {{"compare", "run", "run", "--label", "label"}, 2, "--label requires --data"},
      {{"predict", "run", "a fine film", "--task", "sentiment", "--text", "sentence"}, 2, "--text"},
      {{"init", "-o", "tiny.toml"}, 2, "tiny.toml"},
      {{"init", "--preset", "magic"}, 2, "--preset"},
      {{"data"}, 2, "expected a verb"},
      {{"config", "check", "typo.toml"}, 2, "typo.toml:2"},
      {{"config", "schema", "runs"}, 2, "run, study"},
      {{"init", "--preset", "study", "-o", "tiny.toml"}, 2, "tiny.toml"},
      {{"fetch"}, 2, "expected a repository"},
      {{"fetch", "owner/name", "--only", "sst"}, 2, "--data"},
      {{"fetch", "--data", "--only", "ss"}, 2, "sst"},
      {{"fetch", "--data", "typo.toml"}, 2, "typo.toml:1"},
  });
}

TEST_F(MistakesTest, ANameOfTheHubIsToBeFetched) {
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"predict", "owner/name", "text"},
                                             {"train", "tiny.toml", "-o", "new", "--set", "model.init=owner/name"},
                                             {"train", "--init", "owner/name", "--train", "samples/sentiment-train.csv", "-o", "new"}}) {
    const Finished finished = minbert(arguments);
    EXPECT_EQ(finished.code, 4);
    EXPECT_NE(finished.err.find("minbert fetch owner/name -o models/name\n"), std::string::npos) << finished.err;
  }
  EXPECT_EQ(minbert({"predict", "samples/name", "text"}).err.find("hint"), std::string::npos) << "there is a folder samples";
  fs::create_directory(path("models"));
  fs::copy(path("run/best"), path("models/name"), fs::copy_options::recursive);
  EXPECT_NE(minbert({"predict", "owner/name", "text"}).err.find("hint: models/name is there"), std::string::npos);
  for (const char* type : {"gpt2", "roberta"}) {
    write("other/config.json", fmt::format("{{\"model_type\": \"{}\"}}", type));
    const Finished finished = minbert({"inspect", "other"});
    expect_failure(finished, 4, fmt::format("expected \"bert\", got \"{}\"", type));
    EXPECT_NE(finished.err.find("BERT, multilingual BERT, MiniLM, BGE, E5 v2, GTE"), std::string::npos) << finished.err;
  }
}

TEST_F(MistakesTest, OfDataEndWith3) {
  expect_each({
      {{"predict", "run", "--task", "sentiment", "-i", "absent.csv", "-o", "out.jsonl"}, 3, "absent.csv"},
      {{"predict", "run", "--task", "sentiment", "-i", "no-column.csv", "-o", "out.jsonl"}, 3, "\"sentence\""},
      {{"predict", "run", "--task", "sentiment", "-i", "torn.csv", "-o", "out.csv"}, 3, "torn.csv:3"},
      {{"predict", "run", "--task", "paraphrase", "-o", "out.tsv"}, 3, "standard input:2", "a\tb\none alone\n"},
      {{"predict", "run", "--task", "sentiment", "-o", "out.jsonl"}, 3, "standard input"},
      {{"embed", "run", "-i", "absent.txt", "-o", "out.npy"}, 3, "absent.txt"},
      {{"pretrain", "--init", "run", "--text-file", "absent.txt", "-o", "new"}, 3, "absent.txt"},
      {{"pretrain", "--init", "run", "--text-file", "empty.csv", "-o", "new"}, 3, "empty.csv"},
      {{"tokenize", "run", "--pairs"}, 3, "standard input:1", "no tab\n"},
      {{"eval", "run", "--task", "sentiment", "--data", "bad-label.csv"}, 3, "bad-label.csv:3"},
      {{"data", "check", "torn.csv"}, 3, "torn.csv:3"},
      {{"data", "check", "tiny.toml", "--set", "task.sentiment.data.dev=../bad-label.csv"}, 3, "bad-label.csv:3"},
      {{"data", "stats", "empty.csv"}, 3, "empty.csv"},
      {{"train", "--init", "scratch", "--train", "no-column.csv", "--text", "sentence"}, 3, "\"sentence\""},
      {{"train", "tiny.toml", "-o", "new", "--set", "task.sentiment.data.train=../bad-label.csv"}, 3, "bad-label.csv:3"},
      {{"train", "tiny.toml", "-o", "run", "--overwrite", "--set", "data.root=absent"}, 3, "absent"},
  });
}

TEST_F(MistakesTest, OfModelsEndWith4) {
  expect_each({
      {{"inspect", "absent"}, 4, "absent"},
      {{"inspect", "samples"}, 4, "samples"},
      {{"inspect", "hollow"}, 4, "hollow"},
      {{"inspect", "spoilt"}, 4, "model.safetensors"},
      {{"tokenize", "hollow"}, 4, "hollow", "text"},
      {{"embed", "spoilt", "-o", "out.npy"}, 4, "model.safetensors", "text"},
      {{"predict", "spoilt", "--task", "sentiment", "-o", "out.jsonl"}, 4, "model.safetensors", "text"},
      {{"export", "spoilt", "-o", "exported", "--as", "hf"}, 4, "model.safetensors"},
      {{"inspect", std::string(5000, 'x')}, 4, "xxx"},
      {{"train", "tiny.toml", "-o", "new", "--set", "model.init=spoilt"}, 4, "model.safetensors"},
      {{"train", "tiny.toml", "-o", "run", "--overwrite", "--set", "model.init=spoilt"}, 4, "model.safetensors"},
  });
}

TEST_F(MistakesTest, OfResourcesEndWith5) {
  expect_each({
      {{"predict", "run", "--task", "sentiment", "-o", "/proc/out.jsonl"}, 5, "/proc/out.jsonl", "text"},
      {{"embed", "run", "-o", "/proc/out.npy"}, 5, "/proc/out.npy", "text"},
      {{"train", "tiny.toml", "-o", "/proc/run"}, 5, "/proc/run"},
  });
  RunOptions full = options("text");
  full.output = "/dev/full";
  for (const std::vector<std::string>& arguments : std::vector<std::vector<std::string>>{{"tokenize", "run"},
                                                                                         {"predict", "run", "--task", "sentiment"},
                                                                                         {"inspect", "run"},
                                                                                         {"eval", "run"},
                                                                                         {"config", "show", "tiny.toml"}})
    expect_failure(run(arguments, full), 5, "standard output");
  write("lines.txt", "one\ntwo\nthree\n");
  {
    const FileSizeLimit limit(100);
    expect_each({
        {{"embed", "run", "-i", "lines.txt", "-o", "out.npy"}, 5, "out.npy: cannot write"},
        {{"predict", "run", "--task", "sentiment", "-i", "lines.txt", "-o", "out.jsonl"}, 5, "out.jsonl: cannot write"},
        {{"export", "run", "-o", "exported", "--as", "hf"}, 5, "cannot write"},
        {{"init", "-o", "new.toml"}, 5, "new.toml: cannot write"},
    });
  }
  {
    const FileSizeLimit limit(10000);
    expect_failure(minbert({"train", "tiny.toml", "-o", "full", "-q"}), 5, "cannot write");
  }
  EXPECT_NE(text("full/status.json").find("\"failed\""), std::string::npos);
  expect_success(minbert({"train", "tiny.toml", "-o", "full", "--resume"}));
}

TEST_F(MistakesTest, OfLearningRatesEndWith6) {
  expect_failure(minbert({"train", "tiny.toml", "-o", "wild", "--set", "stage.0.lr=1e30"}), 6, "stage 0, step ");
  EXPECT_FALSE(fs::exists(path("wild/best")));
  EXPECT_NE(text("wild/status.json").find("\"failed\""), std::string::npos);
}

TEST_F(MistakesTest, GatesEndWith7) {
  const std::vector<std::string> eval = {"eval", "run", "--fail-under", "similarity=-1", "--fail-under"};
  const auto with = [&](std::string gate) {
    auto arguments = eval;
    arguments.push_back(std::move(gate));
    return minbert(arguments);
  };
  expect_success(with("mean=-1"));
  const Finished below = with("paraphrase=1.01");
  expect_failure(below, 7, "paraphrase: expected at least 1.01, got 0.");
  EXPECT_NE(below.out.find("paraphrase"), std::string::npos) << "the table comes all the same";
}

TEST_F(MistakesTest, NamesOfGatesAreCheckedBeforeTheWork) {
  EXPECT_EQ(minbert({"eval", "run", "--fail-under", "sentimnet=0"}).out, "") << "no table";
}

TEST_F(MistakesTest, AFailedStartIsForgottenOnceItIsPutRight) {
  const auto train_with = [&](const std::string& column) {
    return minbert({"train", "tiny.toml", "-o", "again", "--set", "task.sentiment.data.text=" + column});
  };
  expect_failure(train_with("sentnce"), 3, "sentnce");
  expect_success(train_with("sentence"));
}

}  // namespace
}  // namespace minbert
