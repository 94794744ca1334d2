// Several models, explanations, and what they cannot go with, by the program.
#include <cmath>

#include "minbert/base/json.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class EnsembleVerbs : public ProjectTest {
 protected:
  void train(const char* name, const char* seed, std::vector<std::string> more = {}) {
    std::vector<std::string> command = {"train", "tiny.toml",       "-o", name, "-q", "--set", std::string("run.seed=") + seed,
                                        "--set", "stage.0.epochs=1"};
    command.insert(command.end(), more.begin(), more.end());
    expect_success(minbert(command));
  }
  Json answer(std::vector<std::string> command) {
    const Finished done = minbert(std::move(command));
    expect_success(done);
    return Json::parse(done.out.substr(0, done.out.find('\n')));
  }
};

TEST_F(EnsembleVerbs, SeveralModelsAnswerAsOneAndTeachOne) {
  train("a", "1");
  train("b", "2");
  const Json a = answer({"predict", "a", "a fine film", "--task", "sentiment"}),
             b = answer({"predict", "b", "a fine film", "--task", "sentiment"});
  const Json both = answer({"predict", "a", "b", "a fine film", "--task", "sentiment"});
  for (const auto& [label, p] : both["probs"].items())
    EXPECT_NEAR(p.get<double>(), (a["probs"][label].get<double>() + b["probs"][label].get<double>()) / 2, 1e-6) << label;
  write("lines.txt", "a fine film\n");
  EXPECT_EQ(minbert({"predict", "a", "b", "-i", "lines.txt", "--task", "sentiment"}).out,
            minbert({"predict", "a", "b", "a fine film", "--task", "sentiment"}).out);
  expect_failure(minbert({"predict", "a", "-i", "lines.txt", "a fine film", "--task", "sentiment"}), 2, "--input");
  expect_failure(minbert({"predict", "a", "b", "--explain", "a fine film", "--task", "sentiment"}), 2, "expected one model");

  const Finished scored = minbert({"eval", "a", "b", "--json"});
  expect_success(scored);
  EXPECT_EQ(Json::parse(scored.out)["scores"].size(), 3u);

  train("student", "3", {"--set", "stage.0.kind=distill", "--set", "stage.0.distill.teachers=[\"a\", \"b\"]"});
  expect_failure(minbert({"train", "tiny.toml", "-o", "none", "--set", "stage.0.kind=distill"}), 2, "stage.0.distill.teachers");
  const std::vector<std::string> taught = {"train", "tiny.toml", "--set", "stage.0.kind=distill", "--set"};
  const auto by = [&](const std::string& teacher, std::vector<std::string> more) {
    more.insert(more.begin(), taught.begin(), taught.end());
    more.insert(more.begin() + static_cast<std::ptrdiff_t>(taught.size()), fmt::format("stage.0.distill.teachers=[\"{}\"]", teacher));
    return minbert(more);
  };
  expect_failure(by("nobody", {"-o", "none"}), 4, "nobody");
  EXPECT_FALSE(fs::exists(path("none")));
  expect_failure(by("a", {"-o", "a", "--overwrite"}), 2, "own folder");
  EXPECT_TRUE(fs::exists(path("a/best/config.json")));
}

TEST_F(EnsembleVerbs, ATaskCanHaveAModelOfItsOwn) {
  write("staged.toml",
        "[run]\nbest = \"per_task\"\n[[stage]]\nselect = \"last\"\n"
        "[[stage]]\nname = \"own\"\ntasks = [\"sentiment\"]\nepochs = 1\nlr = 1e-2\nselect = \"last\"\n");
  expect_success(minbert({"train", "tiny.toml", "staged.toml", "-o", "staged", "-q"}));
  EXPECT_NE(text("staged/best-paraphrase/model.safetensors"), text("staged/best/model.safetensors"));
  EXPECT_NE(text("staged/report.html").find("each task&#39;s own model"), std::string::npos);
  const Json scored = Json::parse(minbert({"eval", "staged", "--json"}).out);
  EXPECT_EQ(scored["scores"], Json::parse(text("staged/eval/dev/metrics.json"))["scores"]);
  for (const char* task : {"paraphrase", "similarity"}) {
    const auto by = [&](const std::string& model) { return minbert({"predict", model, "a fine film", "a dull one", "--task", task}).out; };
    EXPECT_EQ(by("staged"), by(std::string("staged/best-") + task));
    EXPECT_NE(by("staged"), by("staged/best")) << task;
  }
  // What answers with one model wants it by name.
  expect_failure(minbert({"export", "staged", "-o", "out", "--as", "hf"}), 4, "best-paraphrase");
  EXPECT_FALSE(fs::exists(path("out")));
  expect_success(minbert({"export", "staged/best-paraphrase", "-o", "out", "--as", "hf"}));
}

TEST_F(EnsembleVerbs, WhatIsNoModelIsAText) {
  train("a", "1");
  const std::string names[] = {"samples", std::string(400, 'x'), "/root/none", "", "a/best/model.safetensors"};
  for (const std::string& name : names) {
    const Json answered = answer({"predict", "a", name, "--task", "sentiment"});
    EXPECT_EQ(answered["id"], "0") << name;
  }
  write("unfinished/status.json", R"({"format": 1, "state": "running"})");
  expect_failure(minbert({"predict", "a", "unfinished", "a fine film", "--task", "sentiment"}), 4, "no best/ yet");
}

TEST_F(EnsembleVerbs, ModelsAreScoredOnRowsThatAllOfThemLeftOut) {
  train("a", "1");
  train("b", "2", {"--set", "task.sentiment.data.dev=0.3"});
  expect_failure(minbert({"eval", "a", "b"}), 2, "task \"sentiment\"");
  expect_success(minbert({"eval", "a", "b", "--config", "tiny.toml"}));
}

TEST_F(EnsembleVerbs, ExplanationsAddUpAndStandInTheReport) {
  train("a", "1");
  const Json why = answer({"predict", "a", "--explain", "a fine film", "--task", "sentiment"})["explanation"];
  double sum = why["baseline"].get<double>();
  for (const Json& token : why["tokens"]) sum += token["attribution"].get<double>();
  EXPECT_NEAR(sum, why["value"].get<double>(), 0.05 * (1 + std::abs(why["value"].get<double>())));
  expect_failure(minbert({"predict", "a", "--explain", "-o", "out.csv", "a fine film", "--task", "sentiment"}), 2, "--explain");
  expect_failure(minbert({"predict", "a", "--explain", "--dtype", "bf16", "a fine film", "--task", "sentiment"}), 2, "--explain");

  expect_success(minbert({"report", "a"}));
  EXPECT_NE(text("a/report.html").find("report RUN --explain"), std::string::npos);
  expect_success(minbert({"report", "a", "--explain", "2"}));
  const std::string html = text("a/report.html");
  EXPECT_NE(html.find("class=\"tokens\""), std::string::npos);
  EXPECT_EQ(html.find("report RUN --explain"), std::string::npos);
  EXPECT_TRUE(fs::exists(path("a/eval/dev/sentiment.explanations.jsonl")));
  write("a/eval/dev/sentiment.explanations.jsonl", "{\n");
  expect_failure(minbert({"report", "a"}), 3, "sentiment.explanations.jsonl:1");
}

}  // namespace
}  // namespace minbert
