// Laws of training on what teachers answer.
#include <algorithm>

#include "minbert/train/setup.h"
#include "tests/base/error_matchers.h"
#include "tests/train/tiny_run.h"

namespace minbert {
namespace {

class DistillTest : public TinyRunTest {
 protected:
  /// Trains runs/teacher on all three tasks.
  void train_teacher() { train(config("[[stage]]\nepochs = 1\n"), "teacher"); }
  /// kBase with its stage as a distill stage; `settings` are further keys of stage.distill, `more` an overlay on top.
  RunConfig student(std::string_view settings, std::string_view more = {}) const {
    return config(
        fmt::format("{}\n[[stage]]\nkind = \"distill\"\nepochs = 1\nselect = \"last\"\ndistill = {{ teachers = [\"runs/teacher\"]{} }}\n",
                    more, settings));
  }
  std::string weights(std::string_view name) const { return bytes(name, "best/model.safetensors") + bytes(name, "best/heads.safetensors"); }
};

TEST_F(DistillTest, ATeachersOwnWeightsHaveNoGradient) {
  train_teacher();
  std::string start(kNoDropout);
  start.insert(start.find('\n') + 1, "init = \"runs/teacher\"\n");
  train(student(", share = 1", start), "same");
  EXPECT_LT(events.steps.front().grad_norm, 1e-5);
  train(student(", share = 0.5", start), "other");
  EXPECT_GT(events.steps.front().grad_norm, 1e-3);
}

TEST_F(DistillTest, AtShareOneLabelsDoNotMatter) {
  train_teacher();
  const std::string all =
      "[[task]]\ndata = { label_map = { 0 = \"1\", 1 = \"2\", 2 = \"0\" } }\n[[task]]\ndata = { label_map = { 0 = \"1\", 1 = \"0\" } }\n"
      "[[task]]\ndata = { label_from = [0, 9] }\n";
  train(student(", share = 1"), "plain");
  train(student(", share = 1", all), "others");
  EXPECT_EQ(weights("plain"), weights("others"));
  train(student(", share = 0.5"), "plain-half");
  train(student(", share = 0.5", all), "others-half");
  EXPECT_NE(weights("plain-half"), weights("others-half"));
}

TEST_F(DistillTest, TeachersAreAveraged) {
  train_teacher();
  const auto same = config(
      "[[stage]]\nkind = \"distill\"\nepochs = 1\nselect = \"last\"\n"
      "distill = { teachers = [\"runs/teacher\", \"runs/teacher\"] }\n");
  train(student(""), "one");
  train(same, "twice");
  EXPECT_EQ(weights("one"), weights("twice"));
}

TEST_F(DistillTest, UnlabelledRowsAreLabelledByTheTeachersAlone) {
  train_teacher();
  const std::string_view again = ", unlabelled = { mood = [\"mood.train\"], same = [\"same.train\"], near = [\"near.train\"] }";
  std::string twice;
  for (const char* task : {"mood", "same", "near"})
    twice += fmt::format("[[task]]\ndata = {{ train = [\"{0}-train.csv\", \"{0}-train.csv\"] }}\n", task);
  // At share 1 a label counts for nothing, so that rows without one are rows like others.
  train(student(fmt::format(", share = 1{}", again)), "unlabelled");
  train(student(", share = 1", twice), "twice");
  EXPECT_EQ(weights("unlabelled"), weights("twice"));
  train(student(fmt::format(", share = 0.5{}", again)), "unlabelled-half");
  train(student(", share = 0.5", twice), "twice-half");
  EXPECT_NE(weights("unlabelled-half"), weights("twice-half"));
  const Json data = parse_json(bytes("unlabelled", "data.json"), "data", ErrorTag::kInternal);
  EXPECT_EQ(data["mood"]["0.unlabelled"]["used"], 22);
}

TEST_F(DistillTest, UnlabelledTextsCanStandInFiles) {
  train_teacher();
  write_file(folder / "lines.txt", "warm river\n\n  \nslow paper lamp\n");
  // The teacher's vocabulary: one that is trained on the file would change with it.
  const RunConfig run = student(", unlabelled = { mood = [\"lines.txt\"] }", "[model]\ninit = \"runs/teacher\"\n");
  int asked = 0;
  train(run, "whole");
  EXPECT_EQ(parse_json(bytes("whole", "data.json"), "data", ErrorTag::kInternal)["mood"]["0.unlabelled"]["skipped"], 2);
  EXPECT_TRUE(train(run, "parts", {}, [&] { return ++asked == 25; }).stopped);
  EXPECT_FALSE(train(run, "parts", kResume).stopped);
  EXPECT_EQ(weights("whole"), weights("parts"));

  EXPECT_TRUE(train(run, "changed", {}, [&, asked = 0]() mutable { return ++asked == 25; }).stopped);
  write_file(folder / "lines.txt", "warm river\ngreen lamp\n");
  expect_error(ErrorTag::kData, {"cannot resume"}, [&] { train(run, "changed", kResume); });
  write_file(folder / "lines.txt", "\n \n");
  expect_error(ErrorTag::kData, {"lines.txt", "expected rows"}, [&] { train(run, "blank"); });
}

TEST_F(DistillTest, UnlabelledFilesAreReadAsTheTaskReadsItsOwn) {
  write_file(folder / "lines.txt", " Is it? \nWARM River\n");
  const RunConfig run = config(
      "[[task]]\ndata = { preprocess = \"cs224n\" }\n[[stage]]\n[[stage]]\nname = \"student\"\nkind = \"distill\"\n"
      "distill = { teachers = [\"0\"], unlabelled = { mood = [\"lines.txt\"] } }\n");
  Comm alone;
  const RunSetup setup = prepare_run(*backend, run, events, alone);
  std::vector<std::string> texts;
  for (const Row& row : setup.unlabelled.at(1).at("mood").rows) texts.push_back(row.text);
  EXPECT_EQ(texts, (std::vector<std::string>{"is it?", "warm river"}));
}

/// Two stages that know different tasks, and one that they teach.
constexpr std::string_view kTwoTeachers =
    "[[stage]]\nepochs = 1\ntasks = [\"same\", \"mood\"]\n"
    "[[stage]]\nname = \"numbers\"\nfrom = \"init\"\nepochs = 1\nbatch = 4\nlr = 1e-3\ntasks = [\"mood\", \"near\"]\n"
    "[[stage]]\nname = \"student\"\nkind = \"distill\"\nfrom = \"0\"\nepochs = 1\nselect = \"last\"\nbatch = 4\nlr = 1e-3\n";

TEST_F(DistillTest, EarlierStagesTeachWhatTheyTrained) {
  // Only "0" knows the task same, and the student starts from it. Both know mood, so that its target lies between their answers.
  const auto first_norm = [&](std::string_view tasks, std::string_view name) {
    const std::string student =
        fmt::format("sampler = \"sequential\"\ntasks = [{}]\ndistill = {{ teachers = [\"numbers\", \"0\"], share = 1 }}\n", tasks);
    train(config(fmt::format("{}{}{}", kNoDropout, kTwoTeachers, student)), name);
    return std::ranges::find(events.steps, "student", &StepEvent::stage)->grad_norm;
  };
  EXPECT_LT(first_norm("\"same\", \"mood\"", "same"), 1e-5);
  EXPECT_GT(first_norm("\"mood\", \"same\"", "mood"), 1e-4);
}

TEST_F(DistillTest, FoldersAndStagesTeachTogether) {
  train_teacher();
  std::filesystem::copy(run_path("teacher"), folder.path() / "0", std::filesystem::copy_options::recursive);
  const auto taught = [&](std::string_view teachers) {
    return config(fmt::format("{}distill = {{ teachers = [{}] }}\n", kTwoTeachers, teachers));
  };
  const RunConfig mixed = taught("\"./0\", \"0\", \"numbers\"");
  EXPECT_TRUE(mixed.stages[2].distill->teachers[0].text.ends_with("/0"));
  EXPECT_EQ(mixed.stages[2].distill->teachers[1].text, "0");
  train(mixed, "mixed");
  train(taught("\"0\", \"numbers\""), "stages");
  EXPECT_NE(weights("mixed"), weights("stages"));
  // The written config says the same.
  ConfigTree tree;
  tree.load(run_path("mixed") / "config.toml");
  train(load_run_config(tree), "again");
  EXPECT_EQ(weights("mixed"), weights("again"));
}

TEST_F(DistillTest, TaughtByEarlierStagesItResumesToTheSameBytes) {
  const RunConfig run = config(fmt::format("{}distill = {{ teachers = [\"0\", \"numbers\"] }}\n", kTwoTeachers));
  train(run, "whole");
  const auto steps = std::ranges::count(events.steps, "student", &StepEvent::stage);
  EXPECT_TRUE(train(run, "parts", {}, [&] { return std::ranges::count(events.steps, "student", &StepEvent::stage) == steps / 2; }).stopped);
  EXPECT_FALSE(train(run, "parts", kResume).stopped);
  EXPECT_EQ(weights("whole"), weights("parts"));
  EXPECT_GT(plan_training(*backend, run).at("stages").at(2).at("seconds").at("steps").get<double>(), 0);
}

TEST_F(DistillTest, ADryRunAsksNoTeacher) {
  train_teacher();
  const Json plan = plan_training(*backend, student(", unlabelled = { mood = [\"mood.train\"] }"));
  EXPECT_EQ(plan.at("stages").at(0).at("sampled").at("mood").at("rows"), 44);
  EXPECT_GT(plan.at("stages").at(0).at("seconds").at("steps").get<double>(), 0);
}

TEST_F(DistillTest, ResumesToTheSameBytes) {
  train_teacher();
  train(student(""), "whole");
  int asked = 0;
  EXPECT_TRUE(train(student(""), "parts", {}, [&] { return ++asked == 25; }).stopped);
  EXPECT_FALSE(train(student(""), "parts", kResume).stopped);
  EXPECT_EQ(weights("whole"), weights("parts"));
}

TEST_F(DistillTest, AnotherTeacherDoesNotResume) {
  train_teacher();
  int asked = 0;
  EXPECT_TRUE(train(student(""), "parts", {}, [&] { return ++asked == 25; }).stopped);
  train(config("[run]\nseed = 3\n[[stage]]\nepochs = 1\n"), "teacher", {.overwrite = true});
  expect_error(ErrorTag::kData, {"cannot resume"}, [&] { train(student(""), "parts", kResume); });
}

TEST_F(DistillTest, TeachersOfOtherTasksAreRefused) {
  train_teacher();
  expect_error(ErrorTag::kUsage, {"labels"}, [&] { train(student("", "[[task]]\nlabels = 4\n"), "more"); });
  EXPECT_FALSE(std::filesystem::exists(run_path("more")));  // it had not begun
  for (const char* inside : {"", "/best", "/checkpoints/stage-0/best"}) {
    const RunConfig again =
        config(fmt::format("[[stage]]\nkind = \"distill\"\ndistill = {{ teachers = [\"{}{}\"] }}\n", run_path("teacher").string(), inside));
    expect_error(ErrorTag::kUsage, {"distill.teachers", "own folder"}, [&] { train(again, "teacher", {.overwrite = true}); });
  }
  RunConfig once_more = config("[[stage]]\nepochs = 1\n[[stage]]\nfrom = \"init\"\nepochs = 1\n");
  once_more.model.init.text = run_path("teacher").string();
  expect_error(ErrorTag::kUsage, {"model.init", "own folder"}, [&] { train(once_more, "teacher", {.overwrite = true}); });
  RunConfig from_itself = config("[[stage]]\nepochs = 1\n");
  from_itself.model.init.text = run_path("teacher").string();
  expect_error(ErrorTag::kUsage, {"model.init", "own folder"}, [&] { train(from_itself, "teacher", {.overwrite = true}); });
  EXPECT_TRUE(std::filesystem::exists(run_path("teacher") / "best"));
  expect_error(ErrorTag::kModel, {"nobody"},
               [&] { train(config("[[stage]]\nkind = \"distill\"\ndistill = { teachers = [\"runs/nobody\"] }\n"), "missing"); });
}

TEST_F(DistillTest, KeysThatDoNotFitAreRefused) {
  expect_error(ErrorTag::kUsage, {"stage.0.distill.teachers"}, [&] { config("[[stage]]\nkind = \"distill\"\n"); });
  expect_error(ErrorTag::kUsage, {"stage.student.distill.teachers", "nubmers", "did you mean \"numbers\"?"}, [&] {
    config(
        "[[stage]]\n[[stage]]\nname = \"numbers\"\n[[stage]]\nname = \"student\"\nkind = \"distill\"\ndistill = { teachers = [\"nubmers\"] "
        "}\n");
  });
  expect_error(ErrorTag::kUsage, {"is for stages of kind \"distill\""},
               [&] { config("[[stage]]\ndistill = { teachers = [\"runs/a\"] }\n"); });
  const auto expect_refused = [&](std::initializer_list<std::string_view> parts, std::string_view unlabelled) {
    expect_error(ErrorTag::kUsage, parts, [&] { student(fmt::format(", unlabelled = {{ {} }}", unlabelled)); });
  };
  expect_refused({"stage.0.distill.unlabelled", "no task \"mod\"", "did you mean \"mood\"?"}, "mod = [\"lines.txt\"]");
  expect_refused({"stage.0.distill.unlabelled", "same reads pairs", "lines.txt\" has single texts"}, "same = [\"lines.txt\"]");
  expect_refused({"stage.0.distill.unlabelled", "mood reads single texts", "\"near.train\" has pairs"}, "mood = [\"near.train\"]");
  expect_refused({"stage.0.distill.unlabelled", "expected texts"}, "mood = []");
  expect_refused({"stage.0.distill.unlabelled", "twice"}, "same = [\"near.train\", \"near.train\"]");
  expect_error(ErrorTag::kUsage, {"stage.0.distill.unlabelled", "preprocess = \"none\"", "\"cs224n\" of near"}, [&] {
    student(", unlabelled = { same = [\"near.train\"] }", "[[task]]\n[[task]]\n[[task]]\ndata = { preprocess = \"cs224n\" }\n");
  });
  expect_refused({"stage.0.distill.unlabelled", "near.dev", "train splits"}, "same = [\"near.dev\"]");
  const auto expect_stages_refused = [&](std::initializer_list<std::string_view> parts, std::string_view rest) {
    expect_error(ErrorTag::kUsage, parts, [&] { train(config(fmt::format("{}{}", kTwoTeachers, rest)), "refused"); });
  };
  expect_stages_refused({"stage.student.distill.teachers", "\"student\" does not come before", "./student"},
                        "distill = { teachers = [\"student\"] }\n");
  expect_stages_refused({"stage.student.distill.teachers", "\"later\" does not come before"},
                        "distill = { teachers = [\"later\"] }\n[[stage]]\nname = \"later\"\n");
  expect_stages_refused({"stage.student.distill.teachers", "\"0\" trains none"}, "tasks = [\"near\"]\ndistill = { teachers = [\"0\"] }\n");
  expect_stages_refused({"stage student", "no teacher has the task \"near\""}, "distill = { teachers = [\"0\"] }\n");
  EXPECT_FALSE(std::filesystem::exists(run_path("refused")));
  expect_error(ErrorTag::kUsage, {"class_weights"}, [&] { student("", "[[task]]\nclass_weights = \"balanced\"\n"); });
}

}  // namespace
}  // namespace minbert
