// RunSetup: what a run's stages share, from its config: rows, tokenizer, parameters.
#pragma once

#include <memory>
#include <vector>

#include "minbert/model/multitask.h"
#include "minbert/pipeline/model_folder.h"
#include "minbert/pipeline/tokens.h"
#include "minbert/train/config.h"
#include "minbert/train/events.h"

namespace minbert {

/// One task of a run.
struct TaskData {
  TaskSpec spec;  ///< with labels resolved
  TaskRows rows;
  TokenizedRows train, dev, test;

  bool has_dev() const { return !rows.dev.rows.empty(); }
  bool has_test() const { return !rows.test.rows.empty(); }
};

struct RunSetup {
  Backend* backend;
  std::vector<TaskData> tasks;  ///< the index of a task is that of its head
  std::vector<TaskSpec> specs;  ///< theirs
  Tokenizer tokenizer;
  std::int64_t max_length;
  std::unique_ptr<Params> params;
  std::unique_ptr<MultitaskModel> model;

  DType compute() const { return params->compute(); }
};

/// Reads and tokenises all rows and makes room for the parameters, whose values are still to be set. Throws Error: kData, kModel,
/// kUsage for a max_length that the model cannot take.
RunSetup prepare_run(Backend& backend, const RunConfig& config, TrainEvents& events);

/// Tells token ids and labels of all train and dev rows apart: a run cannot go on with others.
std::string data_digest(std::span<const TaskData> tasks);

/// Overwrites all parameters with those that the run starts from: model.init, and by seed what that lacks. Tells what came from where.
void set_initial_weights(RunSetup& setup, const RunConfig& config, TrainEvents& events);

}  // namespace minbert
