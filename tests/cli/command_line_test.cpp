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

}  // namespace
}  // namespace minbert
