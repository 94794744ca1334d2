// Laws of training on what teachers answer.
#include <algorithm>

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
  expect_error(ErrorTag::kUsage, {"taught by itself"}, [&] { train(student(""), "teacher", {.overwrite = true}); });
  EXPECT_TRUE(std::filesystem::exists(run_path("teacher") / "best"));
  expect_error(ErrorTag::kModel, {"nobody"},
               [&] { train(config("[[stage]]\nkind = \"distill\"\ndistill = { teachers = [\"runs/nobody\"] }\n"), "missing"); });
}

TEST_F(DistillTest, KeysThatDoNotFitAreRefused) {
  expect_error(ErrorTag::kUsage, {"stage.0.distill.teachers"}, [&] { config("[[stage]]\nkind = \"distill\"\n"); });
  expect_error(ErrorTag::kUsage, {"is for stages of kind \"distill\""},
               [&] { config("[[stage]]\ndistill = { teachers = [\"runs/a\"] }\n"); });
  expect_error(ErrorTag::kUsage, {"class_weights"}, [&] { student("", "[[task]]\nclass_weights = \"balanced\"\n"); });
}

}  // namespace
}  // namespace minbert
