// TaskObjective: trains heads of tasks, and in a finetune stage the encoder; scored by each task's metric on dev.
#pragma once

#include <deque>

#include "minbert/pipeline/ensemble.h"
#include "minbert/pipeline/predict.h"
#include "minbert/train/objective.h"
#include "minbert/train/step.h"

namespace minbert {

class TaskObjective final : public Objective {
 public:
  /// Trains the stage of this index. All arguments must outlive this object.
  TaskObjective(RunSetup& setup, const RunConfig& config, std::size_t index, TrainEvents& events, const ShouldStop& should_stop);

  const TokenizedRows& rows(std::size_t i) const override { return *train_[i].rows; }
  Optimizer::StepHead head(std::size_t i) const override { return train_[i].task; }
  double loss_terms(std::size_t i, std::span<const std::uint32_t> rows, int) const override {
    return minbert::loss_terms(setup_.tasks[train_[i].task].spec, *train_[i].rows, rows);
  }
  void touch(std::size_t i, std::span<const std::uint32_t> rows, int epoch, Optimizer& optimizer) const override;
  StepResult step(std::size_t i, const StepShare& share, int epoch, DropoutState dropout, Optimizer& optimizer) override;
  std::size_t activation_bytes() const override { return step_.activation_bytes(); }

  void prepare() override;
  std::optional<EvalEvent> score(int epoch) override { return evaluate("dev", dev_, epoch); }
  std::optional<EvalEvent> score_train(int epoch) override { return evaluate("train", train_sample_, epoch); }
  Scores ranking(const EvalEvent& event) const override { return event.scores; }
  bool can_select() const override;

 private:
  /// Rows that epochs are scored on.
  struct EvalRows {
    std::size_t task = 0;
    const TokenizedRows* rows = nullptr;
    std::vector<float> vectors;         // cached, of a frozen encoder
    std::vector<float> window_vectors;  // of further windows, if vectors are cached
  };
  std::vector<float> cache(std::size_t task, const TokenizedRows& rows);
  Ensemble load_teachers() const;
  std::span<double> ask_teachers(std::optional<Ensemble>& teachers, const std::string& what, const TaskData& task,
                                 std::span<const Row> rows, std::span<double> answers);
  void add_train_sample(std::size_t task, std::span<const float> vectors);
  std::vector<Prediction> predict(const EvalRows& eval, std::string what);
  std::optional<EvalEvent> evaluate(std::string_view split, std::span<const EvalRows> rows, int epoch);

  RunSetup& setup_;
  const RunConfig& config_;
  const StageSpec& stage_;
  const std::map<std::string, UnlabelledRows>& unlabelled_;
  TrainEvents& events_;
  const ShouldStop& should_stop_;
  TrainStep step_;
  std::vector<StepRows> train_;                    // one for each task of the stage
  std::vector<std::vector<float>> train_vectors_;  // what train_[i].vectors views, if cached
  std::deque<TokenizedRows> samples_;              // the train rows of each task that eval_train asks for
  std::vector<EvalRows> dev_, train_sample_;
  std::map<std::size_t, std::vector<double>> thresholds_;  // of each multi_label task, as fitted on dev after the last epoch
};

}  // namespace minbert
