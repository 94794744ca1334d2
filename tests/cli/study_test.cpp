// study and compare, run as users do: interrupted in any way, and by several processes at once.
#include <signal.h>

#include <map>
#include <set>

#include "minbert/base/json.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// Two rows that share a stage of 12 steps, one of them with 6 more steps, and a row that shares nothing.
constexpr std::string_view kStudy = R"([study]
title = "Heads"
base = "tiny.toml"
seeds = [1]
[[row]]
name = "plain"
published = { sentiment = 0.5, paraphrase = 0.75, similarity = 0.25 }
[[row]]
name = "more"
overlay = "heads.toml"
[[row]]
name = "other"
set = ["stage.0.lr=2e-3"]
)";
constexpr std::string_view kHeads = "[[stage]]\n[[stage]]\nname = \"single\"\nkind = \"heads\"\nepochs = 1\nlr = 1e-2\n";

class StudyVerbTest : public ProjectTest {
 protected:
  StudyVerbTest() {
    write("heads.toml", kHeads);
    write("study.toml", kStudy);
  }
  Json json(std::string_view name) const { return Json::parse(text(name)); }
  /// The run folders of a study, in an order that two studies share.
  std::vector<std::string> runs(const std::string& study) const {
    std::vector<std::string> folders;
    for (const Json& row : json(study + "/study.json")["rows"])
      for (const Json& seed : row["seeds"]) folders.push_back(study + "/" + seed["folder"].get<std::string>());
    return folders;
  }
  void expect_same_weights(const std::string& a, const std::string& b) const {
    ASSERT_EQ(runs(a).size(), runs(b).size());
    for (std::size_t i = 0; i < runs(a).size(); ++i)
      for (const char* file : {"/best/model.safetensors", "/best/heads.safetensors", "/eval/dev/metrics.json"})
        EXPECT_TRUE(text(runs(a)[i] + file) == text(runs(b)[i] + file)) << runs(b)[i] << file;
  }
  /// Expects each step of each run once in its metrics.
  void expect_counted(const std::string& study) const {
    for (const std::string& run : runs(study)) {
      int step = 0;
      for (const std::string& line : lines_of(text(run + "/metrics.jsonl")))
        if (const Json event = Json::parse(line); event["event"] == "step") {
          ASSERT_EQ(event["step"], ++step) << run;
        }
      EXPECT_EQ(step, run.find("/more/") == std::string::npos ? 12 : 18) << run;
    }
  }
};

TEST_F(StudyVerbTest, WritesATableAndKeepsWhatIsDone) {
  const Finished plan = minbert({"study", "study.toml", "--dry-run", "--json"});
  expect_success(plan);
  const Json planned = Json::parse(plan.out);
  EXPECT_EQ(planned["folder"], "studies/study");
  EXPECT_EQ(planned["runs"].size(), 3u);
  EXPECT_EQ(planned["runs"][1]["stages"][0], (Json{{"stage", "0"}, {"steps", 12}, {"shared_with", "rows/plain/seed-1"}}));
  EXPECT_EQ(planned["runs"][2]["stages"][0], (Json{{"stage", "0"}, {"steps", 12}}));
  const Finished told = minbert({"study", "study.toml", "--dry-run"});
  expect_success(told);
  EXPECT_NE(told.out.find("0 12 (those of rows/plain/seed-1)"), std::string::npos) << told.out;
  EXPECT_NE(told.out.find("\nstudy study in studies/study\n"), std::string::npos) << told.out;
  EXPECT_FALSE(fs::exists(path("studies")));

  const Finished first = minbert({"study", "study.toml"});
  expect_success(first);
  EXPECT_EQ(first.out, text("studies/study/results.txt"));
  EXPECT_EQ(first.out.find("Heads\n\nrow"), 0u);
  EXPECT_NE(first.out.find("\nplain"), std::string::npos);
  EXPECT_NE(first.out.find("Encoder: from scratch."), std::string::npos);
  EXPECT_EQ(json("studies/study/study.json")["state"], "done");
  expect_counted("studies/study");
  for (const std::string& run : runs("studies/study"))
    for (const char* file : {"report.html", "fingerprint.json", "config.toml", "best/config.json"})
      EXPECT_TRUE(fs::exists(path(run + "/" + file))) << run << file;
  for (const char* file : {"results.csv", "results.md", "results.tex", "study.input.toml"})
    EXPECT_FALSE(text(fmt::format("studies/study/{}", file)).empty()) << file;

  const Finished again = minbert({"study", "study.toml", "--resume", "--json"});
  expect_success(again);
  EXPECT_EQ(Json::parse(again.out), json("studies/study/results.json"));
  EXPECT_NE(again.err.find("row more, seed 1 is done already"), std::string::npos) << again.err;
  EXPECT_EQ(again.err.find("stage 0"), std::string::npos) << "nothing is trained";

  expect_success(minbert({"train", "tiny.toml", "heads.toml", "-o", "alone", "--set", "run.seed=1", "--set", "run.name=more"}));
  for (const char* file : {"best/model.safetensors", "best/heads.safetensors", "best/README.md",
                           "checkpoints/stage-0/best/heads.safetensors", "eval/dev/metrics.json"})
    EXPECT_TRUE(text(fmt::format("alone/{}", file)) == text(fmt::format("studies/study/rows/more/seed-1/{}", file))) << file;
}

