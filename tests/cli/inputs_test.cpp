// Inputs and outputs at their edges: pipes, signals, names that drive a terminal, and what is refused before the work.
#include <signal.h>

#include <cstring>
#include <regex>

#include "minbert/base/json.h"
#include "minbert/base/safetensors.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class InputsTest : public ProjectTest {
 protected:
  /// Runs a line of bash in the project's folder; $M is the program, on one thread.
  Finished shell(const std::string& line) const {
    write("line.sh", fmt::format("M={}; export MINBERT_THREADS=1\n{}\n", MINBERT_PROGRAM, line));
    const int status = std::system(fmt::format("cd {} && bash line.sh >shell.out 2>shell.err", path(".").string()).c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text("shell.out"), text("shell.err")};
  }
  void make_one_task() const {
    std::string csv = "text,label\n";
    for (int i = 0; i < 24; ++i)
      csv += fmt::format("\"a {} film, number {}\",{}\n", i % 2 == 0 ? "fine" : "dull", i, i % 2 == 0 ? "yes" : "no");
    write("rows.csv", csv);
    expect_success(minbert({"train", "tiny.toml", "-o", "base", "--set", "stage.0.max_steps=1"}));
    expect_success(minbert(one_liner("rows.csv", "run")));
  }
  static std::vector<std::string> one_liner(const std::string& file, const std::string& folder) {
    return {"train", "--init", "base", "--train", file, "--dev", "0.25", "-o", folder, "--epochs", "1", "--set", "stage.heads.epochs=1"};
  }
  Json json(std::string_view name) const { return parse_json(text(name), name, ErrorTag::kInternal); }
};

TEST_F(InputsTest, PipesAreReadLikeFiles) {
  make_one_task();
  const auto same = [&](const std::string& piped, const std::string& plain) {
    const Finished expected = shell(plain), got = shell(piped);
    expect_success(expected);
    expect_success(got);
    EXPECT_EQ(got.out, expected.out) << piped;
  };
  const std::string columns = " --text text --label label";
  same("$M predict run -i <(cat rows.csv) --in-format csv", "$M predict run -i rows.csv");
  same("cat rows.csv | $M predict run --in-format csv", "$M predict run -i rows.csv");
  same("mkfifo p; cat rows.csv >p & $M predict run -i p --in-format csv", "$M predict run -i rows.csv");
  same("$M embed run -i <(cat rows.csv) -o -", "$M embed run -i rows.csv --in-format lines -o -");
  same("$M tokenize run -i <(cat rows.csv)", "$M tokenize run -i rows.csv");
  same("$M eval run --data <(cat rows.csv) --json", "$M eval run --data rows.csv --json");
  same("cat rows.csv | $M eval run --data - --json", "$M eval run --data rows.csv --json");
  const auto counts = [&](const std::string& command) {  // the task has the file's name, which a pipe lacks
    const Finished finished = shell(command);
    expect_success(finished);
    const Json tasks = parse_json(finished.out, "out", ErrorTag::kInternal);
    return tasks.front()["train"]["label_counts"];
  };
  EXPECT_EQ(counts("$M data check <(cat rows.csv) --json" + columns), counts("$M data check rows.csv --json" + columns));
  EXPECT_EQ(counts("$M data check - --json <rows.csv" + columns), (Json{{"no", 12}, {"yes", 12}}));
  expect_success(shell("cat rows.csv | $M data stats -" + columns));
  expect_success(shell("$M config check <(cat tiny.toml)"));
}

TEST_F(InputsTest, RunsTrainFromPipesAndGoOn) {
  make_one_task();
  const std::string flags = " --init base --dev 0.25 --epochs 1 --set stage.heads.epochs=1 --text text --label label";
  for (const std::string& train :
       {"$M train --train <(cat rows.csv) -o piped" + flags, "cat rows.csv | $M train --train - -o input" + flags}) {
    expect_success(shell(train));
    const Finished again = shell(train + " --resume");
    expect_success(again);
    EXPECT_NE(again.err.find("finished already"), std::string::npos) << again.err;
  }
  const Finished gone = shell("$M train piped/config.toml -o piped --overwrite");
  expect_failure(gone, 3, "/dev/fd/");
  EXPECT_NE(gone.err.find("a pipe of another command is gone with it"), std::string::npos) << gone.err;
  expect_success(
      shell("$M pretrain --init scratch --text-file <(cat rows.csv) -o texts --set model.config.hidden_size=16 --set "
            "model.config.num_hidden_layers=1 --set stage.0.max_steps=1 --set stage.0.mlm.held_out=0.2"));
  expect_success(shell("cat rows.csv | $M train tiny.toml -o words --set 'model.vocabulary.corpus=[\"-\"]' --set stage.0.max_steps=1"));
  expect_success(
      shell("$M train tiny.toml -o other --seeds 1,2 --set stage.0.max_steps=1 --set task.sentiment.data.train=<(cat "
            "samples/sentiment-train.csv)"));
}

