// What is inferred of a data file without a config, what is refused before any training, and what eval and report say of odd rows.
#include "minbert/base/json.h"
#include "tests/cli/project.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

class FileTaskTest : public ProjectTest {
 protected:
  /// A table of `rows` rows whose label is label(row).
  void write_table(std::string_view name, int rows, const std::function<std::string(int)>& label, std::string_view columns = "text,label") {
    std::string content = fmt::format("{}\n", columns);
    for (int i = 0; i < rows; ++i) content += fmt::format("\"film {} was fine\",\"{}\"\n", i, label(i));
    write(name, content);
  }

  Finished one_liner(const std::string& file, const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "train", "--init", "run", "--train", file, "--dev", "0.3", "-o", "made", "--epochs", "1", "--set", "stage.heads.epochs=1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return minbert(arguments);
  }

  Json task_of(std::string_view run) const { return Json::parse(text(fmt::format("{}/best/minbert.json", run)))["tasks"][0]; }
};

void expect_parts(const std::string& text, std::initializer_list<std::string_view> parts) {
  for (const std::string_view part : parts) EXPECT_NE(text.find(part), std::string::npos) << "no \"" << part << "\" in: " << text;
}

TEST_F(FileTaskTest, OneLineSaysWhatWasInferredAndHowToSayOtherwise) {
  write_table("ideas.csv", 75, [](int i) { return std::to_string(i % 25); });
  const auto check = [&](const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"data", "check", "ideas.csv"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Finished finished = minbert(arguments);
    expect_success(finished);
    return lines_of(finished.err).at(0);
  };
  const std::string line = check({});
  expect_parts(
      line, {"ideas.csv: classify (--type), 25 classes, 0 to 24 (--labels)", "labels from column \"label\" (--label)",
             "25 different whole numbers, 0 to 24", "text from column \"text\" (--text)", "the first line names the columns (--header)"});
  const std::string given = check({"--type", "regress", "--text", "text", "--label", "label", "--header", "yes"});
  expect_parts(given, {"ideas.csv: regress, numbers"});
  EXPECT_EQ(given.find("(--"), std::string::npos) << given;
  expect_parts(check({"--labels", "40"}), {"classify, 40 classes, 0 to 39;"});
  write("bare.tsv", "a fine film\tgood\nso so\tfair\nnever again\tbad\n");
  expect_parts(minbert({"data", "check", "bare.tsv", "--text", "0", "--label", "1"}).err,
               {"3 classes, \"bad\", \"fair\", \"good\"", "no header (--header)"});
  write_table("notes.csv", 24, [](int i) { return fmt::format("note {}", i); });
  expect_parts(minbert({"data", "check", "notes.csv"}).err, {"warning: notes: most of the 24 labels stand in one row only; --label"});
}

TEST_F(FileTaskTest, ARangeIsNotThatOfTheTrainingRows) {
  train();
  write_table("marks.csv", 16, [](int i) { return fmt::format("{}.5", i); });
  write_table("more.csv", 4, [](int i) { return fmt::format("{}", 100 * i - 150); });
  const Finished trained = one_liner("marks.csv");
  expect_success(trained);
  expect_parts(trained.err, {"regress (--type), numbers", "16 different numbers, 0.5 to 15.5"});
  EXPECT_TRUE(task_of("made")["label_range"].is_null());
  expect_success(minbert({"eval", "made", "--data", "more.csv"}));
  expect_parts(minbert({"inspect", "made"}).out, {"any number"});
  expect_success(minbert({"config", "check", "made/config.input.toml"}));
  expect_success(one_liner("marks.csv", {"--overwrite", "--set", "task.marks.data.label_range=[0, 20]"}));
  EXPECT_EQ(task_of("made")["label_range"], Json({0.0, 20.0}));
  expect_failure(minbert({"eval", "made", "--data", "more.csv"}), 3, "more.csv:2");
}

TEST_F(FileTaskTest, LabelsThatTeachNothingAreRefusedBeforeTheTraining) {
  train();
  write("head.csv", "text,label\n");
  write_table("same.csv", 8, [](int) { return "good"; });
  write("torn.csv", "text,label\na,b,good\nc,d,bad\n");
  write_table("gaps.csv", 8, [](int i) { return i == 4 ? "None" : std::to_string(i % 2); });
  write_table("euro.csv", 24, [](int i) { return fmt::format("{},{:02}", i, i); });
  write_table("two.csv", 8, [](int i) { return std::to_string(i % 2); });
  const auto refused = [&](const std::string& file, int code, std::string_view part, const std::vector<std::string>& more = {}) {
    SCOPED_TRACE(file);
    expect_failure(one_liner(file, more), code, part);
    EXPECT_FALSE(fs::exists(path("made")));
  };
  refused("head.csv", 3, "head.csv: expected rows, got a header alone");
  refused("same.csv", 3, "same.csv: expected at least two different labels");
  refused("torn.csv", 3, "torn.csv:2: expected 2 fields, got 3");
  refused("gaps.csv", 3, "gaps.csv:6: column \"label\": expected 0..1, got \"None\"");
  refused("euro.csv", 3, "euro.csv:2: column \"label\": expected a number");
  refused("two.csv", 2, "labels", {"--labels", "0,1,1"});
  refused("two.csv", 2, "--labels", {"--labels", "2", "--type", "regress"});
  refused("two.csv", 2, "labels", {"--labels", "1"});
  refused("two.csv", 2, "--seeds: expected seeds that differ, got 1, 2, 1", {"--seeds", "1,2,1"});
  expect_success(one_liner("gaps.csv", {"--set", "task.gaps.data.on_bad_row=skip"}));
  EXPECT_EQ(task_of("made")["labels"], 2);
  expect_success(one_liner("two.csv", {"--overwrite", "--labels", "0,1,None"}));
  EXPECT_EQ(task_of("made")["labels"], Json({"0", "1", "None"}));
}

