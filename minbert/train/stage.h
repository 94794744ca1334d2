// Stage: one [[stage]] of a run, from its first evaluation to its last epoch.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "minbert/data/sampler.h"
#include "minbert/pipeline/predict.h"
#include "minbert/train/progress.h"
#include "minbert/train/run_folder.h"
#include "minbert/train/step.h"

namespace minbert {

/// Which parameters a stage trains: heads of its tasks, and in a finetune stage encoder and pooler.
bool stage_trains(const StageSpec& stage, const ParamInfo& info);

/// What the samplers know of a stage's tasks, in its order.
std::vector<SampledTask> sampled_tasks(const RunConfig& config, const StageSpec& stage, std::span<const TaskData> tasks);
SamplerOptions sampler_options(const RunConfig& config, const StageSpec& stage);
/// Optimizer steps of the whole stage when it does not stop early.
std::int64_t planned_steps(const StageSpec& stage, std::span<const SampledTask> tasks);

/// checkpoints/stage-NAME/best of a run.
std::filesystem::path stage_best(const RunFolder& folder, const StageSpec& stage);
/// Overwrites all parameters, bit for bit, with those of such a folder. Throws Error(kModel).
void load_best(const std::filesystem::path& folder, Params& params);

/// Thrown when should_stop() says so: the run goes on another time.
struct StopRequested {};

/// For a pass over `rows` rows: tells `events` how far it is. Throws StopRequested.
RowProgress follow(std::string what, std::int64_t rows, TrainEvents& events, const std::function<bool()>& should_stop);

class Stage {
 public:
  /// Parameters must hold what the stage starts, or goes on, from. All arguments must outlive this object. Throws StopRequested.
  Stage(RunSetup& setup, const RunConfig& config, std::size_t index, RunFolder& folder, const std::function<bool()>& should_stop);

  /// Goes on from `at`, which must be of this stage, to the stage's end; its best epoch then is in stage_best(). Throws StopRequested,
  /// after a checkpoint, and Error(kDiverged).
  void run(Progress& at);

 private:
  /// Rows that epochs are scored on.
  struct EvalRows {
    std::size_t task = 0;
    const TokenizedRows* rows = nullptr;
    std::vector<float> vectors;  // of a frozen encoder
  };
  void prepare_rows();
  std::vector<float> cache(std::size_t task, const TokenizedRows& rows);
  void resume(const Progress& at);
  void train_epoch(Progress& at);
  void train_step(Progress& at, const EpochPlan& plan);
  void finish_epoch(Progress& at);
  EvalEvent evaluate(std::string_view split, std::span<const EvalRows> rows, int epoch);
  void save_checkpoint(const Progress& at);
  void save_best(const std::vector<std::string>& improved);
  bool more_epochs(const Progress& at) const;
  bool keeps_last() const { return spec_.select == Selection::kLast || dev_.empty(); }
  bool frozen() const { return spec_.kind == StageKind::kHeads; }

  using HeadValues = std::map<std::string, std::vector<std::vector<float>>, std::less<>>;  // by task
  HeadValues head_values(const std::vector<std::string>& tasks) const;
  void set_head_values(const HeadValues& values);

  RunSetup& setup_;
  const RunConfig& config_;
  const StageSpec& spec_;
  RunFolder& folder_;
  const std::function<bool()>& should_stop_;
  std::vector<StepRows> train_;                   // by task of the stage
  std::vector<std::vector<float>> train_vectors_; // theirs, when cached
  std::deque<TokenizedRows> samples_;             // eval_train rows of each task
  std::vector<EvalRows> dev_, train_sample_;
  std::vector<SampledTask> sampled_;
  std::int64_t planned_ = 0;
  DropoutState dropout_;
  Optimizer optimizer_;
  TrainStep step_;
  EpochSelection selection_;
  HeadValues best_heads_;  // per_task: of each task's best epoch
};

}  // namespace minbert
