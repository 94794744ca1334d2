// The one table of parameters, and the arenas that hold their values and gradients.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minbert/base/arena.h"
#include "minbert/base/options.h"
#include "minbert/base/rng.h"
#include "minbert/model/config.h"
#include "minbert/ops/backend.h"

namespace minbert {

enum class Role : std::uint8_t { kEncoder, kPooler, kHead, kMlm };
enum class Init : std::uint8_t { kNormal, kUniform, kZeros, kOnes, kSpread };

/// How the layers of a new head start. kTorch: as torch.nn.Linear draws them (torch/nn/modules/linear.py, reset_parameters), weights and
/// biases U(-1/sqrt(in), 1/sqrt(in)). kNormal: as BERT's own layers start, weights N(0, initializer_range^2) and biases zero.
enum class HeadInit : std::uint8_t { kTorch, kNormal };
constexpr std::array<OptionName<HeadInit>, 2> option_names(HeadInit) {
  return {{{HeadInit::kTorch, "torch"}, {HeadInit::kNormal, "normal"}}};
}

/// What a sentence vector is: the last hidden state of [CLS], tanh of a dense layer on that (BERT's pooler), or the mean of the last
/// hidden states of the sentence's tokens.
enum class Pool : std::uint8_t { kCls, kPooler, kMean };
inline std::array<OptionName<Pool>, 3> option_names(Pool) {
  return {{{Pool::kCls, "cls"}, {Pool::kPooler, "pooler"}, {Pool::kMean, "mean"}}};
}

/// What a head reads: one vector [x]; for a pair [u; v] (paper eq. 2), [u; v; |u - v|] (eq. 3), [|u - v|; u v] or the cosine of u and v.
enum class Features : std::uint8_t { kSingle, kPair, kPairDifference, kPairComparison, kCosine };

/// One task's head (paper 3.2): features, dense layers with erf GELU, and a last linear layer.
struct HeadShape {
  std::string task = {};
  Pool pool = Pool::kCls;
  Features features = Features::kSingle;
  float dropout = 0;                     ///< rate of dropout on each sentence vector, which comes before the features
  std::vector<std::int64_t> dense = {};  ///< widths of the hidden layers
  std::int64_t outputs = 1;              ///< rows of the last layer; 0: the head has no parameters, and predicts from the cosine
  double low = 0, high = 5;              ///< where outputs = 0, a cosine c predicts low + (high - low) max(c, 0)
  /// How the dense layers and the last one start, except the last layer of a cosine head of one or two logits: it starts as 10 cos - 5
  /// (kSpread), since a random factor would have the wrong sign in half of all heads, which a small rate takes long to turn.
  HeadInit init = HeadInit::kTorch;

  /// Whether the head reads two sentence vectors.
  bool pair() const { return features != Features::kSingle; }
  /// Width of the features: C, 2C, 3C, 2C, or 1 for a cosine.
  std::int64_t inputs(const ModelConfig& config) const;
  /// K, the number of logits of a row.
  std::int64_t logits() const { return std::max<std::int64_t>(outputs, 1); }
};

enum class MlmHeadKind : std::uint8_t { kNone, kLinear, kTied };

/// Everything that decides which parameters exist.
struct ModelShape {
  ModelConfig config;
  bool pooler = false;
  std::vector<HeadShape> heads;
  MlmHeadKind mlm = MlmHeadKind::kNone;
};

/// One parameter, as for_each_param lists it.
struct ParamInfo {
  std::string name;  ///< as Hugging Face names it, without prefix: "encoder.layer.0.attention.self.query.weight", "heads.sst.out.bias"
  std::vector<std::int64_t> shape;
  Init init = Init::kNormal;
  double init_scale = 0;  ///< kNormal: standard deviation; kUniform: values lie within +-init_scale; kSpread: see HeadShape::init
  bool decay = true;      ///< false for biases and LayerNorm
  Role role = Role::kEncoder;
  std::string task;        ///< name of the task whose head it belongs to; empty outside task heads
  bool product = false;    ///< whether linear() reads it; bf16 training keeps a bf16 copy of those of encoder and MLM head
  std::int64_t layer = 0;  ///< of the encoder, from 1; 0 for embeddings and outside the encoder

  std::int64_t numel() const;
};

/// Calls fn for each parameter, in storage order: within a layer q, k, v weights are adjacent, and so are their biases. An MLM
/// head tied to the word embeddings adds only its transform, its norm and its bias.
void for_each_param(const ModelShape& shape, const std::function<void(const ParamInfo&)>& fn);
std::vector<ParamInfo> param_table(const ModelShape& shape);

/// A stretch of parameters that are adjacent in storage: indices [begin, end) into the table.
struct ParamSpan {
  std::size_t begin = 0, end = 0;
};

/// A linear layer: its indices in the table, and its weight (O, I) and bias (O) as ops read them. With `count` > 1 it stands for that many
/// layers that are adjacent in storage, with their outputs joined, as query, key and value are.
struct LinearParams {
  std::size_t weight_index = 0, bias_index = 0, count = 1;
  const PreparedWeight* weight = nullptr;
  Tensor bias;
};

/// A LayerNorm: the index of gamma in the table, which beta follows, and the values (C) of both.
struct NormParams {
  std::size_t index = 0;
  Tensor gamma, beta;
};

/// The values of all parameters in one arena, and the prepared weights that products read. Movable, not copyable.
class Params {
 public:
  /// Storage for `shape` in `dtype` (f32; f64 or c128 for checks on ref), all zero. Products of encoder and MLM head run in `compute`, or
  /// with kForwardInt8 in 8-bit integers between activations in `compute`; pooler and heads always run in `dtype`.
  Params(Backend& backend, ModelShape shape, DType dtype = DType::kF32, DType compute = DType::kF32, WeightUse use = WeightUse::kTrain);
  Params(Params&&) noexcept = default;