TEST_F(FileTaskTest, OneSeedHasNoDeviation) {
  expect_success(minbert({"train", "tiny.toml", "-o", "seeds", "--seeds", "5"}));
  const Json summary = Json::parse(text("seeds/summary.json"));
  EXPECT_TRUE(summary["mean"]["std"].is_null());
  EXPECT_TRUE(summary["tasks"]["sentiment"]["std"].is_null());
}

TEST_F(FileTaskTest, TrainAndEvalAgreeAboutRowsWithoutLabelsAndScoresWithoutMeaning) {
  write("unknown.csv", "sentence1,sentence2,label\nis it far,how far is it,-1\na,b,-1\n");
  const std::vector<std::string> test = {"--set", "task.paraphrase.data.test=../unknown.csv"};
  std::vector<std::string> command = {"train", "tiny.toml", "-o", "run"};
  command.insert(command.end(), test.begin(), test.end());
  const Finished trained = minbert(command);
  expect_success(trained);
  expect_parts(trained.err, {"paraphrase: test has no labels"});
  EXPECT_EQ(lines_of(text("run/eval/test/paraphrase.predictions.tsv")).size(), 3u);
  const Finished split = minbert({"eval", "run", "--split", "test"});
  expect_success(split);
  expect_parts(split.err, {"warning: paraphrase: test has no labels"});
  const std::vector<std::string> eval = {"eval", "run", "--task", "paraphrase", "--data", "unknown.csv"};
  const Finished file = minbert(eval);
  expect_failure(file, 3, "unknown.csv: column \"label\": expected labels");
  expect_parts(file.err, {"hint: minbert predict answers such rows"});

  write("alike.csv", "sentence1,sentence2,label\na,b,1\na,b,4\na,b,2\n");
  expect_parts(minbert({"eval", "run", "--task", "similarity", "--data", "alike.csv"}).err,
               {"warning: dev: pearson of similarity is not defined"});
  write("holes.csv", "sentence1,sentence2,label\na,b,1\nc,d,9\ne,f,2\n");
  const Finished skipping =
      minbert({"eval", "run", "--config", "run/config.toml", "--task", "similarity", "--set",
               "task.similarity.data.dev=" + path("holes.csv").string(), "--set", "task.similarity.data.on_bad_row=skip"});
  expect_success(skipping);
  expect_parts(skipping.err, {"warning: similarity dev: 1 of 3 rows are skipped"});
}

TEST_F(FileTaskTest, ReportsOfRunsThatCannotBeWritten) {
  train();
  fs::remove(path("run/eval/scores.csv"));
  fs::create_directories(path("run/eval/scores.csv/in-the-way"));
  const Finished elsewhere = minbert({"report", "run", "-o", "mine.html"});
  expect_success(elsewhere);
  expect_parts(elsewhere.err, {"warning: the tables are not written"});
  expect_parts(text("mine.html"), {"paraphrase on dev"});
  expect_failure(minbert({"report", "run"}), 5, "scores.csv");
}

TEST_F(FileTaskTest, WeightsAndSizesThatDifferAreSaid) {
  train();
  expect_success(minbert({"export", "run", "-o", "deep", "--as", "hf"}));
  Json config = Json::parse(text("deep/config.json"));
  config["num_hidden_layers"] = 2;
  write("deep/config.json", config.dump());
  const Finished embedded = minbert({"embed", "deep", "-o", "-"}, "a fine film\n");
  expect_success(embedded);
  expect_parts(embedded.err, {"warning: 16 parameters are not in the weights and newly initialised", "encoder.layer.1."});
  EXPECT_EQ(minbert({"embed", "deep", "-o", "-"}, "a fine film\n").out, embedded.out) << "drawn from one seed";
  const Finished trained = minbert({"train", "tiny.toml", "-o", "more", "--set", "model.init=deep"});
  expect_success(trained);
  expect_parts(trained.err, {"newly initialised"});
  expect_success(minbert({"export", "more", "-o", "shallow", "--as", "hf"}));
  config["num_hidden_layers"] = 1;
  write("shallow/config.json", config.dump());
  expect_parts(minbert({"embed", "shallow", "-o", "-"}, "a\n").err, {"16 tensors of the weights are not used", "encoder.layer.1."});
}

}  // namespace
}  // namespace minbert
