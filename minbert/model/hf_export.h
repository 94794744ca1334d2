// Export: folders that transformers and sentence-transformers open unchanged. The caller adds the tokenizer's files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "minbert/model/params.h"
#include "minbert/model/sentence_modules.h"

namespace minbert {

struct EncoderExport {
  DType dtype = DType::kF32;      ///< or kBF16
  SentenceModules modules = {};   ///< how sentence-transformers computes a sentence vector
  std::int64_t max_length = 512;  ///< in tokens, for sentence-transformers
  bool weights = true;            ///< write model.safetensors; else the encoder is in a file of another format
};

/// Writes config.json and model.safetensors (encoder, and pooler if there is one) for BertModel, and modules.json, the folders of modules
/// and sentence_bert_config.json for SentenceTransformer. Throws Error(kResources).
void export_encoder(const std::filesystem::path& folder, const Params& params, const EncoderExport& options);

struct ClassifierExport {
  DType dtype = DType::kF32;        ///< or kBF16
  std::vector<std::string> labels;  ///< a name for each class; empty: regression
  float dropout = 0;                ///< before the classifier
  bool multi_label = false;         ///< a sigmoid for each label instead of a softmax
  double temperature = 1;           ///< weight and bias are divided by it, so that the logits are
};

/// The head of a task that BertForSequenceClassification has: a single linear layer on the pooler. Throws Error(kUsage) for any other.
const HeadShape& classifier_head(const ModelShape& shape, const std::string& task);

/// Writes config.json and model.safetensors for BertForSequenceClassification with the head of one task. A head with one logit for
/// two labels becomes two rows, [0; w]. Throws Error(kUsage) where the head is not a single linear layer on the pooler.
void export_sequence_classification(const std::filesystem::path& folder, const Params& params, const std::string& task,
                                    const ClassifierExport& options);

}  // namespace minbert
