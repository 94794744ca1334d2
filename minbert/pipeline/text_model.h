// TextModel: a loaded model folder, which turns texts into predictions and sentence vectors.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/data/input_rows.h"
#include "minbert/pipeline/compute.h"
#include "minbert/pipeline/model_folder.h"
#include "minbert/pipeline/predict.h"

namespace minbert {

/// How embed makes vectors.
struct EmbedSettings {
  SentenceModules modules = {};
  std::string prompt = {};  ///< stands before each text
  bool windows = false;     ///< a text longer than max_length gets the mean of the vectors of windows over all of it
};

/// What a TextModel has tokenised so far.
struct TextCounts {
  std::int64_t rows = 0, truncated = 0;  ///< truncated: max_length cut one of the row's sequences
  std::int64_t windowed = 0;             ///< truncated rows that further windows read on
  std::int64_t tokens = 0, unknown = 0;  ///< without [CLS] and [SEP]
};

/// Index of the task of this name among those of the model in `folder`. Throws Error(kUsage) with the nearest name.
std::size_t find_task(std::span<const TaskSpec> tasks, std::string_view name, const std::filesystem::path& folder);

class TextModel {
 public:
  /// Loads tokenizer and weights of a folder (read_model_folder) for inference. `pooler` loads the pooler even where no task reads it,
  /// for embed with TokenPool::kPooler. Encoder parameters that a foreign folder lacks are drawn at random, as transformers does;
  /// import_report() names them. Throws Error(kModel).
  TextModel(Backend& backend, ModelFolder folder, Compute compute, bool pooler = false);

  const ModelFolder& folder() const { return folder_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  const std::vector<TaskSpec>& tasks() const { return folder_.tasks; }
  /// Index of the task of this name. Throws Error(kUsage) with the nearest name.
  std::size_t find_task(std::string_view name) const { return minbert::find_task(tasks(), name, folder_.path); }
  const Params& params() const { return *params_; }
  /// For a RequestQueue, not at the same time as predict and embed.
  MultitaskModel& model() { return *model_; }
  /// What went where when the weights were read.
  const ImportReport& import_report() const { return report_; }
  const TextCounts& counts() const { return counts_; }

  /// Whether predictions come with explanations (explain.h). The model must then compute in f32 with weights for training. Rows that
  /// are read in windows get none; of a symmetric pair the given order alone is answered and explained.
  enum class Why : std::uint8_t { kNo, kExplain };
  /// Predictions for rows of the task's data, whose texts are already preprocessed, in their order. This and the next two throw
  /// Error(kDiverged) if an output is not finite.
  std::vector<Prediction> predict(std::size_t task, std::span<const Row> rows, const RowProgress& progress = {}, Why why = Why::kNo);
  /// Predictions for raw texts, which it preprocesses as the task says, in their order.
  std::vector<Prediction> predict_texts(std::size_t task, std::span<const InputRow> inputs, const RowProgress& progress = {},
                                        Why why = Why::kNo);
  /// Tokens of [CLS] and the prompt at the start of a text that follows it; 0 for an empty one.
  std::int64_t prompt_tokens(std::string_view prompt) const;
  /// Sentence vectors (inputs, modules.width(C)) f32, row-major, of the inputs' first texts.
  std::vector<float> embed(std::span<const InputRow> inputs, const EmbedSettings& settings, const RowProgress& progress = {});

 private:
  std::string place_of(std::string_view row) const;
  TokenizedRows tokenize(const TaskSpec& task, std::span<const Row> rows, std::int64_t prompt_tokens = 1);

  ModelFolder folder_;
  Tokenizer tokenizer_;
  ImportReport report_;
  std::unique_ptr<Params> params_;
  std::unique_ptr<MultitaskModel> model_;
  std::unique_ptr<BatchRunner> runner_;
  TextCounts counts_;
};

}  // namespace minbert
