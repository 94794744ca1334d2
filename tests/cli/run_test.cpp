// Runs from the first command to the last, and through signals.
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <regex>

#include "minbert/base/json.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class RunTest : public ProjectTest {
 protected:
  Json json(std::string_view name) const { return Json::parse(text(name)); }
  std::string state(std::string_view run) const { return json(fmt::format("{}/status.json", run))["state"]; }
  /// The number of steps in metrics.jsonl.
  std::vector<int> steps(std::string_view run) const {
    std::vector<int> numbers;
    for (const std::string& line : lines_of(text(fmt::format("{}/metrics.jsonl", run))))
      if (const Json event = Json::parse(line); event["event"] == "step") numbers.push_back(event["step"]);
    return numbers;
  }
  void expect_counted(std::string_view run, std::size_t at_least) const {
    const auto numbers = steps(run);
    EXPECT_GE(numbers.size(), at_least);
    for (std::size_t i = 0; i < numbers.size(); ++i) ASSERT_EQ(numbers[i], static_cast<int>(i) + 1);
  }
};

TEST_F(RunTest, FromTrainingToExport) {
  const Finished trained = minbert({"train", "tiny.toml", "-o", "run", "--json"});
  expect_success(trained);
  EXPECT_EQ(Json::parse(trained.out)["mean"], json("run/eval/dev/metrics.json")["mean"]);
  EXPECT_EQ(state("run"), "done");
  EXPECT_TRUE(fs::exists(path("run/eval/test/paraphrase.predictions.tsv")));
  EXPECT_NE(read_file(path("run/report.html")).find("paraphrase on dev"), std::string::npos);
  EXPECT_NE(text("run/config.input.toml").find("name = \"tiny\""), std::string::npos);

  const Finished predicted = minbert({"predict", "run", "--task", "sentiment"}, "a fine film\n");
  expect_success(predicted);
  expect_success(minbert({"export", "run", "-o", "encoder", "--as", "sentence-transformers"}));
  expect_success(minbert({"export", "run", "-o", "classifier", "--as", "seqcls:paraphrase", "--dtype", "bf16"}));
  EXPECT_EQ(json("classifier/config.json")["architectures"][0], "BertForSequenceClassification");
  EXPECT_EQ(json("classifier/tokenizer_config.json")["model_max_length"], json("run/best/minbert.json")["max_length"]);
  expect_success(
      minbert({"train", "tiny.toml", "-o", "scaled", "--set", "task.similarity.encode=joint", "--set", "task.similarity.pool=pooler",
               "--set", "task.similarity.head.dense=[]", "--set", "task.similarity.loss=bce", "--set", "stage.0.epochs=0"}));
  expect_failure(minbert({"export", "scaled", "-o", "none", "--as", "seqcls:similarity"}), 2, "no sigmoid on the range of numbers");
  for (const char* model : {"run", "encoder", "classifier"}) {
    const Finished tokens = minbert({"tokenize", model}, "a fine film");
    EXPECT_EQ(tokens.out, minbert({"tokenize", "run/best"}, "a fine film").out) << model;
  }
  const Finished vectors = minbert({"embed", "run", "-o", "-"}, "a fine film");
  EXPECT_EQ(minbert({"embed", "encoder", "-o", "-"}, "a fine film").out, vectors.out);

  const Finished resumed = minbert({"train", "tiny.toml", "-o", "run", "--resume"});
  expect_success(resumed);
  EXPECT_NE(resumed.err.find("finished already"), std::string::npos) << resumed.err;
  expect_success(minbert({"train", "tiny.toml", "-o", "run", "--overwrite", "--set", "model.init=encoder", "--set", "stage.0.epochs=0"}));
  EXPECT_EQ(minbert({"embed", "run", "-o", "-"}, "a fine film").out, vectors.out) << "no step, no change";
}

