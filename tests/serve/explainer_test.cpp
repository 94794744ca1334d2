// The explainer's thread: what it does not compute, and how it ends.
#include "minbert/serve/explainer.h"

#include <future>

#include "tests/pipeline/tiny_folder.h"

namespace minbert {
namespace {

class ExplainerTest : public testing::Test {
 protected:
  ExplainerTest() {
    save_tiny_folder(folder_.path(), tasks_);
    std::vector<TextModel> models;
    models.emplace_back(*backend_, read_model_folder(folder_.path()), Compute{});
    models_ = std::make_unique<Ensemble>(std::move(models));
  }

  /// A job for the first task, and what becomes of it.
  struct Asked {
    std::shared_ptr<Explainer::Job> job = std::make_shared<Explainer::Job>();
    std::promise<Explainer::Dropped> dropped;
  };
  std::shared_ptr<Asked> ask() {
    const auto asked = std::make_shared<Asked>();
    append_text(asked->job->row, models_->models().front().tokenizer(), models_->tasks()[0], "a b c", {}, 8);
    asked->job->done = [asked = asked.get()](Prediction prediction, std::exception_ptr failure, Explainer::Dropped dropped) {
      EXPECT_EQ(failure, nullptr);
      EXPECT_EQ(prediction.explanation != nullptr, dropped == Explainer::Dropped::kNo);
      asked->dropped.set_value(dropped);
    };
    return asked;
  }

  TempFolder folder_;
  std::vector<TaskSpec> tasks_ = tasks_of_every_kind();
  std::unique_ptr<Backend> backend_ = make_backend("cpu");
  std::unique_ptr<Ensemble> models_;
};

TEST_F(ExplainerTest, DropsWhatNobodyWaitsForAndWhatHasWaitedTooLong) {
  Explainer explainer(*models_, *backend_, 3600);
  const auto gone = ask(), wanted = ask();
  gone->job->gone = true;
  ASSERT_TRUE(explainer.submit(gone->job));
  ASSERT_TRUE(explainer.submit(wanted->job));
  EXPECT_EQ(gone->dropped.get_future().get(), Explainer::Dropped::kGone);
  EXPECT_EQ(wanted->dropped.get_future().get(), Explainer::Dropped::kNo);
  Explainer hasty(*models_, *backend_, -1);
  const auto late = ask();
  ASSERT_TRUE(hasty.submit(late->job));
  EXPECT_EQ(late->dropped.get_future().get(), Explainer::Dropped::kExpired);
}

TEST_F(ExplainerTest, TakesSoManyAndAnswersEachOnceWhenItEnds) {
  std::vector<std::shared_ptr<Asked>> all;
  {
    Explainer explainer(*models_, *backend_, 3600);
    for (std::size_t i = 0; i < 2 * Explainer::kMostWaiting; ++i) {
      all.push_back(ask());
      if (!explainer.submit(all.back()->job)) all.pop_back();
    }
    EXPECT_GE(all.size(), Explainer::kMostWaiting);
    explainer.close();
    EXPECT_FALSE(explainer.submit(ask()->job));
  }
  for (const auto& asked : all) {
    const Explainer::Dropped dropped = asked->dropped.get_future().get();
    EXPECT_TRUE(dropped == Explainer::Dropped::kNo || dropped == Explainer::Dropped::kClosed);
  }
}

}  // namespace
}  // namespace minbert
