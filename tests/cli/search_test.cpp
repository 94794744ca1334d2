// minbert search, run as users do: tables, files, exit codes.
#include <csignal>
#include <regex>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class SearchVerbTest : public ProjectTest {
 protected:
  SearchVerbTest() { write("mine.toml", kSearch); }
  std::string text(std::string_view name) const { return read_file(path(name)); }
  Json results(std::string_view folder) const { return Json::parse(text(std::string(folder) + "/results.json")); }

  static constexpr std::string_view kSearch = R"([search]
recipe = "tiny.toml"
trials = 3
[[space]]
key = "stage.0.lr"
kind = "log"
low = 1e-4
high = 1e-2
[[space]]
key = "stage.0.batch"
kind = "int"
low = 2
high = 8
)";
};

TEST_F(SearchVerbTest, PrintsATableAndLeavesABestConfigThatTrains) {
  const Finished finished = minbert({"search", "mine.toml"});
  expect_success(finished);
  EXPECT_EQ(finished.out, text("searches/mine/results.txt"));
  EXPECT_TRUE(std::regex_search(
      finished.out,
      std::regex("rank +trial +score +stage\\.0\\.lr +stage\\.0\\.batch +steps +of +wall seconds +state\n1 +[0-2] +[0-9.-]+")))
      << finished.out;
  EXPECT_NE(finished.out.find("optimizer steps"), std::string::npos);
  const Json json = results("searches/mine");
  EXPECT_EQ(json["state"], "done");
  EXPECT_EQ(json["trials"].size(), 3u);
  EXPECT_EQ(lines_of(text("searches/mine/results.csv")).size(), 4u);
  EXPECT_EQ(lines_of(text("searches/mine/journal.jsonl")).size(), 1u + 3 * 4) << "start, two evaluations and end of each trial";

  const Finished best = minbert({"train", "searches/mine/best.toml", "-o", "best", "--json"});
  expect_success(best);
  EXPECT_EQ(Json::parse(best.out)["mean"], json["trials"][0]["score"]);

  expect_failure(minbert({"search", "mine.toml"}), 2, "holds a search already");
  const Finished again = minbert({"search", "mine.toml", "--resume", "--json"});
  expect_success(again);
  EXPECT_EQ(Json::parse(again.out), json);
}

TEST_F(SearchVerbTest, DryRunWritesNothing) {
  const Finished plan = minbert({"search", "mine.toml", "--dry-run", "--json"});
  expect_success(plan);
  const Json json = Json::parse(plan.out);
  EXPECT_EQ(json["trials"].size(), 3u);
  EXPECT_GE(json["trials"][2]["values"]["stage.0.batch"], 2);
  EXPECT_GT(json["trials"][2]["planned_steps"], 0);
  const Finished told = minbert({"search", "mine.toml", "--dry-run"});
  expect_success(told);
  EXPECT_EQ(lines_of(told.out)[0].find("trial"), 0u) << told.out;
  EXPECT_NE(lines_of(told.out)[0].find("stage.0.batch"), std::string::npos) << told.out;
  EXPECT_FALSE(fs::exists(path("searches")));
}

TEST_F(SearchVerbTest, StoppedByASignalItGoesOn) {
  const std::vector<std::string> endless = {"search", "mine.toml",          "-o", "found", "--resume", "--set", "stage.0.epochs=1000000",
                                            "--set",  "stage.0.log_every=1"};
  Program program(endless, options());
  ASSERT_TRUE(program.wait_until([&] { return program.errors().find("tokens/s") != std::string::npos; })) << program.errors();
  expect_failure(minbert(endless), 5, "found");
  program.send(SIGTERM);
  const Finished finished = program.wait();
  EXPECT_EQ(finished.code, 75) << finished.err;
  EXPECT_NE(finished.err.find("--resume goes on"), std::string::npos);
  EXPECT_EQ(results("found")["state"], "stopped");
  EXPECT_EQ(results("found")["trials"][0]["state"], "running");
  Program again(endless, options());
  ASSERT_TRUE(again.wait_until([&] { return again.errors().find("tokens/s") != std::string::npos; })) << again.errors();
  again.send(SIGKILL);
  again.wait();
  const Finished late = minbert({"search", "mine.toml", "-o", "found", "--resume", "--set", "stage.0.epochs=1000000", "--set",
                                 "stage.0.log_every=1", "--max-hours", "1e-9"});
  expect_success(late);
  EXPECT_NE(late.err.find("the time is up"), std::string::npos) << late.err;
}

TEST_F(SearchVerbTest, HelpHasEveryKeyWithItsDefault) {
  const Finished help = minbert({"search", "--help"});
  expect_success(help);
  for (const char* part :
       {"search.trials .*\\[20\\]", "search.stop .*\\[\"median\"\\]", "space\\[\\].kind .*\\[\"uniform\"\\]", "--max-hours H"})
    EXPECT_TRUE(std::regex_search(help.out, std::regex(part))) << part;
}

TEST_F(SearchVerbTest, MistakesAreToldBeforeAnythingIsTrained) {
  write("typo.toml", "[search]\nrecipe = \"tiny.toml\"\n[[space]]\nkey = \"stage.0.learning_rate\"\nlow = 0\nhigh = 1\n");
  expect_failure(minbert({"search", "typo.toml"}), 2, "stage.0.learning_rate");
  write("range.toml", "[search]\nrecipe = \"tiny.toml\"\n[[space]]\nkey = \"model.hidden_dropout\"\nlow = 1\nhigh = 2\n");
  expect_failure(minbert({"search", "range.toml"}), 2, "model.hidden_dropout");
  expect_failure(minbert({"search", "absent.toml"}), 2, "absent.toml");
  expect_failure(minbert({"search", "tiny.toml"}), 2, "tiny.toml");
  expect_failure(minbert({"search", "mine.toml", "--max-hours", "-1"}), 2, "--max-hours");
  expect_failure(minbert({"search", "mine.toml", "--set", "data.root=gone"}), 3, "gone");
  EXPECT_FALSE(fs::exists(path("searches/mine")));
}

}  // namespace
}  // namespace minbert
