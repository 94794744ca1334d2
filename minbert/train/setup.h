// RunSetup: what a run's stages share, from its config: rows, tokenizer, parameters.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "minbert/model/multitask.h"
#include "minbert/pipeline/model_folder.h"
#include "minbert/train/run_rows.h"

namespace minbert {

struct RunSetup {
  Backend* backend;
  std::vector<TaskData> tasks = {};    ///< those that stages train: the index of a task is that of its head
  std::vector<TaskData> corpora = {};  ///< the others
  std::vector<MlmCorpus> mlm = {};     ///< by stage; empty for all but mlm stages
  Tokenizer tokenizer;
  std::int64_t max_length = 0;
  std::optional<ModelFolder> init = {};  ///< the folder that the run starts from; nothing from scratch
  std::unique_ptr<Params> params = {};
  std::unique_ptr<MultitaskModel> model = {};

  DType compute() const { return params->compute(); }
  /// The specs of `tasks`.
  std::vector<TaskSpec> specs() const;
  /// Index of the task of this name, which a stage must train.
  std::size_t task_index(std::string_view name) const;
  /// Indices of a stage's tasks, in its order.
  std::vector<std::size_t> tasks_of(const StageSpec& stage) const;
};

/// Reads and tokenises all rows and makes room for the parameters; set_initial_weights() or a checkpoint gives them values. Throws Error:
/// kData, kModel, kUsage for a max_length that the model cannot take.
RunSetup prepare_run(Backend& backend, const RunConfig& config, TrainEvents& events);

}  // namespace minbert
