// RunSetup: what the stages of a run share: rows, tokenizer and parameters.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "minbert/model/multitask.h"
#include "minbert/pipeline/mlm.h"
#include "minbert/pipeline/model_folder.h"
#include "minbert/train/comm.h"
#include "minbert/train/contrastive_texts.h"
#include "minbert/train/run_rows.h"

namespace minbert {

/// The rows of a distill stage's task that only teachers label.
struct UnlabelledRows {
  std::int64_t read = 0;  ///< with those whose text is blank
  std::vector<Row> rows = {};
  std::int64_t tokens = 0, truncated = 0;  ///< as in TokenizedRows, of these rows
  TokenizedRows with_train = {};           ///< the task's train rows, then these, without further windows
};

struct RunSetup {
  Backend* backend;
  Comm* ranks;                                                         ///< the processes that train together
  std::vector<TaskData> tasks = {};                                    ///< tasks that stages train; a task's index is its head's
  std::vector<TaskData> corpora = {};                                  ///< all other tasks
  std::vector<MlmCorpus> mlm = {};                                     ///< one for each stage; empty except for mlm stages
  std::vector<std::vector<ContrastiveTexts>> contrastive = {};         ///< one list for each stage; empty except for contrastive stages
  std::vector<std::map<std::string, UnlabelledRows>> unlabelled = {};  ///< of each stage, by task; empty except for distill stages
  std::vector<std::map<std::string, std::int64_t>> teachers = {};      ///< how many answer a stage's task; empty except for distill stages
  Tokenizer tokenizer;
  std::int64_t max_length = 0;
  std::optional<ModelFolder> init = {};  ///< the folder that the run starts from; nothing if it starts from scratch
  std::unique_ptr<Params> params = {};
  std::unique_ptr<MultitaskModel> model = {};
  std::string models = {};                   ///< a hash of the models outside the run that stages read later; empty without any
  std::filesystem::path run = {};            ///< the run's folder; empty where nothing is written
  std::unique_ptr<BatchRunner> runner = {};  ///< runs the model where no step is made: scores and cached vectors

  DType compute() const { return params->compute(); }
  /// The specs of `tasks`.
  std::vector<TaskSpec> specs() const;
  /// Index of the task of this name, which some stage must train.
  std::size_t task_index(std::string_view name) const;
  /// Indices of a stage's tasks, in its order.
  std::vector<std::size_t> tasks_of(const StageSpec& stage) const;
};

/// The folders of the models outside this run that teach a distill stage: a run in which each task has a model of its own has several.
/// Throws Error(kModel).
std::vector<std::filesystem::path> teacher_folders(const RunConfig& config, const StageSpec& stage);

/// The models that teach a distill stage, each with the tasks that it was trained on. Earlier stages of `run` must have ended. Throws
/// Error(kModel).
std::vector<ModelFolder> read_teachers(const RunConfig& config, const StageSpec& stage, const std::filesystem::path& run);

/// Reads and tokenises all rows and allocates the parameters, whose values set_initial_weights() or a checkpoint sets. `backend` and
/// `ranks` must outlive the result. Throws Error: kData, kModel, kUsage for a max_length above the model's limit, for more
/// layers or wider vectors than it has, for a teacher of other tasks, or for losses that several ranks cannot share.
RunSetup prepare_run(Backend& backend, const RunConfig& config, TrainEvents& events, Comm& ranks);

}  // namespace minbert
