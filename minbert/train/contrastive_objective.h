// ContrastiveObjective: moves vectors of texts that belong together closer than those of the batch's other texts. Trains the encoder;
// nothing is scored, so that the last epoch is kept.
#pragma once

#include "minbert/train/objective.h"

namespace minbert {

class ContrastiveObjective final : public Objective {
 public:
  /// All arguments must outlive this object.
  ContrastiveObjective(RunSetup& setup, const StageSpec& stage, std::span<const ContrastiveTexts> texts);

  const TokenizedRows& rows(std::size_t i) const override { return texts_[i].rows; }
  Optimizer::StepHead head(std::size_t) const override { return std::nullopt; }
  double loss_terms(std::size_t, std::span<const std::uint32_t> rows, int) const override { return static_cast<double>(rows.size()); }
  void touch(std::size_t i, std::span<const std::uint32_t> rows, int, Optimizer& optimizer) const override {
    touch_rows(optimizer, texts_[i].rows, rows);
  }
  StepResult step(std::size_t i, const StepShare& share, int epoch, DropoutState dropout, Optimizer& optimizer) override;
  std::size_t activation_bytes() const override { return arena_.peak_bytes(); }

  void prepare() override {}
  std::optional<EvalEvent> score(int) override { return std::nullopt; }
  std::optional<EvalEvent> score_train(int) override { return std::nullopt; }
  Scores ranking(const EvalEvent&) const override { return {}; }
  bool can_select() const override { return false; }

 private:
  double micro_step(const ContrastiveTexts& texts, std::span<const std::uint32_t> rows, double scale, const DropoutState& dropout,
                    Optimizer& optimizer, const Encoder::GradReady& on_grad_ready);

  RunSetup& setup_;
  const StageSpec& stage_;
  std::span<const ContrastiveTexts> texts_;
  std::vector<std::int64_t> widths_;  // of the vectors that are compared
  Arena arena_;
  Batch batch_;
  TaskActivations activations_;
  std::vector<std::int32_t> groups_;
};

}  // namespace minbert