TEST_F(InputsTest, ADrawnSplitIsScoredWhileItsFilesAreTheRunsOwn) {
  make_one_task();
  expect_success(minbert({"eval", "run"}));
  write("rows.csv", text("rows.csv") + "one more row,yes\n");
  expect_failure(minbert({"eval", "run"}), 3, "dev is drawn from train, whose files or draw have changed since");
  expect_success(minbert({"eval", "run", "--data", "rows.csv"}));
}

TEST_F(InputsTest, WindowsFilesAreReadWithEncoding) {
  make_one_task();
  const std::string header = "text,label\n";
  std::string windows = header, utf8 = header;
  for (int i = 0; i < 24; ++i) {
    windows += fmt::format("it\x92s a \x93{}\x94 film,{}\n", i % 2 == 0 ? "fine" : "dull", i % 2 == 0 ? "yes" : "no");
    utf8 += fmt::format("it\u2019s a \u201C{}\u201D film,{}\n", i % 2 == 0 ? "fine" : "dull", i % 2 == 0 ? "yes" : "no");
  }
  write("windows.csv", windows);
  write("utf8.csv", utf8);
  const auto same = [&](const std::string& words) {
    const Finished expected = shell(fmt::format("$M {} utf8.csv", words));
    const Finished got = shell(fmt::format("$M {} windows.csv --encoding cp1252", words));
    expect_success(expected);
    expect_success(got);
    EXPECT_EQ(got.out, expected.out) << words;
  };
  same("predict run --keep-columns -i");
  same("predict run --in-format lines -i");
  same("embed run -o - -i");
  same("eval run --json --data");
  auto words = one_liner("windows.csv", "windows");
  words.insert(words.end(), {"--encoding", "cp1252"});
  expect_success(minbert(words));
  EXPECT_NE(text("windows/config.toml").find("encoding = \"cp1252\""), std::string::npos);
  expect_failure(minbert({"predict", "run", "-i", "windows.csv", "--encoding", "ascii"}), 2, "--encoding");
  write("private.csv", "");
  fs::permissions(path("private.csv"), fs::perms::owner_read | fs::perms::owner_write);
  expect_success(minbert({"predict", "run", "-i", "rows.csv", "-o", "private.csv"}));
  EXPECT_EQ(fs::status(path("private.csv")).permissions(), fs::perms::owner_read | fs::perms::owner_write);
}

TEST_F(InputsTest, HintsAreOfTheVerbInUse) {
  make_one_task();
  write("latin.csv", "text,label\nun caf\xe9,yes\nfine,no\n");
  for (const char* name : {"torn.csv", "samples/torn.csv"}) write(name, "text,label\nfine,yes\nso so\ndull,no\n");
  write("lines.jsonl", "a fine film\n");
  const auto hint = [&](const std::vector<std::string>& arguments) {
    const Finished finished = minbert(arguments);
    EXPECT_EQ(finished.code, 3) << finished.err;
    const std::size_t at = finished.err.rfind("hint: ");
    return at == std::string::npos ? "" : finished.err.substr(at + 6, finished.err.find('\n', at) - at - 6);
  };
  EXPECT_EQ(hint({"predict", "run", "-i", "latin.csv"}),
            "--encoding latin-1, or cp1252 of Windows, reads it as it is; iconv -f cp1252 -t utf-8 rewrites it");
  EXPECT_EQ(hint({"predict", "run", "-i", "torn.csv"}), "--on-bad-row skip leaves such rows out");
  EXPECT_EQ(hint({"predict", "run", "-i", "lines.jsonl"}), "--in-format lines reads plain texts");
  write("named.csv", "words,stars\nfine,yes\n");
  EXPECT_EQ(hint({"predict", "run", "-i", "named.csv"}), "--text NAME takes another column");
  EXPECT_EQ(hint({"eval", "run", "--data", "named.csv"}), "--text, --text-pair, --label and --id name other columns");
  EXPECT_EQ(hint({"eval", "run", "--data", "torn.csv"}), "minbert data check lists all such rows");
  EXPECT_EQ(hint({"data", "check", "torn.csv"}), "minbert train --set task.torn.data.on_bad_row=skip leaves such rows out");
  EXPECT_EQ(hint(one_liner("torn.csv", "new")), "--set task.torn.data.on_bad_row=skip leaves such rows out");
  EXPECT_EQ(hint({"train", "tiny.toml", "-o", "new", "--set", "task.sentiment.data.train=torn.csv", "--set",
                  "task.sentiment.data.text=text", "--set", "task.sentiment.data.id="}),
            "on_bad_row = \"skip\" in [task.data] leaves such rows out");
  auto skipping = one_liner("torn.csv", "skipped");
  skipping.insert(skipping.end(), {"--set", "task.torn.data.on_bad_row=skip", "--set", "task.torn.data.dev=rows.csv"});
  expect_success(minbert(skipping));
  expect_failure(minbert({"data", "check", "rows.csv", "--set", "task.rows.data.limit=3"}), 2, "--set");
}

