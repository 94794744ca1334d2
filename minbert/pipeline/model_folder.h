// Model folders: weights, tokenizer and tasks in one place, in Hugging Face's layout with a minbert.json beside it.
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

/// How a folder wants sentence vectors made (modules.json, 1_Pooling/config.json; sentence-transformers).
struct EmbedSettings {
  Pool pool = Pool::kMean;
  bool normalize = false;
};

/// A folder's description, weights aside.
struct ModelFolder {
  std::filesystem::path path;
  ModelConfig config;
  std::vector<TaskSpec> tasks;  ///< of minbert.json; labels resolved; none for a plain Hugging Face folder
  std::int64_t max_length = 0;  ///< minbert.json, else sentence_bert_config.json, else the model's limit
  std::string dtype = "f32";    ///< of minbert.json: the compute dtype it was trained with
  EmbedSettings embed;
};

/// MODEL as a verb or model.init names it: the folder itself, or the best/ of a run folder. Throws Error(kModel): missing, no model in
/// it, a run without best/, the parent of seed runs (naming the seeds).
std::filesystem::path find_model_folder(const std::filesystem::path& path);

/// Finds the folder and reads its description; weights and tokenizer stay unread. Throws Error(kModel).
ModelFolder read_model_folder(const std::filesystem::path& path);

/// The shape whose heads are these tasks, in their order; a pooler where one of them (or `pooler`) wants it.
ModelShape model_shape(const ModelConfig& config, std::span<const TaskSpec> tasks, bool pooler = false);

struct SaveModelOptions {
  std::int64_t max_length = 128;
  std::string dtype = "f32";
  std::string model_card;  ///< README.md; none when empty
  bool mlm = false;        ///< the MLM head too
};

/// Writes config.json, model.safetensors, heads.safetensors (and mlm.safetensors), minbert.json, tokenizer files and the sentence-transformers files into
/// `folder`, created if need be; each file complete or not at all. Pooling: the tasks' common cls or mean, else mean.
void save_model_folder(const std::filesystem::path& folder, const Params& params, std::span<const TaskSpec> tasks, const Tokenizer& tokenizer,
                       const SaveModelOptions& options);

}  // namespace minbert
