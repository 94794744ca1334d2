// The command line itself: help, mistakes in flags, broken outputs, completion scripts.
#include <regex>

#include "minbert/base/files.h"
#include "tests/cli/program.h"

namespace minbert {
namespace {

/// Names in the list of subcommands of a help text.
std::vector<std::string> subcommands(const std::string& help) {
  std::vector<std::string> names;
  const std::regex row("  ([a-z-]+) {2,}\\S.*");
  std::smatch match;
  bool inside = false;
  for (const std::string& line : lines_of(help)) {
    if (line == "Subcommands:") inside = true;
    if (inside && std::regex_match(line, match, row)) names.push_back(match[1]);
  }
  return names;
}

TEST(CommandLine, EveryVerbHasHelpOnStdout) {
  const Finished help = run({"--help"});
  expect_success(help);
  const auto verbs = subcommands(help.out);
  ASSERT_GE(verbs.size(), 2u);
  for (const std::string& verb : verbs) {
    const Finished of_verb = run({verb, "--help"});
    expect_success(of_verb);
    for (const char* part : {"Usage: minbert", "--quiet", "--verbose", "Examples:", "minbert"})
      EXPECT_NE(of_verb.out.find(part), std::string::npos) << verb << " --help lacks " << part;
    EXPECT_EQ(of_verb.err, "");
    for (const std::string& inner : subcommands(of_verb.out)) {
      const Finished of_inner = run({verb, inner, "--help"});
      expect_success(of_inner);
      EXPECT_NE(of_inner.out.find("Usage: minbert " + verb + " " + inner), std::string::npos) << of_inner.out;
    }
  }
}

TEST(CommandLine, MistakesNameWhatWasMeant) {
  const auto hint = [](const Finished& finished) { return lines_of(finished.err).at(1); };
  const Finished verb = run({"fetsh", "x"});
  expect_failure(verb, 2, "fetsh: unknown verb");
  EXPECT_EQ(hint(verb), "hint: did you mean \"fetch\"?");
  const Finished flag = run({"fetch", "x", "--endpont=http://127.0.0.1:1"});
  expect_failure(flag, 2, "--endpont");
  EXPECT_EQ(hint(flag), "hint: did you mean \"--endpoint\"?");
  expect_failure(run({}), 2, "expected a verb");
  expect_failure(run({"fetch"}), 2, "expected a repository");
  expect_failure(run({"fetch", "a", "b"}), 2, "b: unexpected argument");
  expect_failure(run({"completion", "ksh"}), 2, "ksh");
  expect_failure(run({"fetch", "x", "--endpoint"}), 2, "--endpoint: expected a value");
}

TEST(CommandLine, HelpIsAVerbToo) {
  EXPECT_EQ(run({"help"}).out, run({"--help"}).out);
  EXPECT_EQ(run({"help", "train"}).out, run({"train", "--help"}).out);
  EXPECT_EQ(run({"help", "config", "show"}).out, run({"config", "show", "--help"}).out);
  const Finished unknown = run({"help", "trian"});
  expect_failure(unknown, 2, "trian: unknown verb");
  EXPECT_NE(unknown.err.find("did you mean \"train\"?"), std::string::npos);
}

TEST(CommandLine, HelpOfAnUnknownVerbIsAMistake) {
  EXPECT_NE(run({"data", "check"}).err.find("hint: minbert data check --help"), std::string::npos) << run({"data", "check"}).err;
  const Finished verb = run({"fetsh", "--help"});
  expect_failure(verb, 2, "fetsh: unknown verb");
  EXPECT_NE(verb.err.find("did you mean \"fetch\"?"), std::string::npos);
  expect_failure(run({"config", "shwo", "--help"}), 2, "shwo: unknown verb");
}

TEST(CommandLine, EveryVerbHasTheVersion) {
  const std::string version = run({"version"}).out;
  for (const std::string& verb : subcommands(run({"--help"}).out)) EXPECT_EQ(run({verb, "--version"}).out, version) << verb;
}

TEST(CommandLine, KeysAreExplained) {
  const auto out = [](const std::vector<std::string>& arguments) {
    const Finished finished = run(arguments);
    expect_success(finished);
    return finished.out;
  };
  for (const char* key : {"stage.sampler", "stage[].sampler", "stage.0.sampler", "stage.finetune.sampler", "sampler"})
    EXPECT_NE(out({"config", "explain", key}).find("\n  sqrt          by the square root"), std::string::npos) << key;
  const std::string head = out({"config", "explain", "task.sst.head"});
  EXPECT_EQ(lines_of(head).size(), 6u) << head;
  EXPECT_NE(head.find("task.head.dropout"), std::string::npos);
  EXPECT_NE(out({"config", "explain", "stage.lr"})
                .find("stage.lr: learning rate of the encoder\n  type     number at least 0\n"
                      "  default  1e-05\n  example  lr = 3e-5\n  paper    1e-5"),
            std::string::npos);
  const Finished unknown = run({"config", "explain", "smapler"});
  expect_failure(unknown, 2, "smapler: expected a key");
  EXPECT_NE(unknown.err.find("did you mean \"sampler\"?"), std::string::npos) << unknown.err;
  EXPECT_EQ(read_file(std::filesystem::path(MINBERT_SOURCE_DIR) / "docs" / "config.md"), out({"config", "explain", "--markdown"}))
      << "keys have changed: minbert config explain --markdown > docs/config.md";
}

TEST(CommandLine, EnvironmentIsChecked) {
  expect_failure(run({"completion", "bash"}, {.environment = {"MINBERT_THREADS=many"}}), 2, "MINBERT_THREADS: expected a whole number");
  expect_failure(run({"version", "-v"}, {.environment = {"MINBERT_BACKEND=gpu"}}), 2, "MINBERT_BACKEND");
  expect_failure(run({"version", "-v"}, {.environment = {"MINBERT_ISA=sse9"}}), 2, "MINBERT_ISA: expected one of sse2, avx2");
}

TEST(CommandLine, FlagsBeatTheEnvironment) {
  const auto has = [](const std::vector<std::string>& arguments, std::string_view part) {
    const Finished finished = run(arguments, {.environment = {"MINBERT_THREADS=3"}});
    expect_success(finished);
    EXPECT_NE(finished.out.find(part), std::string::npos) << finished.out;
  };
  has({"version", "--json"}, "\"threads\": 3");
  has({"version", "--json", "--threads", "2"}, "\"threads\": 2");
}

TEST(CommandLine, FullDiskAtStdout) { expect_failure(run({"completion", "bash"}, {.output = "/dev/full"}), 5, "standard output"); }

TEST(CommandLine, ClosedPipeIsNoError) {
  const TempFolder folder;
  const std::string script = std::string("{ ") + MINBERT_PROGRAM + " completion fish; echo $? >code; } | true";
  // `true` may end before or after the first write; both must give 0.
  ASSERT_EQ(std::system(("cd " + folder.path().string() + " && " + script).c_str()), 0);
  EXPECT_EQ(read_file(folder / "code"), "0\n");
}

TEST(CommandLine, BashCompletes) {
  const TempFolder folder;
  const Finished script = run({"completion", "bash"});
  expect_success(script);
  write_file(folder / "try.bash", script.out +
                                      "COMP_WORDS=(minbert fe); COMP_CWORD=1; _minbert; echo \"${COMPREPLY[@]}\"\n"
                                      "COMP_WORDS=(minbert fetch --end); COMP_CWORD=2; _minbert; echo \"${COMPREPLY[@]}\"\n");
  ASSERT_EQ(std::system(("cd " + folder.path().string() + " && bash try.bash >tried").c_str()), 0);
  EXPECT_EQ(read_file(folder / "tried"), "fetch\n--endpoint\n");
}

/// What a shell prints when it runs `commands` after the completion script of `shell`; skips without such a shell.
std::string tried(const std::string& shell, const std::string& commands) {
  const TempFolder folder;
  write_file(folder / "script", run({"completion", shell}).out + commands);
  const std::string line = "cd " + folder.path().string() + " && HOME=$PWD XDG_CONFIG_HOME=$PWD XDG_DATA_HOME=$PWD XDG_CACHE_HOME=$PWD " +
                           shell + " script >tried 2>errors";
  EXPECT_EQ(std::system(line.c_str()), 0) << read_file(folder / "errors");
  EXPECT_EQ(read_file(folder / "errors"), "");
  return read_file(folder / "tried");
}

bool has_shell(const std::string& shell) { return std::system(("command -v " + shell + " >/dev/null").c_str()) == 0; }

TEST(CommandLine, ZshCompletes) {
  if (!has_shell("zsh")) GTEST_SKIP() << "no zsh here";
  EXPECT_EQ(tried("zsh",
                  "print $_comps[minbert]\n"
                  "try() { emulate -L sh; COMP_WORDS=(minbert fetch --end) COMP_CWORD=2; _minbert; printf '%s\\n' ${COMPREPLY[@]}; }; try "
                  "| grep end\n"),
            "_bash_complete -o filenames -F _minbert\n--endpoint\n");
}

TEST(CommandLine, FishCompletes) {
  if (!has_shell("fish")) GTEST_SKIP() << "no fish here";
  const std::string words = tried("fish",
                                  "complete -C 'minbert fe' | cut -f1\n"
                                  "complete -C 'minbert config ' | cut -f1 | string match show\n"
                                  "complete -C 'minbert config show --js' | cut -f1\n"
                                  "complete -C 'minbert config show ' | cut -f1 | string match check; true\n");
  EXPECT_EQ(words, "fetch\nshow\n--json\n");
}

// What zsh needs of a file on its fpath.
TEST(CommandLine, ZshScriptIsACompletionFile) { EXPECT_TRUE(run({"completion", "zsh"}).out.starts_with("#compdef minbert\n")); }

TEST(CommandLine, ManualPages) {
  const TempFolder folder;
  expect_success(run({"help", "--man-pages", (folder / "man1").string()}));
  const std::string program = read_file(folder / "man1" / "minbert.1"), train = read_file(folder / "man1" / "minbert-train.1");
  for (const std::string_view part : {".TH MINBERT 1", ".SH EXIT STATUS", "MINBERT_THREADS", "\\fBtrain\\fR", ".BR minbert\\-train (1)"})
    EXPECT_NE(program.find(part), std::string::npos) << part;
  for (const std::string_view part :
       {".TH MINBERT\\-TRAIN 1", "\\fB\\-o\\fR, \\fB\\-\\-output\\fR \\fIRUN\\fR", ".SH EXAMPLES", "\\fB\\-\\-resume\\fR\n"})
    EXPECT_NE(train.find(part), std::string::npos) << part;
  const std::string config = read_file(folder / "man1" / "minbert-config.1");
  EXPECT_NE(config.find(".SH config show"), std::string::npos);
  expect_failure(run({"help", "train", "--man-pages", "x"}), 2, "--man-pages");
  if (!has_shell("groff")) GTEST_SKIP() << "no groff here to read them";
  const std::string line = "cd " + folder.path().string() + " && groff -man -ww -Tutf8 man1/*.1 >text 2>errors";
  ASSERT_EQ(std::system(line.c_str()), 0);
  EXPECT_EQ(read_file(folder / "errors"), "");
}

}  // namespace
}  // namespace minbert
