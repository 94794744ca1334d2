// Model folders: weights, tokenizer and tasks in Hugging Face's layout, with a minbert.json that describes the tasks.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "minbert/model/hf_import.h"
#include "minbert/model/params.h"
#include "minbert/model/sentence_modules.h"
#include "minbert/pipeline/task.h"
#include "minbert/tokenizer/tokenizer.h"

namespace minbert {

/// What the folder's JSON files say; weights and tokenizer are not part of it.
struct ModelFolder {
  std::filesystem::path path;  ///< holds config.json, weights and tokenizer
  std::filesystem::path root;  ///< holds modules.json where there is one; old versions put the encoder into a folder inside it
  ModelConfig config;
  bool is_own = false;                ///< minbert wrote it: it has a minbert.json
  std::vector<TaskSpec> tasks;        ///< of minbert.json, with labels resolved; empty for a plain Hugging Face folder
  std::int64_t max_length = 0;        ///< of minbert.json, else as read_transformer_settings says; never above the model's limit
  std::string dtype = "f32";          ///< of minbert.json: the dtype that training computed in
  std::vector<ListedModule> modules;  ///< of modules.json; empty without one
  std::vector<std::string> warnings;  ///< what two of the files say differently, a line each
};

/// The names of the run folders that --seeds or --folds made in a folder, seed-N or fold-N, by N; none if it is a run itself.
std::vector<std::string> runs_inside(const std::filesystem::path& folder);

/// Resolves MODEL, as a verb or model.init names it, to the folder of its encoder: a model folder itself, the best/ of a run folder, or the
/// folder inside that modules.json names. Throws Error(kModel) if it is missing or holds no model, if a run has no best/ yet, or if it
/// holds several runs (naming them).
std::filesystem::path find_model_folder(const std::filesystem::path& path);

/// Whether this is the folder of a model or of runs, finished or not; never throws.
bool names_model(const std::filesystem::path& path);

/// The folders best-TASK of a run in which each task has a model of its own, in the order of its tasks; else `path` itself. Throws
/// Error(kModel).
std::vector<std::filesystem::path> answering_folders(const std::filesystem::path& path);

/// Finds the folder and reads its description; weights and tokenizer stay unread. Throws Error(kModel).
ModelFolder read_model_folder(const std::filesystem::path& path);

/// As read_model_folder, for one model that is to answer all tasks. Throws Error(kModel) for a run in which tasks have models of their own.
ModelFolder read_whole_model(const std::filesystem::path& path);

/// Reads the models that together answer each task once; the first of them makes sentence vectors. A plain model is one folder. Of a run
/// with best = "per_task" they are best/, its list of tasks emptied, and each best-TASK/. Throws Error(kModel).
std::vector<ModelFolder> read_answering_folders(const std::filesystem::path& path);

/// The files of a model folder that it is read from, in alphabetical order. Others (README.md, other formats) do not matter.
std::vector<std::filesystem::path> model_files(const std::filesystem::path& folder);

/// One hash, in hexadecimal digits, of the model_files() of several folders; empty for none. Throws Error(kModel).
std::string models_digest(const std::set<std::filesystem::path>& folders);

/// Whether its weights include BERT's pooler. Throws Error(kModel).
bool has_pooler(const ModelFolder& folder);

/// The shape with a head for each task, in their order, and with a pooler if a task or `pooler` asks for one.
ModelShape model_shape(const ModelConfig& config, std::span<const TaskSpec> tasks, bool pooler = false);
/// Throws Error(tag) at `place` if the task reads pairs as one sequence, and the model has no second token type for the second text.
void expect_token_types(const TaskSpec& task, const ModelConfig& config, ErrorTag tag, const std::string& place);

struct SaveModelOptions {
  std::int64_t max_length = 128;
  std::string dtype = "f32";
  std::string model_card;  ///< text of README.md; empty: no such file
  bool mlm = false;        ///< save the MLM head too
};

/// Writes config.json, model.safetensors, heads.safetensors (and mlm.safetensors), minbert.json, tokenizer files and the files of
/// sentence-transformers into `folder`, which it creates if need be. Each file appears complete or not at all. The pooling is cls if all
/// tasks use it, else mean.
void save_model_folder(const std::filesystem::path& folder, const Params& params, std::span<const TaskSpec> tasks,
                       const Tokenizer& tokenizer, const SaveModelOptions& options);

}  // namespace minbert