TEST_F(RunTest, PretrainingIsGoneOnFrom) {
  std::string lines;
  for (const char* thing : {"film", "plot", "song", "cast", "scene", "ending", "score", "story"})
    for (const char* how : {"fine", "dull", "short", "odd"}) lines += fmt::format("the {} of this {} is {}\n", how, thing, thing);
  write("lines.txt", lines);
  const std::vector<std::string> small = {"--set", "model.config.hidden_size=16", "--set", "model.config.num_hidden_layers=1",
                                          "--set", "stage.0.mlm.held_out=0.2",    "--set", "stage.0.lr=1e-2"};
  std::vector<std::string> command = {"pretrain", "--init", "scratch", "--text-file", "lines.txt", "-o", "texts"};
  command.insert(command.end(), small.begin(), small.end());
  const Finished pretrained = minbert(command);
  expect_success(pretrained);
  EXPECT_EQ(state("texts"), "done");
  EXPECT_NE(pretrained.out.find("lines.txt"), std::string::npos) << pretrained.out;
  EXPECT_NE(text("texts/config.input.toml").find("kind = \"mlm\""), std::string::npos);
  EXPECT_TRUE(fs::exists(path("texts/best/mlm.safetensors")));
  const Json again = Json::parse(minbert({"pretrain", "texts/config.toml", "-o", "texts", "--resume", "--json"}).out);
  EXPECT_LT(again["texts"][0]["loss_after"].get<double>(), again["texts"][0]["loss_before"].get<double>());

  EXPECT_EQ(Json::parse(minbert({"inspect", "texts", "--json"}).out)["mlm_head"], "tied to the word embeddings");
  const Finished tuned = minbert({"train", "tiny.toml", "-o", "run", "--set", "model.init=texts", "--set", "stage.0.epochs=0"});
  expect_success(tuned);
  EXPECT_NE(tuned.err.find(path("texts").string()), std::string::npos) << tuned.err;
  EXPECT_EQ(minbert({"embed", "run", "-o", "-", "--pool", "mean"}, "the film").out,
            minbert({"embed", "texts", "-o", "-", "--pool", "mean"}, "the film").out);
}

TEST_F(RunTest, OneLinerInfersTheTask) {
  const auto one_liner = [&](const std::string& task, std::vector<std::string> columns) {
    std::vector<std::string> arguments = {
        "train", "--init", "model/best",          "--train", "samples/" + task + "-train.csv", "-o", task, "--epochs",
        "1",     "--set",  "stage.heads.epochs=1"};
    arguments.insert(arguments.end(), columns.begin(), columns.end());
    return minbert(arguments);
  };
  expect_success(minbert({"train", "tiny.toml", "-o", "model"}));
  expect_success(one_liner("sentiment", {"--text", "sentence", "--label", "label", "--dev", "samples/sentiment-dev.csv"}));
  expect_success(one_liner("similarity", {"--text", "sentence1", "--text-pair", "sentence2", "--label", "label", "--dev", "0.25"}));
  const auto task = [&](std::string_view run) { return json(fmt::format("{}/best/minbert.json", run))["tasks"][0]; };
  EXPECT_EQ(task("sentiment")["type"], "classify");
  EXPECT_EQ(task("sentiment")["labels"], 5);
  EXPECT_EQ(task("similarity")["type"], "pair_regress");
  EXPECT_EQ(task("similarity")["encode"], "joint");
  expect_success(minbert({"config", "check", "similarity/config.input.toml"}));
  expect_success(minbert({"predict", "similarity", "-i", "samples/similarity-dev.csv"}));

  // A folder of sentence-transformers has vectors that were trained to be compared.
  fs::remove(path("model/best/minbert.json"));
  const std::vector<std::string> pairs = {"--text", "sentence1", "--text-pair", "sentence2", "--label", "label", "--dev", "0.25"};
  expect_success(one_liner("paraphrase", pairs));
  EXPECT_EQ(task("paraphrase")["encode"], "separate");
  EXPECT_EQ(task("paraphrase")["head"]["features"], "comparison");
  const auto finetuning_epochs = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"train",        "--init", "model/best",  "--train", "samples/paraphrase-train.csv",
                                          "-o",           "pairs",  "--overwrite", "--set",   "stage.heads.epochs=1",
                                          "--max-length", "16"};
    arguments.insert(arguments.end(), pairs.begin(), pairs.end());
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_success(minbert(arguments));
    const std::string config = text("pairs/config.toml");
    return config.substr(config.rfind("epochs = "), 10);
  };
  EXPECT_EQ(finetuning_epochs({}), "epochs = 0");
  EXPECT_NE(finetuning_epochs({"--batch", "32"}), "epochs = 0");
  EXPECT_NE(finetuning_epochs({"--set", "task.0.encode=joint"}), "epochs = 0");
}