TEST_F(StudyVerbTest, CutByAnySignalItGoesOn) {
  expect_success(minbert({"study", "study.toml", "-o", "whole"}));
  const std::vector<std::string> command = {"study", "study.toml", "-o", "cut", "--set", "stage.0.log_every=1"};
  bool done = false;
  int cuts = 0;
  for (const int signal : {SIGKILL, SIGINT, SIGKILL, SIGTERM, SIGKILL, SIGINT}) {
    Program program(command, options());
    const std::string mark = fmt::format("step {}/12", 3 + 2 * cuts % 9);
    if (!program.wait_until([&] { return program.errors().find(mark) != std::string::npos; })) {
      expect_success(program.wait());
      done = true;
      break;
    }
    program.send(signal);
    const int code = program.wait().code;
    done = code == 0;  // the signal came too late
    if (done) break;
    EXPECT_EQ(code, signal == SIGKILL ? -SIGKILL : 75);
    EXPECT_EQ(json("cut/study.json")["state"], signal == SIGKILL ? "running" : "stopped");
    ++cuts;
  }
  EXPECT_GE(cuts, 1) << "a fast machine may be done before later signals come";
  if (!done) expect_success(minbert(command));
  EXPECT_EQ(json("cut/study.json")["state"], "done");
  expect_counted("cut");
  expect_same_weights("whole", "cut");
}

TEST_F(StudyVerbTest, ProcessesShareTheWork) {
  std::map<std::string, int> trained;
  {
    const std::vector<std::string> command = {"study", "study.toml", "-o", "shared", "--seeds", "1,2"};
    Program one(command, options()), two(command, options()), three(command, options());
    for (Program* program : {&one, &two, &three}) {
      const Finished finished = program->wait();
      expect_success(finished);
      for (const std::string& line : lines_of(finished.err))
        if (const auto at = line.find(" of 6: row "); at != std::string::npos) ++trained[line.substr(at)];
    }
  }
  EXPECT_EQ(trained.size(), 6u);
  EXPECT_EQ(json("shared/study.json")["state"], "done");
  expect_counted("shared");
  expect_success(minbert({"study", "study.toml", "-o", "whole", "--seeds", "1,2"}));
  expect_same_weights("whole", "shared");
  for (const std::string& run : runs("shared")) EXPECT_EQ(json(run + "/status.json")["resumes"], 0) << run << " was taken by two";
}

