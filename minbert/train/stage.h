// Stage: runs one [[stage]], from its first evaluation to its last epoch.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "minbert/train/objective.h"
#include "minbert/train/progress.h"
#include "minbert/train/run_folder.h"

namespace minbert {

/// Whether a stage trains this parameter. A finetune or distill stage trains encoder, pooler and the heads of its tasks; a heads stage
/// those heads; an mlm stage encoder and MLM head; a contrastive stage the encoder. freeze_layers leaves the lowest part of the encoder
/// out, and lora all but the weights of which it needs a gradient.
bool stage_trains(const StageSpec& stage, const ParamInfo& info);

SamplerOptions sampler_options(const RunConfig& config, const StageSpec& stage);
/// Optimizer steps of the whole stage if it does not stop early.
std::int64_t planned_steps(const StageSpec& stage, std::span<const SampledTask> tasks);

/// Overwrites all parameters, on all ranks, with the same bits that such a folder holds, except an MLM head that it lacks. The first rank
/// reads it. Throws Error(kModel).
void load_best(const std::filesystem::path& folder, Params& params, Comm& ranks);

/// Whether a stage keeps its last epoch: it is told to, or nothing tells epochs apart.
inline bool keeps_last(const StageSpec& stage, const Objective& objective) {
  return stage.select == Selection::kLast || !objective.can_select();
}

class Stage {
 public:
  /// Parameters must have the values that the stage starts or resumes from. All arguments must outlive this object. Throws StopRequested.
  Stage(RunSetup& setup, const RunConfig& config, std::size_t index, RunFolder& folder, const ShouldStop& should_stop);

  /// Trains from `at`, a position in this stage, to the stage's end. The best epoch then is in stage_best(). Throws Error(kDiverged), and
  /// StopRequested after saving a checkpoint.
  void run(Progress& at);

 private:
  void resume(const Progress& at);
  void train_epoch(Progress& at);
  bool train_step(Progress& at, const EpochPlan& plan);
  double add_seconds(Progress& at, double seconds) const;
  void finish_epoch(Progress& at);
  std::vector<std::string> part_names() const;
  void save_checkpoint(const Progress& at);
  void save_best(const std::vector<std::string>& improved);
  bool is_spent(const Progress& at) const;
  bool more_epochs(const Progress& at) const;
  double scores_left_s(const Progress& at) const;
  bool keeps_last() const { return minbert::keeps_last(spec_, *objective_); }

  using HeadSnapshots = std::map<std::string, ParamSnapshot, std::less<>>;  // by task
  HeadSnapshots snapshot_heads() const;
  void restore_heads(const HeadSnapshots& heads);

  RunSetup& setup_;
  const RunConfig& config_;
  const StageSpec& spec_;
  RunFolder& folder_;
  const ShouldStop& should_stop_;
  std::unique_ptr<Objective> objective_;
  std::int64_t planned_ = 0;
  double last_scores_s_ = 0;  // what the last epoch's scores took
  DropoutState dropout_;
  Optimizer optimizer_;
  EpochSelection selection_;
  HeadSnapshots best_heads_;  // for per_task selection: each task's head at its best epoch so far
};

}  // namespace minbert