TEST_F(RunTest, SeedsAreRunsBesideASummary) {
  expect_success(minbert({"train", "tiny.toml", "-o", "seeds", "--seeds", "1,2"}));
  const Json summary = json("seeds/summary.json");
  EXPECT_EQ(summary["seeds"], Json({1, 2}));
  const double first = json("seeds/seed-1/eval/dev/metrics.json")["mean"], second = json("seeds/seed-2/eval/dev/metrics.json")["mean"];
  EXPECT_NEAR(summary["mean"]["mean"].get<double>(), (first + second) / 2, 1e-12);
  EXPECT_EQ(summary["wall_seconds"]["values"][1], json("seeds/seed-2/status.json")["wall_seconds"]);
  EXPECT_GT(summary["steps_seconds"]["mean"], summary["seconds"]["mean"]);
  const Json over_seeds = Json::parse(minbert({"compare", "seeds", "seeds", "--json"}).out)["comparisons"][0];
  EXPECT_EQ(over_seeds["seeds"].size(), 2u);
  EXPECT_EQ(over_seeds["tasks"][0]["p_value"], 1.0);
  const Finished eval = minbert({"eval", "seeds"});
  expect_failure(eval, 4, "seed-1");
  expect_success(minbert({"eval", "seeds/seed-2"}));
  write("samples/sentiment-dev.csv", text("samples/sentiment-dev.csv") + "more,A dull film.,1\n");
  expect_failure(minbert({"train", "tiny.toml", "-o", "seeds", "--seeds", "1,2,3", "--resume"}), 2, "sentiment-dev.csv has changed");
}

TEST_F(RunTest, CleanSaysWhatItFrees) {
  expect_success(minbert({"train", "tiny.toml", "-o", "run", "--set", "run.keep=all"}));
  const Finished plan = minbert({"clean", "run", "--dry-run", "--json"});
  expect_success(plan);
  const Json planned = Json::parse(plan.out);
  EXPECT_EQ(planned["runs"][0]["free"][0]["folder"], "run/checkpoints/last");
  EXPECT_GT(planned["bytes"], 0);
  EXPECT_TRUE(fs::exists(path("run/checkpoints/last/DONE")));
  const Finished cleaned = minbert({"clean", "run/"});
  expect_success(cleaned);
  EXPECT_NE(cleaned.out.find("run/checkpoints/last"), std::string::npos) << cleaned.out;
  EXPECT_FALSE(fs::exists(path("run/checkpoints/last")));
  EXPECT_EQ(Json::parse(minbert({"clean", "run", "--json"}).out)["bytes"], 0);
  const Finished again = minbert({"train", "tiny.toml", "-o", "run", "--resume"});
  expect_success(again);
  EXPECT_NE(again.err.find("finished already"), std::string::npos) << again.err;
  expect_failure(minbert({"train", "tiny.toml", "-o", "run", "--resume", "--set", "stage.0.epochs=2"}), 2,
                 "stage.0.epochs was 1, is now 2");
  expect_success(minbert({"predict", "run", "--task", "sentiment", "-i", "samples/sentiment-dev.csv", "--text", "sentence"}));
  expect_failure(minbert({"clean", "samples"}), 2, "expected the folder of a run");
  const FileLock lock(path("run/.lock"));
  expect_failure(minbert({"clean", "run"}), 5, "another process");
}

TEST_F(RunTest, GoesOnWhenNobodyCanReadWhatItSays) {
  RunOptions mute = options();
  mute.errors = "/dev/full";
  expect_success(run({"train", "tiny.toml", "-o", "run", "--profile"}, mute));
  EXPECT_EQ(state("run"), "done");
}

TEST_F(RunTest, WithoutDevThereIsNoMean) {
  write("alone.toml", std::regex_replace(text("tiny.toml"), std::regex("dev = .*\n"), ""));
  const Finished trained = minbert({"train", "alone.toml", "-o", "run", "--json", "--set", "stage.0.max_steps=1"});
  expect_success(trained);
  EXPECT_TRUE(Json::parse(trained.out).at("scores").empty());
  EXPECT_TRUE(Json::parse(trained.out).at("mean").is_null());
}