TEST_F(StudyVerbTest, RefusesWhatIsNotTheStudyOfTheFolder) {
  expect_success(minbert({"study", "study.toml", "-o", "s", "--rows", "plain"}));
  EXPECT_EQ(json("s/study.json")["rows"].size(), 1u);
  expect_failure(minbert({"study", "study.toml", "-o", "s", "--set", "stage.0.batch=3"}), 2,
                 "row plain, seed 1 differs: stage.0.batch was 4, is now 3");
  expect_failure(minbert({"study", "study.toml", "--rows", "plane"}), 2, "unknown row \"plane\"");
  expect_failure(minbert({"study", "study.toml", "-o", "samples"}), 2, "is not empty and is no study folder");
  expect_failure(minbert({"study", "study.toml", "--resume", "--overwrite"}), 2, "cannot go together");
  expect_failure(minbert({"study", "tiny.toml"}), 2, "tiny.toml");
  write("broken.toml", std::string(kStudy) + "[[row]]\nname = \"lost\"\nset = [\"task.sentiment.data.text=nowhere\"]\n");
  const Finished finished = minbert({"study", "broken.toml", "-o", "b", "--rows", "lost,plain"});
  EXPECT_EQ(finished.code, 3) << finished.err;
  EXPECT_NE(finished.err.find("row lost, seed 1 failed: [data]"), std::string::npos) << finished.err;
  const Json study = json("b/study.json");
  EXPECT_EQ(study["state"], "failed");
  EXPECT_EQ(study["rows"][0]["seeds"][0]["state"], "done");
  EXPECT_EQ(study["rows"][1]["seeds"][0]["state"], "failed");
  EXPECT_NE(study["rows"][1]["seeds"][0]["error"].get<std::string>().find("nowhere"), std::string::npos);
}

TEST_F(StudyVerbTest, ComparesRuns) {
  expect_success(minbert({"study", "study.toml", "-o", "s"}));
  const std::string one = "s/rows/plain/seed-1", two = "s/rows/more/seed-1", three = "s/rows/other/seed-1";
  const Finished table = minbert({"compare", one, two, three});
  expect_success(table);
  EXPECT_NE(table.out.find(fmt::format("a {}\nb {}\ntask", one, two)), std::string::npos) << table.out;
  EXPECT_TRUE(table.out.starts_with("What differs in the configs:\n")) << table.out;
  const Finished scores = minbert({"compare", one, two, "--scores", "--columns", "mean,sentiment", "--format", "latex"});
  expect_success(scores);
  EXPECT_NE(scores.out.find("\\begin{tabular}{lrr}\n  \\toprule\n  run & mean & sentiment \\\\\n"), std::string::npos) << scores.out;
  EXPECT_NE(scores.out.find("\\textbf{"), std::string::npos);
  expect_failure(minbert({"compare", one, two, "--scores", "--columns", "maen"}), 2, "no column \"maen\"");
  const Finished csv = minbert({"compare", one, two, "--format", "csv"});
  expect_success(csv);
  EXPECT_TRUE(csv.out.starts_with("a,b,task,metric,rows,score a,score b,b - a,low,high,p,")) << csv.out;
  EXPECT_NE(table.out.find("\nsimilarity"), std::string::npos);
  EXPECT_NE(table.out.find("\nmean"), std::string::npos);
  const Finished machine = minbert({"compare", one, two, three, "--all", "--json", "--bootstrap", "200"});
  expect_success(machine);
  const Json pairs = Json::parse(machine.out)["comparisons"];
  ASSERT_EQ(pairs.size(), 3u);
  for (const Json& pair : pairs) {
    for (const Json& task : pair["tasks"]) {
      const std::string name = task["task"];
      const auto score = [&](const char* run) {
        const Json metrics = json(pair[run].get<std::string>() + "/eval/dev/metrics.json");
        return (name == "mean" ? metrics["mean"] : metrics["scores"][name]).get<double>();
      };
      EXPECT_NEAR(task["a"].get<double>(), score("a"), 1e-6) << name;
      EXPECT_NEAR(task["b"].get<double>(), score("b"), 1e-6) << name;
      EXPECT_EQ(task.contains("mcnemar"), name == "sentiment" || name == "paraphrase");
    }
  }
  expect_failure(minbert({"compare", one}), 2, "at least two");
  expect_failure(minbert({"compare", one, "samples"}), 3, "samples/eval/dev/metrics.json");
  expect_failure(minbert({"compare", one, two, "--split", "train"}), 2, "--split");
  expect_success(minbert({"sample-data", "-o", "samples", "--train-rows", "16", "--dev-rows", "13", "--test-rows", "4", "--seed", "5"}));
  expect_success(minbert({"train", "tiny.toml", "-o", "else"}));
  expect_failure(minbert({"compare", one, "else"}), 3, "row 1 (id");
}

