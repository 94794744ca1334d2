// MlmObjective: masked-LM further pretraining (paper 3.4). Trains the encoder and the MLM head; scored by their loss on held-out texts.
#pragma once

#include "minbert/pipeline/mlm.h"
#include "minbert/train/objective.h"

namespace minbert {

class MlmObjective final : public Objective {
 public:
  MlmObjective(RunSetup& setup, const StageSpec& stage, const MlmCorpus& corpus, std::uint64_t seed, TrainEvents& events,
               const ShouldStop& should_stop);

  const TokenizedRows& rows(std::size_t) const override { return corpus_.train; }
  Optimizer::StepHead head(std::size_t) const override { return std::nullopt; }
  double loss_terms(std::size_t, std::span<const std::uint32_t> rows, int epoch) const override {
    return static_cast<double>(count_chosen(corpus_.train, rows, train_masking(epoch)));
  }
  void touch(std::size_t i, std::span<const std::uint32_t> rows, int epoch, Optimizer& optimizer) const override;
  /// A small step may hide no token at all; its loss and gradient are 0.
  StepResult step(std::size_t i, const StepShare& share, int epoch, DropoutState dropout, Optimizer& optimizer) override;
  std::size_t activation_bytes() const override { return arena_.peak_bytes(); }

  void prepare() override;
  std::optional<EvalEvent> score(int epoch) override { return evaluate("held_out", held_out_, epoch); }
  std::optional<EvalEvent> score_train(int epoch) override { return evaluate("train", train_sample_, epoch); }
  Scores ranking(const EvalEvent& event) const override;
  bool can_select() const override;

 private:
  /// Rows that epochs are scored on. Every epoch hides the same tokens of them.
  struct EvalRows {
    const MlmSource* source = nullptr;
    const TokenizedRows* rows = nullptr;
    Masking masking;
  };
  bool hides_a_token(const MlmSource& source, const TokenizedRows& rows) const;
  void add_rows(std::vector<EvalRows>& to, const MlmSource& source, const TokenizedRows& rows);
  std::optional<EvalEvent> evaluate(std::string_view split, std::span<const EvalRows> rows, int epoch);
  Masking train_masking(int epoch) const { return masking(fmt::format("train/{}/{}", stage_.name, epoch)); }
  Masking masking(std::string_view stream) const { return {setup_.tokenizer, stage_.mlm->mask, seed_, stream}; }

  RunSetup& setup_;
  const StageSpec& stage_;
  const MlmCorpus& corpus_;
  std::uint64_t seed_;
  TrainEvents& events_;
  const ShouldStop& should_stop_;
  Arena arena_;
  MaskedBatch batch_;
  MlmActivations activations_;
  std::vector<TokenizedRows> samples_;  // the train rows of each source that eval_train asks for
  std::vector<EvalRows> held_out_, train_sample_;
};

}  // namespace minbert
