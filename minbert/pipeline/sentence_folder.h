// What a folder of sentence-transformers says about texts and their vectors: limits, prompts, modules.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "minbert/model/sentence_modules.h"
#include "minbert/pipeline/model_folder.h"

namespace minbert {

/// Settings of the module Transformer that any use of the encoder follows.
struct TransformerSettings {
  std::int64_t max_length = 0;             ///< in tokens; 0: not said
  std::filesystem::path length_file = {};  ///< where it is said
  Json config = Json::object();            ///< keys that replace those of config.json
};

/// Reads sentence_bert_config.json (or a file by an older name) in the encoder's folder, and the limit of tokenizer_config.json where the
/// former has none. Throws Error(kModel) for values of a wrong type, and for limits below 3.
TransformerSettings read_transformer_settings(const std::filesystem::path& folder);

/// Texts to put before the texts that are embedded (config_sentence_transformers.json).
struct Prompts {
  std::map<std::string, std::string> texts;
  std::string by_default;  ///< the default prompt itself, not its name

  /// Throws Error(kUsage) with the nearest name.
  const std::string& named(const std::string& name) const;
};

/// The prompts, which come with modules.json only. Throws Error(kModel) for a broken file, and for a default that names no prompt.
Prompts read_prompts(const ModelFolder& folder);

/// How sentence-transformers makes vectors with this folder; without modules.json by the mean. Keys that disagree are noted in `warnings`.
/// Throws Error(kModel), naming file and key, for what cannot be computed.
SentenceModules read_sentence_modules(const ModelFolder& folder, std::vector<std::string>& warnings);

/// Copies config_sentence_transformers.json, without the versions of the programs that wrote it.
void copy_sentence_config(const ModelFolder& from, const std::filesystem::path& to);

}  // namespace minbert
