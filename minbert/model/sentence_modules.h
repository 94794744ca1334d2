// Modules of sentence-transformers: what makes one vector of a sentence's token vectors, as a list, on numbers, and in files.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/base/options.h"
#include "minbert/ops/backend.h"

namespace minbert {

/// One way to make a vector of token vectors, under the name that sentence_transformers' Pooling has for it and in the order in which its
/// older versions join several. Only kPooler is not one of them: it is BERT's own pooler.
enum class TokenPool : std::uint8_t { kCls, kMax, kMean, kMeanSqrtLength, kWeightedMean, kLastToken, kPooler };
constexpr std::array<OptionName<TokenPool>, 7> option_names(TokenPool) {
  return {{{TokenPool::kCls, "cls"},
           {TokenPool::kMax, "max"},
           {TokenPool::kMean, "mean"},
           {TokenPool::kMeanSqrtLength, "mean_sqrt_len_tokens"},
           {TokenPool::kWeightedMean, "weightedmean"},
           {TokenPool::kLastToken, "lasttoken"},
           {TokenPool::kPooler, "pooler"}}};
}

struct Pooling {
  std::vector<TokenPool> modes = {TokenPool::kMean};  ///< their vectors stand one after the other; kPooler stands alone
  bool include_prompt = true;                         ///< whether tokens of a prompt, and [CLS] before it, take part

  std::int64_t width(std::int64_t hidden) const { return std::ssize(modes) * hidden; }
  /// "cls+mean"
  std::string text() const;
};

/// activation(x w^T + bias), and x or x residual^T added to it where `use_residual` says so.
struct DenseModule {
  std::int64_t inputs = 0, outputs = 0;
  std::string activation = "torch.nn.modules.activation.Tanh";  ///< a class of torch.nn, with its default arguments
  bool use_residual = false;
  std::vector<float> weight = {};    ///< (outputs, inputs)
  std::vector<float> bias = {};      ///< (outputs), or empty
  std::vector<float> residual = {};  ///< (outputs, inputs) if use_residual and the widths differ, else empty
};
/// Layer normalisation with torch's eps, 1e-5.
struct LayerNormModule {
  std::vector<float> weight = {}, bias = {};
};
/// Makes unit vectors.
struct NormalizeModule {};
/// Does nothing outside training; it is kept for export.
struct DropoutModule {
  double p = 0.2;
};
/// Keeps the first numbers of each vector; `truncate_dim` of a model's settings, not a module of modules.json.
struct TruncateModule {
  std::int64_t width = 0;
};
using VectorModule = std::variant<DenseModule, LayerNormModule, NormalizeModule, DropoutModule, TruncateModule>;

/// All that follows the encoder.
struct SentenceModules {
  Pooling pooling = {};
  std::vector<VectorModule> after = {};  ///< in the order in which they are applied

  /// Width of the vectors of an encoder of this hidden size.
  std::int64_t width(std::int64_t hidden) const;
  /// "mean pooling, Dense 384 -> 4 (Tanh), Normalize"
  std::string text() const;
  /// true: appends Normalize unless it is last already. false: removes every Normalize after the last Dense or LayerNorm.
  void set_normalize(bool normalize);
  bool normalizes() const;
  /// `dimensions`: cuts vectors to their first numbers. `normalize`: whether the result has length 1; absent: as before, and a Normalize
  /// then comes after the cut.
  void choose(std::optional<std::int64_t> dimensions, std::optional<bool> normalize);
};

/// The last part of a dotted name: "Tanh" of "torch.nn.modules.activation.Tanh".
inline std::string_view class_name(std::string_view dotted) { return dotted.substr(dotted.rfind('.') + 1); }

// ---- on numbers ----

/// The function of a class of torch.nn with its default arguments, such as "torch.nn.modules.activation.Tanh"; null for one that is not
/// known here.
using ScalarFunction = double (*)(double);
ScalarFunction find_activation(std::string_view type);

/// Overwrites out (modes C) with what `pooling` makes of one sentence's token vectors (n, C), of which the first `skipped` take no part:
/// cls is the first one after them. Zeros where there is none. There is no kPooler among the modes.
void pool_tokens(const Pooling& pooling, std::span<const float> tokens, std::int64_t hidden, std::int64_t skipped, std::span<float> out);

/// Applies modules, in f32, to vectors (rows, width), and returns vectors of another width perhaps.
std::vector<float> apply_modules(Backend& backend, std::span<const VectorModule> modules, std::vector<float> vectors, std::int64_t width);

// ---- in files ----

/// A line of modules.json.
struct ListedModule {
  std::string type;  ///< "sentence_transformers.models.Pooling"
  std::string path;  ///< its folder in the model's folder; empty: that folder itself

  /// Name of its class: "Pooling"; empty if it is not one of sentence-transformers' own.
  std::string_view name() const;
};

/// The modules that the folder's modules.json lists, which may be of any type; none without such a file. Throws Error(kModel) for a broken
/// file, for paths that lead out of the folder, and for a list that does not begin with a Transformer.
std::vector<ListedModule> list_modules(const std::filesystem::path& folder);

/// Reads the listed modules after the Transformer, in any spelling of versions 2 to 6. Keys that disagree with other files without changing
/// a result are noted in `warnings`. Throws Error(kModel), naming file and key, for what is broken or cannot be computed.
SentenceModules read_sentence_modules(const std::filesystem::path& folder, std::span<const ListedModule> listed, std::int64_t hidden,
                                      std::vector<std::string>& warnings);

/// Writes modules.json and a folder for each module, weights as f32 or bf16. A TruncateModule is left to the caller. Throws
/// Error(kResources).
void write_sentence_modules(const std::filesystem::path& folder, const SentenceModules& modules, std::int64_t hidden, Backend& backend,
                            DType dtype);

}  // namespace minbert