  Backend& backend() const { return *backend_; }
  const ModelShape& shape() const { return shape_; }
  const ModelConfig& config() const { return shape_.config; }
  std::span<const ParamInfo> table() const { return table_; }
  DType dtype() const { return dtype_; }
  DType compute() const { return compute_; }
  WeightUse use() const { return use_; }
  /// The number of elements of all parameters.
  std::int64_t numel() const;

  /// Index of a name in the table. Throws Error(kInternal) for an unknown name.
  std::size_t index(std::string_view name) const;
  bool has(std::string_view name) const { return by_name_.find(name) != by_name_.end(); }
  /// Value of one parameter.
  Tensor value(std::size_t index) const { return values_[index]; }
  Tensor value(std::string_view name) const { return values_[index(name)]; }
  /// A view of `count` adjacent parameters from `index` on as one tensor, joined along dimension 0; their other dimensions must be equal.
  Tensor joined(std::size_t index, std::size_t count) const;
  /// All values of a span as one 1-D tensor; an empty tensor for an empty span.
  Tensor flat(ParamSpan span) const;
  /// Where a task's head lies in the table; an empty span for a head without parameters.
  ParamSpan head_span(std::string_view task) const;
  /// The copy in the compute dtype that adamw keeps up to date (1-D), empty where there is none.
  Tensor copy(std::size_t index) const { return copies_[index]; }

  /// The prepared weight of `count` adjacent parameters. The reference stays valid, and changed() keeps the weight up to date.
  const PreparedWeight& weight(std::string_view name, std::size_t count = 1);
  /// The linear layer of `name`.weight and `name`.bias, joined with the `count` - 1 layers after it. Call it in constructors, not in each
  /// step, because it looks names up.
  LinearParams linear(std::string_view name, std::size_t count = 1);
  /// The LayerNorm of `name`.weight and `name`.bias.
  NormParams norm(std::string_view name) const;

  /// Call it after writing values: it brings every prepared weight up to date. `copies_current` says that adamw has already written the
  /// copies, so that only packed weights are made again.
  void changed(bool copies_current = false);

  /// Draws the initial values of the parameters that `which` selects, as the table says. Each name has a stream of random numbers of its
  /// own, so that adding a head changes no other parameter.
  void init(std::uint64_t seed, const std::function<bool(const ParamInfo&)>& which);

 private:
  Backend* backend_;
  ModelShape shape_;
  DType dtype_, compute_;
  WeightUse use_;
  std::vector<ParamInfo> table_;
  std::map<std::string, std::size_t, std::less<>> by_name_;
  std::unique_ptr<Arena> arena_, copy_arena_;
  std::vector<Tensor> values_, copies_;
  std::unique_ptr<std::uint64_t> clock_;
  std::map<std::pair<std::size_t, std::size_t>, std::unique_ptr<PreparedWeight>> weights_;  // by first index and count
};

/// A copy in host memory of the values of a span of parameters.
class ParamSnapshot {
 public:
  /// Makes an empty snapshot, whose restore() does nothing.
  ParamSnapshot() = default;
  ParamSnapshot(const Params& params, ParamSpan span);

  /// Writes the values back to where they came from. The caller calls params.changed() after the last of its snapshots.
  void restore(Params& params) const;

 private:
  ParamSpan span_;
  std::vector<std::byte> bytes_;
};

/// Gradients of the parameters that train, in one arena in the table's order; empty tensors for the others.
class Gradients {
 public:
  Gradients(Backend& backend, const Params& params, const std::function<bool(const ParamInfo&)>& trainable);
  /// Makes a 1-D tensor of `elements`(index) elements for each trainable parameter, of which a rank keeps only a part.
  Gradients(Backend& backend, const Params& params, const std::function<bool(const ParamInfo&)>& trainable,
            const std::function<std::int64_t(std::size_t index)>& elements);

  /// Empty when the parameter is frozen.
  Tensor operator[](std::size_t index) const { return tensors_[index]; }
  /// Gradient of `count` adjacent parameters as one tensor; empty when they are frozen. CHECKs that all train or none does.
  Tensor joined(std::size_t index, std::size_t count) const;
  /// Whether any parameter of the span trains.
  bool trainable(ParamSpan span) const;
  bool trainable(std::size_t index) const { return static_cast<bool>(tensors_[index]); }
  std::span<const Tensor> all() const { return tensors_; }
  void zero(Backend& backend);

 private:
  std::unique_ptr<Arena> arena_;
  std::vector<Tensor> tensors_;
};

}  // namespace minbert