TEST_F(InputsTest, SignalsLeaveNothingBeside) {
  make_one_task();
  std::string lines;
  for (int i = 0; i < 60'000; ++i) lines += "a fine film with a long line of words in it\n";
  write("lines.txt", lines);
  for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGQUIT, SIGALRM}) {
    fs::create_directory(path("out"));
    Program program({"predict", "run", "-i", "lines.txt", "-o", "out/x.jsonl"}, options());
    EXPECT_TRUE(program.wait_until([&] { return !fs::is_empty(path("out")); }));
    program.send(signal);
    const Finished finished = program.wait();
    EXPECT_TRUE(finished.code == -signal || finished.code == 128 + signal) << finished.code << "\n" << finished.err;
    EXPECT_TRUE(fs::is_empty(path("out"))) << "signal " << signal;
    fs::remove_all(path("out"));
  }
}

TEST_F(InputsTest, AStoppedComparisonLeavesNothingBeside) {
  train();
  std::string rows = "sentence,label\n";
  for (int i = 0; i < 60'000; ++i) rows += i % 2 ? "a fine film with a long line of words in it,good\n" : "a dull film,bad\n";
  write("many.csv", rows);
  for (const int signal : {SIGINT, SIGQUIT}) {
    fs::create_directory(path("temporary"));
    RunOptions there = options();
    there.environment.push_back("TMPDIR=" + path("temporary").string());
    Program program({"compare", "run", "run", "--data", "many.csv"}, there);
    EXPECT_TRUE(program.wait_until([&] { return !fs::is_empty(path("temporary")); })) << program.errors();
    program.send(signal);
    const Finished finished = program.wait();
    EXPECT_TRUE(finished.code == -signal || finished.code == 128 + signal) << finished.code << "\n" << finished.err;
    EXPECT_TRUE(fs::is_empty(path("temporary"))) << "signal " << signal;
    fs::remove_all(path("temporary"));
  }
}

TEST_F(InputsTest, AClosedTerminalStopsATrainingAfterACheckpoint) {
  Program program({"train", "tiny.toml", "-o", "run", "--set", "stage.0.epochs=1000000"}, options());
  EXPECT_TRUE(program.wait_until([&] { return fs::exists(path("run/metrics.csv")) && fs::file_size(path("run/metrics.csv")) > 500; }));
  program.send(SIGHUP);
  EXPECT_EQ(program.wait().code, 75);
  EXPECT_TRUE(fs::exists(path("run/checkpoints/last/DONE")));
}

/// Whether text holds a character that could drive a terminal.
bool drives_a_terminal(const std::string& text) {
  return std::regex_search(text, std::regex("[\x01-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]"));
}

TEST_F(InputsTest, NamesOutOfFilesDriveNoTerminal) {
  const std::string evil =
      "a\x1b]0;x\x07\x7f\xc2\x9b\xe2\x80\xae"
      "b";
  write("evil.csv", fmt::format("key,text,label\n{0}1,fine,{0}\n{0}2,dull,no\n{0}3,so so,{0}\n{0}4,odd,no\n", evil));
  expect_success(minbert({"train", "tiny.toml", "-o", "base", "--set", "stage.0.max_steps=1"}));
  const Finished trained = minbert({"train", "--init", "base", "--train", "evil.csv", "--dev", "0.5", "--id", "key", "-o", "run"});
  expect_success(trained);
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"data", "check", "evil.csv"},
                                             {"data", "stats", "evil.csv"},
                                             {"inspect", "run", "-v"},
                                             {"inspect", "run", "--json"},
                                             {"eval", "run", "--json"},
                                             {"eval", "run"},
                                             {"config", "show", "run/config.toml"},
                                             {"predict", "run", "-i", "evil.csv"},
                                             {"train", "run/config.toml", "-o", "run", "--resume"},
                                             {"predict", "run", "-i", "evil.csv", "--text", evil}}) {
    const Finished finished = minbert(arguments);
    EXPECT_FALSE(drives_a_terminal(finished.out)) << arguments[0] << "\n" << finished.out;
    EXPECT_FALSE(drives_a_terminal(finished.err)) << arguments[0] << "\n" << finished.err;
  }
  EXPECT_FALSE(drives_a_terminal(trained.out + trained.err + text("run/log.txt")));
  const auto first = lines_of(minbert({"predict", "run", "-i", "evil.csv"}).out).at(0);
  EXPECT_EQ(parse_json(first, "line", ErrorTag::kInternal)["id"], evil + "1") << "ids are as in the file";
  EXPECT_NE(minbert({"predict", "run", "-i", "evil.csv", "--format", "csv"}).out.find(evil + "1,"), std::string::npos);
}

