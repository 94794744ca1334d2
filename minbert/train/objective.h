// Objective: what the steps of a stage train and what its epochs are scored on. All else about a stage is common to all kinds.
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

/// Thrown when should_stop() returns true; the run can be resumed.
struct StopRequested {};
using ShouldStop = std::function<bool()>;

/// Reports the progress of a pass over `rows` rows, which several ranks may share, to `events`. A single process throws StopRequested
/// meanwhile; ranks must end the pass together, in end_pass().
RowProgress follow(std::string what, std::int64_t rows, TrainEvents& events, const ShouldStop& should_stop, const Comm& ranks);

class Objective {
 public:
  virtual ~Objective() = default;

  /// The row sets that steps are drawn from: the stage's tasks in its order, all texts of masked-LM training as
  /// one, or each source of contrastive texts.
  std::span<const SampledTask> sampled() const { return sampled_; }
  /// The rows of sampled()[i].
  virtual const TokenizedRows& rows(std::size_t i) const = 0;
  /// The head that a step on sampled()[i] trains: nothing for the MLM head, or for the encoder alone in a run without one.
  virtual Optimizer::StepHead head(std::size_t i) const = 0;
  /// What the loss of a step on these rows of sampled()[i] is divided by: the task's loss_terms, or the tokens that `epoch` hides.
  virtual double loss_terms(std::size_t i, std::span<const std::uint32_t> rows, int epoch) const = 0;
  /// Accumulates the share's gradient of a step on sampled()[i], one micro-batch after the other, and calls optimizer.touch() for their
  /// words. `epoch` counts from 1. Sets dropout.micro_step itself.
  virtual StepResult step(std::size_t i, const StepShare& share, int epoch, DropoutState dropout, Optimizer& optimizer) = 0;
  /// Calls optimizer.touch() for the words of all these rows, as step() does for those of its share.
  virtual void touch(std::size_t i, std::span<const std::uint32_t> rows, int epoch, Optimizer& optimizer) const = 0;
  /// A step on these rows as one share.
  StepShare whole_step(std::size_t i, std::span<const std::uint32_t> rows, int epoch) const {
    return {.rows = rows, .total = loss_terms(i, rows, epoch), .all_rows = rows.size()};
  }
  /// This rank's share of a step on these rows, and what all ranks must know of the others'. Calls optimizer.begin_step().
  StepShare begin_step(std::size_t i, std::span<const std::uint32_t> rows, int epoch, double lr_factor, Optimizer& optimizer,
                       const Comm& ranks) const;
  /// Peak bytes of activations so far.
  virtual std::size_t activation_bytes() const = 0;

  /// To be called before steps and scores: draws the rows to score and caches vectors of a frozen encoder, which is slow. Throws
  /// StopRequested.
  virtual void prepare() = 0;
  /// Scores the rows that are not trained on; nothing if there are none. Throws Error(kDiverged), StopRequested.
  virtual std::optional<EvalEvent> score(int epoch) = 0;
  /// Scores the rows of train that eval_train asks for. Throws as score() does.
  virtual std::optional<EvalEvent> score_train(int epoch) = 0;
  /// The numbers of score()'s result that epochs are selected by, higher being better. Empty if there is nothing to select by.
  virtual Scores ranking(const EvalEvent& event) const = 0;
  /// Whether ranking() is not empty.
  virtual bool can_select() const = 0;

 protected:
  std::vector<SampledTask> sampled_;
};

/// `from` plus the sum of losses (B).
double sum_of(Backend& backend, const Tensor& losses, double from = 0);
/// Calls optimizer.touch() for the token ids of the rows `which`.
void touch_rows(Optimizer& optimizer, const TokenizedRows& rows, std::span<const std::uint32_t> which);

/// Makes the objective of stage `index`. All arguments must outlive it.
std::unique_ptr<Objective> make_objective(RunSetup& setup, const RunConfig& config, std::size_t index, TrainEvents& events,
                                          const ShouldStop& should_stop);

/// Whether eval_train asks for scores of train after an epoch, which may be the stage's last.
bool scores_train(const StageSpec& stage, bool is_last);
/// The numbers, ascending, of the rows of train's [begin, end) that eval_train asks for: a sample that seed and `name` draw.
std::vector<std::uint32_t> train_sample(const StageSpec& stage, std::int64_t begin, std::int64_t end, std::uint64_t seed,
                                        std::string_view name);

}  // namespace minbert
