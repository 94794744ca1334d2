// RunSetup: what a run's stages share, from its config: rows, tokenizer, parameters.
#pragma once

#include <memory>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/model/multitask.h"
#include "minbert/pipeline/mlm.h"
#include "minbert/pipeline/model_folder.h"
#include "minbert/train/config.h"
#include "minbert/train/events.h"

namespace minbert {

/// One [[task]] of a run.
struct TaskData {
  TaskSpec spec;  ///< with labels resolved
  TaskRows rows;
  TokenizedRows train, dev, test;  ///< of a corpus empty: mlm stages read the rows

  bool has_dev() const { return !rows.dev.rows.empty(); }
  bool has_test() const { return !rows.test.rows.empty(); }
};

struct RunSetup {
  Backend* backend;
  std::vector<TaskData> tasks;    ///< those that stages train: the index of a task is that of its head
  std::vector<TaskSpec> specs;    ///< theirs
  std::vector<TaskData> corpora;  ///< the others
  std::vector<MlmCorpus> mlm;     ///< by stage; empty for all but mlm stages
  Tokenizer tokenizer;
  std::int64_t max_length;
  std::unique_ptr<Params> params;
  std::unique_ptr<MultitaskModel> model;
  std::unique_ptr<BatchRunner> runner = {};  ///< of the model, for passes without a step

  DType compute() const { return params->compute(); }
  /// Index of the task of this name, which a stage must train.
  std::size_t task_index(std::string_view name) const;
  /// Indices of a stage's tasks, in its order.
  std::vector<std::size_t> tasks_of(const StageSpec& stage) const;
};

/// Reads and tokenises all rows and makes room for the parameters, whose values are still to be set. Throws Error: kData, kModel,
/// kUsage for a max_length that the model cannot take.
RunSetup prepare_run(Backend& backend, const RunConfig& config, TrainEvents& events);

/// Tells token ids and labels of all train and dev rows, and texts of mlm stages, apart: a run cannot go on with others.
std::string data_digest(const RunSetup& setup);

/// data.json: what became of the rows of each task, and of the texts of each mlm stage.
Json data_json(const RunSetup& setup, const RunConfig& config);
/// {source: what became of its texts}
Json corpus_json(const MlmCorpus& corpus);

/// Overwrites all parameters with those that the run starts from: model.init, and by seed what that lacks. Tells what came from where.
void set_initial_weights(RunSetup& setup, const RunConfig& config, TrainEvents& events);

}  // namespace minbert