TEST_F(InputsTest, MessagesGoIntoNoFileWhereStderrIsClosed) {
  make_one_task();
  write("bad.csv", "text,label\na fine film,yes\na,b,c,d\n");
  expect_success(shell("$M predict run -i bad.csv --on-bad-row skip -o answers.jsonl 2>&-"));
  EXPECT_TRUE(text("answers.jsonl").starts_with("{\"id\":\"0\"")) << text("answers.jsonl");
  EXPECT_NE(shell("$M predict run -i bad.csv --on-bad-row skip >&-").code, 0) << "answers that nobody can get";
}

TEST_F(InputsTest, WhatCannotSucceedIsRefusedBeforeTheWork) {
  make_one_task();
  expect_failure(minbert({"embed", "run", "-i", "rows.csv", "-o", "absent/x.safetensors"}), 5, "absent/x.safetensors");
  expect_failure(minbert({"report", "run", "-o", "absent/x.html"}), 5, "absent/x.html");
  expect_failure(minbert({"export", "run", "-o", "run", "--as", "hf"}), 2, "expected a new or an empty folder");
  expect_failure(minbert({"export", "run", "-o", "new", "--as", "seqcls:rows"}), 2, "seqcls:rows");
  EXPECT_FALSE(fs::exists(path("new")));
  for (const auto& entry : fs::directory_iterator(path(".")))
    EXPECT_FALSE(entry.path().filename().string().ends_with(".tmp")) << entry.path();

  expect_failure(minbert({"train", "tiny.toml", "-o", "twice", "--seeds", "4,3,4"}), 2, "--seeds: expected seeds that differ, got 4, 3, 4");
  EXPECT_FALSE(fs::exists(path("twice")));
  expect_success(minbert({"train", "tiny.toml", "-o", "some/seed-2", "--set", "stage.0.max_steps=1"}));
  expect_failure(minbert({"train", "tiny.toml", "-o", "some", "--seeds", "1,2"}), 2, "some/seed-2");
  EXPECT_FALSE(fs::exists(path("some/seed-1"))) << "nothing was trained";

  write("few.tsv", "a\tb\nonly one\n");
  const Finished pairs = minbert({"tokenize", "run", "-i", "few.tsv", "--pairs"});
  expect_failure(pairs, 3, "few.tsv:2");
  EXPECT_EQ(pairs.out, "");
  expect_failure(minbert({"train", "tiny.toml", "-o", "new", "--set", "task.sentiment.labels=[\"bad\", \"good\", \"bad\"]"}), 2,
                 "\"bad\" stands there twice");
  expect_failure(minbert({"train", "tiny.toml", "-o", "new", "--set", "stage.0.lr=inf"}), 2, "stage.0.lr");
  expect_failure(minbert({"train", "tiny.toml", "-o", "new", "--set", "task.similarity.data.label_range=[0, inf]"}), 2, "label_range");
  expect_failure(minbert({"train", "tiny.toml", "-o", "new", "--set", "task.sentiment.head.dense=[\"99999999999999H\"]"}), 2, "head.dense");
}

TEST_F(InputsTest, WeightsThatAreNotFiniteAreErrors) {
  make_one_task();
  std::string bytes = text("run/best/model.safetensors");
  std::uint64_t header = 0;
  std::memcpy(&header, bytes.data(), sizeof header);
  const std::uint32_t nan = 0x7fc00000;
  std::memcpy(bytes.data() + 8 + header, &nan, sizeof nan);
  fs::copy(path("run/best"), path("spoilt"), fs::copy_options::recursive);
  write("spoilt/model.safetensors", bytes);
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"embed", "spoilt", "-i", "rows.csv", "-o", "x.jsonl"},
                                             {"predict", "spoilt", "-i", "rows.csv", "-o", "x.jsonl"},
                                             {"eval", "spoilt", "--data", "rows.csv"},
                                             {"export", "spoilt", "-o", "x", "--as", "hf"},
                                             {"train", "tiny.toml", "-o", "x", "--set", "model.init=spoilt"}}) {
    expect_failure(minbert(arguments), 6, "model.safetensors");
    EXPECT_FALSE(fs::exists(path("x.jsonl")) || fs::exists(path("x")));
  }
  expect_success(minbert({"inspect", "spoilt"}));
}

}  // namespace
}  // namespace minbert
