// Pipeline: a model folder that answers texts, for programs that link the library. docs/library.md shows it in use.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/error.h"

/// What programs see stands in minbert::api, because rooms use some of its names for things of their own; minbert/pipeline.h makes it
/// minbert's. Every function throws minbert::Error alone.
namespace minbert::api {

/// What a model computes in. kModel: what its folder says. kInt8: 8-bit products. What the processor lacks becomes f32, with a warning.
enum class MINBERT_API DType : std::uint8_t { kModel, kF32, kBf16, kInt8 };

/// How a model is opened.
struct Options {
  DType dtype = DType::kModel;
  int threads = 0;  ///< 0: MINBERT_THREADS, else as many as cores, affinity mask and CPU quota allow
};

/// A text, or a pair of texts. The characters belong to the caller.
struct Input {
  std::string_view text;
  std::optional<std::string_view> text_pair = {};
};

/// The answer of one task to one input.
struct Prediction {
  std::string label;                  ///< the class's name, or its number as text; of multi_label a JSON list; the number's text
  double score = 0;                   ///< probability of that class, of multi_label of the likeliest one; NaN for a regression
  double value = 0;                   ///< the class's index, or the number, not clamped to the task's range; NaN for multi_label
  std::vector<std::int32_t> classes;  ///< the class's index, or those of multi_label, ascending; empty for a regression
  std::vector<double> probs;          ///< of each class, in the order of TaskInfo::classes; empty for a regression
};

struct TaskInfo {
  std::string name;
  std::string type;                  ///< "classify", "pair_classify", "pair_regress", "regress", "multi_label"
  bool is_pair = false;              ///< whether its inputs are pairs
  bool is_regression = false;        ///< whether its answers are numbers
  bool is_multi_label = false;       ///< whether an answer is a set of classes
  bool has_names = false;            ///< whether classes have names; else "0", "1", ...
  std::vector<std::string> classes;  ///< empty for a regression
  std::string metric;                ///< what it is scored by: "accuracy", "pearson", ...
};

/// What analyze() says of an input.
struct TaskPrediction {
  std::size_t task = 0;  ///< index into tasks()
  Prediction prediction;
};

struct Tokens {
  std::vector<std::int32_t> ids, type_ids;
  std::vector<std::string> tokens;
  /// [start, end) in code points of the text, or of its own text in a pair; [0, 0] for special tokens.
  std::vector<std::array<std::int32_t, 2>> offsets;
};

struct RankedDocument {
  std::size_t index = 0;
  double score = 0;
};

/// Called on the caller's thread with the number of inputs done, after each batch and at least ten times a second. What it throws ends the
/// work and is rethrown.
using Progress = std::function<void(std::size_t done)>;

/// How vectors are made; what is absent is as the folder's sentence-transformers files say, else the mean of the token vectors.
struct EmbedOptions {
  std::optional<std::string> pool = {};         ///< "mean", "cls", ...: the pooled vectors alone, without the folder's other modules
  std::optional<bool> normalize = {};           ///< make unit vectors, or do not
  std::optional<std::int64_t> dimensions = {};  ///< keep the first numbers only, then make unit vectors if they were to be
  std::optional<std::string> prompt = {};       ///< text before each text
  std::optional<std::string> prompt_name = {};  ///< the folder's prompt of this name, where `prompt` is absent
};

struct RankOptions {
  std::string task = {};                  ///< a pair task that gives one number; empty: the only such task, else cosine of vectors
  std::optional<std::size_t> top_k = {};  ///< how many documents are returned
};

/// A model folder, loaded. Any number of threads may call the const functions at once: their rows share one queue and are computed
/// together.
class MINBERT_API Pipeline {
 public:
  /// Loads a Hugging Face folder, a run folder (then its best/), or a folder of sentence-transformers.
  explicit Pipeline(const std::filesystem::path& folder, const Options& options = {});
  ~Pipeline();
  Pipeline(Pipeline&&) noexcept;
  Pipeline& operator=(Pipeline&&) noexcept;

  const std::vector<TaskInfo>& tasks() const;
  /// The index of the task of this name; of the only one if `name` is empty.
  std::size_t find_task(std::string_view name) const;

  /// One prediction for each input, in order. `task` may be empty if the model has one.
  std::vector<Prediction> predict(std::string_view task, std::span<const Input> inputs, const Progress& progress = {}) const;
  std::vector<Prediction> predict(std::string_view task, std::span<const std::string> texts, const Progress& progress = {}) const;
  /// Probabilities (inputs, classes), row-major, with columns in the order of TaskInfo::classes; not for regressions.
  std::vector<double> predict_proba(std::string_view task, std::span<const Input> inputs, const Progress& progress = {}) const;
  std::vector<double> predict_proba(std::string_view task, std::span<const std::string> texts, const Progress& progress = {}) const;

  /// All tasks that fit each input: those of pairs for a pair, else those of single texts. Tasks share one pass of the encoder.
  /// `tasks` names those that are wanted; empty: all.
  std::vector<std::vector<TaskPrediction>> analyze(std::span<const Input> inputs, std::span<const std::string> tasks = {},
                                                   const Progress& progress = {}) const;

  /// Sentence vectors (texts, dimension(options)) f32, row-major.
  std::vector<float> embed(std::span<const std::string_view> texts, const EmbedOptions& options = {}, const Progress& progress = {}) const;
  std::vector<float> embed(std::span<const std::string> texts, const EmbedOptions& options = {}, const Progress& progress = {}) const;
  /// Writes the sentence vectors to `rows`, which must have room for them.
  void embed_to(std::span<float> rows, std::span<const std::string_view> texts, const EmbedOptions& options = {},
                const Progress& progress = {}) const;
  std::size_t dimension(const EmbedOptions& options = {}) const;

  /// The documents by falling score, equal ones in their order. Scores are the pair task's number or its probability of class 1.
  std::vector<RankedDocument> rank(std::string_view query, std::span<const std::string> documents, const RankOptions& options = {}) const;

  /// Token ids with [CLS] and [SEP]; `max_length` counts these, and 0 is no limit.
  std::vector<Tokens> tokenize(std::span<const Input> inputs, std::int64_t max_length = 0) const;

  const std::filesystem::path& folder() const;  ///< where config.json lies
  std::string config() const;                   ///< config.json's sizes, as JSON
  std::int64_t max_length() const;              ///< tokens after which inputs are cut
  std::string dtype() const;                    ///< what it computes in: "f32", "bf16" or "int8"
  int threads() const;
  /// What the program would warn of when it loads this folder, a line each.
  const std::vector<std::string>& warnings() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Vectors (rows, width) f32, row-major, in fewer bits, row-major, as sentence-transformers' quantize_embeddings does: "int8" and "uint8"
/// divide the range of each column over these vectors (two or more) into 256 levels, a byte each; "binary" and "ubinary" keep the signs,
/// (width + 7) / 8 bytes a row. Bytes of "int8" and "binary" are signed.
MINBERT_API std::vector<std::byte> quantize_embeddings(std::span<const float> vectors, std::size_t width, std::string_view precision);

/// The version of the library, such as "0.1.0".
MINBERT_API std::string version();

}  // namespace minbert::api
