// Objective: what the steps of a stage train, and what its epochs are scored on. The rest of a stage is the same for all kinds.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "minbert/data/sampler.h"
#include "minbert/train/events.h"
#include "minbert/train/selection.h"
#include "minbert/train/setup.h"
#include "minbert/train/step_share.h"

namespace minbert {

/// Thrown when should_stop() says so: the run goes on another time.
struct StopRequested {};
using ShouldStop = std::function<bool()>;

/// For a pass over `rows` rows: tells `events` how far it is. Throws StopRequested.
RowProgress follow(std::string what, std::int64_t rows, TrainEvents& events, const ShouldStop& should_stop);

class Objective {
 public:
  virtual ~Objective() = default;

  /// What steps are drawn from: the stage's tasks in its order, or the texts of masked-LM training as one.
  std::span<const SampledTask> sampled() const { return sampled_; }
  /// The rows of sampled()[i].
  virtual const TokenizedRows& rows(std::size_t i) const = 0;
  /// What a step on sampled()[i] trains.
  virtual Optimizer::StepHead head(std::size_t i) const = 0;
  /// How many terms the loss of a step on these rows of sampled()[i] is the mean of: rows, or the tokens that `epoch` hides in them.
  virtual std::int64_t loss_terms(std::size_t i, std::span<const std::uint32_t> rows, int epoch) const = 0;
  /// Accumulates the share's gradient of a step on sampled()[i], a micro-batch at a time, and tells the optimizer which words it touched.
  /// `epoch` counts from 1. dropout.micro_step is set here.
  virtual StepResult step(std::size_t i, const StepShare& share, int epoch, DropoutState dropout, Optimizer& optimizer) = 0;
  /// A step on these rows as one share.
  StepShare whole_step(std::size_t i, std::span<const std::uint32_t> rows, int epoch) const { return {.rows = rows, .total = loss_terms(i, rows, epoch)}; }
  /// The most bytes of activations in use at once so far.
  virtual std::size_t activation_bytes() const = 0;

  /// What scores and a frozen encoder's steps need; before either, and slow. Throws StopRequested.
  virtual void prepare() = 0;
  /// Scores on rows that are not trained on; nothing when there are none. Throws Error(kDiverged), StopRequested.
  virtual std::optional<EvalEvent> score(int epoch) = 0;
  /// Scores on the rows of train that eval_train asks for.
  virtual std::optional<EvalEvent> score_train(int epoch) = 0;
  /// Of an event of score(): what epochs are selected by, more being better. Empty: there is nothing to select by.
  virtual Scores ranking(const EvalEvent& event) const = 0;
  /// Whether ranking() has anything.
  virtual bool can_select() const = 0;

 protected:
  std::vector<SampledTask> sampled_;
};

/// Of stage `index`. All arguments must outlive it.
std::unique_ptr<Objective> make_objective(RunSetup& setup, const RunConfig& config, std::size_t index, TrainEvents& events,
                                          const ShouldStop& should_stop);

/// How many rows of train eval_train asks for.
std::int64_t eval_train_rows(const StageSpec& stage);

}  // namespace minbert
