// Model folders: weights, tokenizer and tasks in Hugging Face's layout, with a minbert.json that describes the tasks.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "minbert/model/hf_import.h"
#include "minbert/model/params.h"
#include "minbert/pipeline/task.h"
#include "minbert/tokenizer/tokenizer.h"

namespace minbert {

/// How sentence-transformers makes sentence vectors with the folder (modules.json, 1_Pooling/config.json).
struct EmbedSettings {
  Pool pool = Pool::kMean;
  bool normalize = false;
};

/// What the folder's JSON files say; weights and tokenizer are not part of it.
struct ModelFolder {
  std::filesystem::path path;
  ModelConfig config;
  bool is_own = false;          ///< minbert wrote it: it has a minbert.json
  std::vector<TaskSpec> tasks;  ///< of minbert.json, with labels resolved; empty for a plain Hugging Face folder
  std::int64_t max_length = 0;  ///< minbert.json, else sentence_bert_config.json, else the model's limit
  std::string dtype = "f32";    ///< of minbert.json: the dtype that training computed in
  EmbedSettings embed;
};

/// Resolves MODEL, as a verb or model.init names it: a model folder itself, or the best/ of a run folder. Throws Error(kModel) if it is
/// missing or holds no model, if a run has no best/ yet, or if it holds runs of several seeds (naming them).
std::filesystem::path find_model_folder(const std::filesystem::path& path);

/// Finds the folder and reads its description; weights and tokenizer stay unread. Throws Error(kModel).
ModelFolder read_model_folder(const std::filesystem::path& path);

/// The shape with a head for each task, in their order, and with a pooler if a task or `pooler` asks for one.
ModelShape model_shape(const ModelConfig& config, std::span<const TaskSpec> tasks, bool pooler = false);

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