TEST_F(RunTest, DryRunAndOverfitWriteNothing) {
  const Finished plan = minbert({"train", "tiny.toml", "--dry-run", "--json"});
  expect_success(plan);
  EXPECT_EQ(Json::parse(plan.out)["stages"][0]["planned_steps"], 12);
  const std::string text = minbert({"train", "tiny.toml", "--dry-run"}).out;
  EXPECT_TRUE(std::regex_search(text, std::regex("sentiment +train +16 +0 +[0-9]+ +[0-9]+\n"))) << text;
  EXPECT_TRUE(std::regex_search(text, std::regex("0 +finetune +1 +12 +[0-9]+s +[0-9]+s\n"))) << text;
  EXPECT_TRUE(std::regex_search(text, std::regex("about [0-9]+s on one thread, .*peak memory about [0-9.]+ MB"))) << text;
  expect_success(minbert({"train", "tiny.toml", "--overfit-batch", "--set", "stage.0.epochs=1"}));
  for (const char* other : {"--seeds=1,2", "--folds=2", "--profile", "--json", "--output=elsewhere", "--resume", "--overwrite"})
    expect_failure(minbert({"train", "tiny.toml", "--overfit-batch", other}), 2, "--overfit-batch");
  EXPECT_FALSE(fs::exists(path("runs")));
}

/// Trains tiny.toml with too many epochs to end by itself.
const std::vector<std::string> kEndless = {
    "train", "tiny.toml",          "-o", "run", "--resume", "--set", "stage.0.epochs=1000000", "--set", "stage.0.checkpoint_every=1",
    "--set", "stage.0.log_every=1"};

TEST_F(RunTest, StoppedByASignalItGoesOn) {
  std::size_t done = 0;
  for (const int signal : {SIGTERM, SIGUSR1, SIGINT}) {
    Program program(kEndless, options());
    ASSERT_TRUE(program.wait_until([&] { return program.errors().find("tokens/s") != std::string::npos; })) << program.errors();
    program.send(signal);
    const Finished finished = program.wait();
    EXPECT_EQ(finished.code, 75) << finished.err;
    EXPECT_NE(finished.err.find("--resume goes on"), std::string::npos);
    EXPECT_EQ(state("run"), "stopped");
    expect_counted("run", done + 1);
    done = steps("run").size();
  }
}

TEST_F(RunTest, KilledItGoesOnFromItsCheckpoint) {
  {
    Program program(kEndless, options());
    ASSERT_TRUE(program.wait_until([&] { return fs::exists(path("run/checkpoints/last/DONE")); })) << program.errors();
    program.send(SIGKILL);
    EXPECT_EQ(program.wait().code, -SIGKILL);
  }
  const Finished refused = minbert({"train", "tiny.toml", "-o", "run"});
  expect_failure(refused, 2, "holds a run already");
  Program program(kEndless, options());
  ASSERT_TRUE(program.wait_until([&] { return program.errors().find("tokens/s") != std::string::npos; })) << program.errors();
  expect_failure(minbert(kEndless), 5, "run");  // the lock
  program.send(SIGTERM);
  EXPECT_EQ(program.wait().code, 75);
  expect_counted("run", 2);
}

TEST_F(RunTest, SecondCtrlCEndsAtOnce) {
  ASSERT_EQ(::mkfifo(path("full").c_str(), 0600), 0);
  const int reader = ::open(path("full").c_str(), O_RDONLY | O_NONBLOCK);
  ASSERT_GE(reader, 0);
  ::fcntl(reader, F_SETPIPE_SZ, 4096);  // less than the first chunk of answers, between which the program looks for signals
  write("words/vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n");
  RunOptions blocked = options(std::string(1 << 20, '\n'));
  blocked.output = path("full").string();
  Program program({"tokenize", "words"}, blocked);
  int waiting = 0, before = -1;
  ASSERT_TRUE(program.wait_until([&] {  // the pipe is full: writes block until somebody reads
    before = waiting;
    return ::ioctl(reader, FIONREAD, &waiting) == 0 && waiting > 0 && waiting == before;
  }));
  program.send(SIGINT);
  ASSERT_TRUE(program.wait_until([&] { return !program.has_pending_signals(); }));
  EXPECT_FALSE(program.ended()) << "the first one lets it tidy up";
  program.send(SIGINT);
  EXPECT_EQ(program.wait().code, 130);
  ::close(reader);
}

}  // namespace
}  // namespace minbert