TEST_F(StudyVerbTest, ComparesModelsOnAFile) {
  train();
  write("other.toml", R"([run]
name = "other"
[model]
init = "run"
[[task]]
name = "mood"
type = "classify"
labels = ["great", "good", "fair", "bad", "awful", "none of these"]
data = { train = "old.csv", text = "words", label = "mood" }
[[stage]]
max_steps = 3
)");
  write("old.csv", "words,mood\na fine film,good\na dull film,bad\nso so,fair\n");
  expect_success(minbert({"train", "other.toml", "-o", "other"}));
  write("fresh.csv", "sentence,label\na fine film,good\na dull film,bad\nso so,none of these\nmarvellous,great\n");
  const std::vector<std::string> compare = {"compare",   "run",    "other",    "--data",  "fresh.csv", "--task",
                                            "sentiment", "--text", "sentence", "--label", "label",     "--json"};
  expect_failure(minbert(compare), 2, "unknown task \"sentiment\"");
  const auto finished = minbert({"compare", "run", "other", "--data", "fresh.csv", "--text", "sentence", "--label", "label", "--json"});
  expect_success(finished);
  const Json pair = Json::parse(finished.out)["comparisons"][0];
  EXPECT_EQ(pair["a"], "run");
  EXPECT_EQ(pair["b"], "other");
  ASSERT_EQ(pair["tasks"].size(), 1u);
  EXPECT_EQ(pair["tasks"][0]["task"], "fresh");
  EXPECT_EQ(pair["tasks"][0]["rows"], 4);
  const auto answers = [&](const std::string& model, const std::string& task) {
    return minbert({"predict", model, "--task", task, "-i", "fresh.csv", "--text", "sentence", "--format", "csv"}).out;
  };
  const auto right = [](const std::string& csv) {
    const std::vector<std::string> gold = {"good", "bad", "none of these", "great"}, lines = lines_of(csv);
    double count = 0;
    for (std::size_t i = 0; i < gold.size(); ++i) count += lines.at(i + 1).find("," + gold[i] + ",") != std::string::npos;
    return count / 4;
  };
  EXPECT_EQ(pair["tasks"][0]["a"], right(answers("run", "sentiment")));
  EXPECT_EQ(pair["tasks"][0]["b"], right(answers("other", "mood")));
  const auto scores = minbert({"compare", "run", "other", "--data", "fresh.csv", "--text", "sentence", "--label", "label", "--scores"});
  expect_success(scores);
  EXPECT_NE(scores.out.find("\nother"), std::string::npos) << scores.out;
  // A file whose labels a model's label_map reads in another way, or that has none of a model's labels, compares nothing.
  write("numbers.csv", "sentence,label\na fine film,3\na dull film,1\n");
  for (const auto& [a, b] : {std::pair("run", "other"), {"other", "run"}}) {
    const auto refused = minbert({"compare", a, b, "--data", "numbers.csv", "--text", "sentence", "--label", "label"});
    EXPECT_NE(refused.code, 0) << refused.out;
  }
  write("words.csv", "sentence,label\na fine film,none of these\na dull film,none of these\n");
  expect_failure(minbert({"compare", "other", "run", "--data", "words.csv", "--text", "sentence", "--label", "label"}), 2,
                 "run: has none of the file's labels");
}

}  // namespace
}  // namespace minbert
