// Backend declares every tensor operation that the program computes: one virtual function for each op of BERT, and one for its backward.
//
// Dimension legend, used in ops/ and model/:
//   B sentences   N tokens of all sentences, packed   C hidden size   F intermediate size   H attention heads   D = C / H
//   V vocabulary  K classes   I, O inputs and outputs of a linear layer   M rows that the caller asks for
//
// Laws (DESIGN.md): argument order is outputs, saved, inputs, sizes. A `d` prefix means gradient of. Gradients of parameters
// accumulate, gradients of inputs overwrite; a function that differs says so in its name. No output may alias an input
// unless its docstring says so. Activations are f32 or bf16 (ref: also f64, c128); statistics, losses, parameter
// gradients, moments and master weights are f32 (where ref runs in f64 or c128, all have that dtype).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minbert/base/arena.h"
#include "minbert/base/check.h"
#include "minbert/base/tensor.h"

namespace minbert {

constexpr double kCorrelationFloor = 1e-8;  ///< Pearson's r is undefined below it: |x - mean x| |y - mean y| may be rounding errors
constexpr double kNormFloor = 1e-12;        ///< torch.nn.functional.normalize's eps
constexpr double kCosineFloor = 1e-8;       ///< torch.nn.functional.cosine_similarity's eps

/// What turns logits into probabilities.
enum class LogitLink : std::uint8_t { kSoftmax, kSigmoid };
enum class Activation : std::uint8_t { kGelu, kGeluNew, kRelu, kSilu, kTanh };  ///< gelu: erf; gelu_new: tanh approximation

/// The origin of a row of an activation matrix. Dropout masks are functions of it, so that they do not depend on packing.
struct RowId {
  std::uint32_t row = 0;       ///< index of the example in the global batch of the micro-step; under 2^24
  std::uint16_t position = 0;  ///< token position in its sequence (0 for a sentence vector)
  /// sequence + 2 repeat, under 16. Sequence 1 is the second text of a separately encoded pair, repeat 1 the second pass of R-Drop.
  std::uint8_t pass = 0;
};

/// A list of whole numbers that ops read beside tensors: token ids, offsets, row numbers, labels, row ids. It is a view of one list in host
/// memory and of the same list in the backend's memory; Backend::upload() makes it.
template <class T>
struct IndexView {
  std::span<const T> host;    ///< for checks and sizes; on backends that compute in host memory, for kernels too
  const T* device = nullptr;  ///< for kernels; the address of `host` where the backend computes in host memory
};
using Indices = IndexView<std::int32_t>;
using RowIds = IndexView<RowId>;

/// One dropout site of one micro-step. p = 0 switches it off.
struct Dropout {
  float p = 0;
  std::uint64_t seed = 0;
  std::uint32_t step = 0;        ///< optimizer step
  std::uint16_t micro_step = 0;  ///< under 4096
  std::uint16_t site = 0;        ///< which dropout of the model

  explicit operator bool() const { return p > 0; }
};

/// The dropout mask drops element (in attention: key) i of a row when its 16 random bits are below dropout_threshold(p), and multiplies
/// kept values by dropout_scale(p). philox(seed, {step, micro_step | pass << 12 | site << 16, row | head << 24, position | (i / 8) << 16})
/// yields four 32-bit words, which hold the bits of 8 elements: element i has number i % 8, and the low half of a word comes before its
/// high half. head is 0 outside attention.
std::uint32_t dropout_threshold(float p);
float dropout_scale(float p);
/// The factor (0 or dropout_scale) of element i; the definition that every backend's kernels must reproduce.
float dropout_factor(const Dropout& dropout, RowId row, std::uint32_t head, std::uint32_t i);

/// What a head reads of the vectors u and v of a pair.
enum class PairTerms : std::uint8_t {
  kBoth,               ///< [u; v] (paper eq. 2)
  kBothAndDifference,  ///< [u; v; |u - v|] (paper eq. 3)
  kComparison,         ///< [|u - v|; u v], elementwise (Tai, Socher and Manning 2015, eq. 15)
};
/// The width of the terms, in units of the width of u.
constexpr std::int64_t pair_parts(PairTerms terms) { return terms == PairTerms::kBothAndDifference ? 3 : 2; }

/// What a prepared weight will be used for.
enum class WeightUse : std::uint8_t {
  kTrain,        ///< forward and backward; the value changes at every optimizer step
  kForward,      ///< forward only; the value changes rarely, so a backend may repack it
  kForwardInt8,  ///< as kForward, but products are of 8-bit integers: see Int8Range
};

/// How one row is rounded for 8-bit products (WeightUse::kForwardInt8); the rounding is computed in f32. A weight's row is rounded once, to
/// whole multiples of max|w| / 127. An input's row is rounded at each product, to scale (q - zero) with q in 0..255; scale and zero are
/// chosen so that the range of q covers all values of the row and 0.
struct Int8Range {
  float scale = 0, inverse = 0;  ///< the distance between two neighbouring q, and 1 / scale; both are 0 for a row of zeros
  std::int32_t zero = 0;         ///< the q that stands for 0

  /// For an input row whose values lie in [low, high]; low <= 0 <= high.
  static Int8Range of_input(float low, float high);
  /// For a weight row whose largest |w| is `largest`: zero = 0, q in -127..127.
  static Int8Range of_weight(float largest);
  /// Nearest q, ties to even, before clamping.
  std::int32_t quantize(float x) const;
};

/// A weight in a backend's own layout. Each backend that packs weights derives its own class.
class PackedWeight {
 public:
  virtual ~PackedWeight() = default;
};

/// A weight matrix (O, I) in the form that a backend's products read. Backend objects of one kind may share it.
struct PreparedWeight {
  Tensor master;                         ///< the parameter itself
  Tensor value;                          ///< what products read: master, or a copy in the compute dtype; empty when packed
  std::shared_ptr<PackedWeight> packed;  ///< the backend's own layout, or null
  WeightUse use = WeightUse::kTrain;
  std::shared_ptr<void> storage;         ///< owns `value` where the backend allocated it, else null
  const std::uint64_t* clock = nullptr;  ///< a counter that the parameters own and increase at each change of their values
  std::uint64_t version = 0;             ///< *clock when value and packed were made; products CHECK that they agree

  std::int64_t out_features() const { return master.dim(0); }
  std::int64_t in_features() const { return master.dim(1); }
  /// Output rows [begin, end) of an unpacked weight, as a view.
  PreparedWeight slice_rows(std::int64_t begin, std::int64_t end) const;
  /// `packed` as the class of the backend that packed it; CHECKs that it is of this class.
  template <class Packed>
  Packed& packed_as() const {
    auto* const own = dynamic_cast<Packed*>(packed.get());
    MINBERT_CHECK(own != nullptr, "weight {} was not packed by this kind of backend", master.describe());
    return *own;
  }
};

/// The sizes of self-attention over packed sequences: sentence b has the query rows [q_offsets[b], q_offsets[b + 1]) and the key rows
/// [k_offsets[b], k_offsets[b + 1]).
struct AttentionShape {
  Indices q_offsets;  ///< has B + 1 elements
  Indices k_offsets;  ///< has B + 1 elements; equal to q_offsets when every row is a query
  std::int64_t heads = 0;
  RowIds q_rows;    ///< one for each query; needed with dropout only
  Dropout dropout;  ///< on the attention probabilities
};

enum class AdamWForm : std::uint8_t {
  kPaper,  ///< theta -= lr sqrt(1-b2^t)/(1-b1^t) m / (sqrt(v) + eps), then theta -= lr wd theta
  kTorch,  ///< theta -= lr wd theta, then theta -= lr mhat / (sqrt(vhat) + eps)
};

struct AdamWOptions {
  AdamWForm form = AdamWForm::kPaper;
  float beta1 = 0.9f, beta2 = 0.999f, eps = 1e-6f;
  float gradient_scale = 1;  ///< multiplies every gradient first (clipping)
};

/// The numbers of step t, from 1: the learning rate and the bias corrections 1 - beta^t.
struct AdamWStep {
  float lr = 0;
  double correction1 = 1, correction2 = 1;
};
AdamWStep adamw_step(const AdamWOptions& options, float lr, std::int64_t t);

/// One stretch of parameters with the same settings. All tensors are 1-D of equal length; all but `copy` are f32.
struct AdamWSegment {
  Tensor value;     ///< updated
  Tensor gradient;  ///< read, then set to zero; an empty tensor stands for a gradient of zeros
  Tensor m, v;      ///< updated
  Tensor copy;      ///< bf16, overwritten with the new value; may be empty
  AdamWStep step;
  float weight_decay = 0;
};

/// Parameters that had no gradient in steps first, first + 1, ... of a list. The segment's own gradient and step are not read.
struct AdamWIdle {
  AdamWSegment segment;
  std::size_t first = 0;
};

/// Time and work of one kind of op since the last reset (MINBERT_DEBUG=2 and --profile).
struct OpProfile {
  std::string_view op;
  std::int64_t calls = 0;
  double seconds = 0, flops = 0, bytes = 0;
};

class Backend : public Memory {
 public:
  ~Backend() override;

  /// The name that logs show; for a backend of make_backend() the name that it takes.
  virtual std::string_view name() const = 0;
  /// What it runs on, for logs and tests: for cpu the instruction sets in use.
  virtual std::string description() const = 0;
  /// Whether bf16 activations and weights run natively. Where they do not, the caller warns once and falls back to f32.
  virtual bool supports_bf16() const = 0;
  /// Whether products of 8-bit integers (WeightUse::kForwardInt8) run natively and exactly. Where they do not, the caller warns once and
  /// uses bf16 or f32 products.
  virtual bool supports_int8() const = 0;
  /// Another object of the same kind with the same options, for another thread: it may read this one's prepared weights. Profiling and
  /// checks are off in it.
  virtual std::unique_ptr<Backend> sibling() const = 0;

  // ---- memory (allocate and release come from Memory) ----
  virtual void copy_to_device(Tensor dst, const void* src) = 0;
  virtual void copy_to_host(void* dst, const Tensor& src) = 0;
  /// Returns the elements of an f32 tensor in host memory.
  std::vector<float> to_host(const Tensor& x);
  virtual void copy(Tensor dst, const Tensor& src) = 0;  ///< same dtype and shape
  virtual void zero(Tensor x) = 0;
  virtual void cast(Tensor out, const Tensor& x) = 0;  ///< same shape, between f32 and bf16
  virtual void synchronize() = 0;
  /// Makes a list in host memory readable for this backend's ops; a backend with memory of its own copies it into `arena`. Called once for
  /// each list of a batch, not before each op. `host` and `arena` must outlive the view.
  Indices upload(Arena& arena, std::span<const std::int32_t> host) { return uploaded(arena, host); }
  RowIds upload(Arena& arena, std::span<const RowId> host) { return uploaded(arena, host); }

  // ---- weights ----
  /// Makes a view or copy of `master` for products in `compute` dtype. `copy` is storage (O, I) of that dtype that adamw keeps up to date;
  /// where it is empty, the backend allocates what it needs. `clock` counts changes of the parameters.
  virtual PreparedWeight prepare(const Tensor& master, DType compute, WeightUse use, const std::uint64_t* clock, Tensor copy) = 0;
  /// Brings value and packed up to date with master and *clock.
  virtual void refresh(PreparedWeight& weight) = 0;

  // ---- linear ----
  /// out (N,O) = x (N,I) w^T (O,I) + bias (O) or none. x has the weight's compute dtype; out may also be f32.
  virtual void linear(Tensor out, const Tensor& x, const PreparedWeight& w, const Tensor& bias) = 0;
  /// dx (N,I) = dy (N,O) w.
  virtual void linear_backward_input(Tensor dx, const Tensor& dy, const PreparedWeight& w) = 0;
  /// dw (O,I) += dy^T x and dbias (O) += column sums of dy. Either output may be empty.
  virtual void linear_backward_params(Tensor dw, Tensor dbias, const Tensor& x, const Tensor& dy) = 0;

  // ---- elementwise ----
  /// out may be x.
  virtual void activation(Tensor out, const Tensor& x, Activation kind) = 0;
  /// dx = dy f'(x), where f is the activation and x its input; dx may be dy.
  virtual void activation_backward(Tensor dx, const Tensor& dy, const Tensor& x, Activation kind) = 0;
  /// out (N,C) = x times the mask of `dropout`, or x when p = 0; out may be x. The backward is the same op on dy.
  virtual void dropout(Tensor out, const Tensor& x, RowIds rows, const Dropout& dropout) = 0;
  /// out = a + b; out may be a or b.
  virtual void add(Tensor out, const Tensor& a, const Tensor& b) = 0;
  /// out = scale x + shift; out may be x. The backward is the same op on dy with shift 0.
  virtual void affine(Tensor out, const Tensor& x, double scale, double shift) = 0;

  // ---- fused, with default bodies made of the above ----
  /// pre (N,F) = linear(x), out (N,F) = activation(pre). pre may be empty when no backward follows.
  virtual void linear_activation(Tensor out, Tensor pre, const Tensor& x, const PreparedWeight& w, const Tensor& bias, Activation kind);
  /// sum = dropout(x) + residual, out = layernorm(sum): "add & norm". out, sum, x, residual (N,C); stats (N,2). sum may be x;
  /// sum and stats may be empty when no backward follows.
  virtual void dropout_add_layernorm(Tensor out, Tensor sum, Tensor stats, const Tensor& x, const Tensor& residual, const Tensor& gamma,
                                     const Tensor& beta, double eps, RowIds rows, const Dropout& dropout);
  /// Overwrites dresidual with the gradient of layernorm's input, and dx with that gradient times the dropout mask. Without dropout the two
  /// are equal, and dx may be empty. dgamma, dbeta (C) accumulate; both may be empty.
  virtual void dropout_add_layernorm_backward(Tensor dx, Tensor dresidual, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& sum,
                                              const Tensor& stats, const Tensor& gamma, RowIds rows, const Dropout& dropout);

  // ---- layernorm ----
  /// out (N,C) = (x - mean) rstd gamma + beta over each row; stats (N,2) = mean, rstd, empty when no backward follows. out may be x.
  virtual void layernorm(Tensor out, Tensor stats, const Tensor& x, const Tensor& gamma, const Tensor& beta, double eps) = 0;
  /// Overwrites dx, which may be dy. dgamma, dbeta (C) accumulate; both may be empty.
  virtual void layernorm_backward(Tensor dx, Tensor dgamma, Tensor dbeta, const Tensor& dy, const Tensor& x, const Tensor& stats,
                                  const Tensor& gamma) = 0;

  // ---- embedding ----
  /// out (N,C) = word[ids] + position[positions] + type[type_ids]; tables (V,C) (L,C) (T,C). ids (N) are in range (checked).
  virtual void embedding(Tensor out, const Tensor& word, const Tensor& position, const Tensor& type, Indices ids, Indices positions,
                         Indices type_ids) = 0;
  /// Accumulates rows of dword, dposition, dtype in an order that does not depend on threads. An output may be empty.
  virtual void embedding_backward(Tensor dword, Tensor dposition, Tensor dtype, const Tensor& dy, Indices ids, Indices positions,
                                  Indices type_ids) = 0;

  // ---- attention ----
  /// out (Nq,C) = softmax(q k^T / sqrt(D)) v for each sentence and head, with dropout on the probabilities. q (Nq,C), k, v
  /// (Nk,C) may be strided columns of one matrix. saved: attention_saved_bytes(shape) bytes (kU8), or empty when no backward follows.
  virtual void attention(Tensor out, Tensor saved, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionShape& shape) = 0;
  /// Overwrites dq, dk and dv, which may be strided columns of one matrix.
  virtual void attention_backward(Tensor dq, Tensor dk, Tensor dv, const Tensor& dout, const Tensor& saved, const Tensor& q,
                                  const Tensor& k, const Tensor& v, const AttentionShape& shape) = 0;
  virtual std::size_t attention_saved_bytes(const AttentionShape& shape, DType dtype) const = 0;

  // ---- rows, pooling, pairs ----
  /// out (M,C) = x[rows].
  virtual void gather_rows(Tensor out, const Tensor& x, Indices rows) = 0;
  /// Sets dx (N,C) to zero, then dx[rows] += dy (M,C).
  virtual void gather_rows_backward(Tensor dx, const Tensor& dy, Indices rows) = 0;
  /// out (B,C) = mean of each sentence's rows of x (N,C).
  virtual void mean_pool(Tensor out, const Tensor& x, Indices offsets) = 0;
  /// Overwrites dx (N,C).
  virtual void mean_pool_backward(Tensor dx, const Tensor& dy, Indices offsets) = 0;
  /// out (B, pair_parts(terms) C) = the terms of u and v (B,C).
  virtual void pair_features(Tensor out, const Tensor& u, const Tensor& v, PairTerms terms) = 0;
  /// Overwrites du and dv (B,C) from dy (B, pair_parts(terms) C); the derivative of |x| at 0 is 0.
  virtual void pair_features_backward(Tensor du, Tensor dv, const Tensor& dy, const Tensor& u, const Tensor& v, PairTerms terms) = 0;
  /// out (B) = u.v / max(|u| |v|, kCosineFloor), rows of u, v (B,C).
  virtual void cosine(Tensor out, const Tensor& u, const Tensor& v) = 0;
  /// Overwrites du and dv (B,C) from dy (B).
  virtual void cosine_backward(Tensor du, Tensor dv, const Tensor& dy, const Tensor& u, const Tensor& v) = 0;

  // ---- losses: each op computes one loss a row; its backward multiplies by `scale`, for example 1 / (rows of the optimizer step) ----
  /// losses (B) = -log softmax(logits (B,K))[labels].
  virtual void cross_entropy(Tensor losses, const Tensor& logits, Indices labels) = 0;
  virtual void cross_entropy_backward(Tensor dlogits, const Tensor& logits, Indices labels, double scale) = 0;
  /// losses (B) = the sum over classes of targets (B,K) times -log softmax(logits (B,K)). A row of targets need not sum to 1.
  virtual void soft_cross_entropy(Tensor losses, const Tensor& logits, const Tensor& targets) = 0;
  virtual void soft_cross_entropy_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, double scale) = 0;
  /// losses[b] = the sum over k of weights[b,k] (max(x,0) - x y + log(1 + exp(-|x|))) with x = logits[b,k] and y = targets[b,k] in [0,1].
  /// All three are (B,K); empty weights stand for 1.
  virtual void bce_with_logits(Tensor losses, const Tensor& logits, const Tensor& targets, const Tensor& weights) = 0;
  virtual void bce_with_logits_backward(Tensor dlogits, const Tensor& logits, const Tensor& targets, const Tensor& weights,
                                        double scale) = 0;
  /// losses (B) = (prediction - target)^2.
  virtual void mse(Tensor losses, const Tensor& predictions, const Tensor& targets) = 0;
  virtual void mse_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) = 0;
  /// losses (B) = (KL(p | q) + KL(q | p)) / 2 of the probabilities p and q of logits a, b (B,K): one distribution over the K classes for
  /// kSoftmax, the sum over K yes-or-no ones for kSigmoid. Both are half the sum of (p - q) (a - b).
  virtual void symmetric_kl(Tensor losses, const Tensor& a, const Tensor& b, LogitLink link) = 0;
  /// Overwrites da and db.
  virtual void symmetric_kl_backward(Tensor da, Tensor db, const Tensor& a, const Tensor& b, LogitLink link, double scale) = 0;

  // ---- losses that compare the rows of a batch with each other ----
  /// losses (B), all equal: 1 - Pearson's r of predictions and targets (B); 1 where the product of the lengths of their deviations from
  /// the mean is below kCorrelationFloor, and then without a gradient.
  virtual void pearson_loss(Tensor losses, const Tensor& predictions, const Tensor& targets) = 0;
  virtual void pearson_loss_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double scale) = 0;
  /// losses (B), all equal: log(1 + sum of exp(sharpness (p_j - p_i))) over the pairs of rows whose targets have t_i > t_j. CoSENT, as
  /// sentence-transformers' CoSENTLoss has it.
  virtual void cosent(Tensor losses, const Tensor& predictions, const Tensor& targets, double sharpness) = 0;
  virtual void cosent_backward(Tensor dpredictions, const Tensor& predictions, const Tensor& targets, double sharpness, double scale) = 0;
  /// losses (B) = the mean of -log softmax_j(cos(u_i, v_j) / temperature) over the rows j of row i's group, itself among them; u, v (B,C).
  /// With a group for each row this is multiple-negatives ranking (InfoNCE), else the supervised contrastive loss of Khosla et al. 2020
  /// (arXiv:2004.11362), equation 2, between two views. A vector shorter than kNormFloor counts as that long.
  virtual void contrastive(Tensor losses, const Tensor& u, const Tensor& v, Indices groups, double temperature) = 0;
  /// du and dv (B,C) accumulate.
  virtual void contrastive_backward(Tensor du, Tensor dv, const Tensor& u, const Tensor& v, Indices groups, double temperature,
                                    double scale) = 0;

  // ---- optimizer ----
  /// Updates value, m, v and copy of each segment in place, and sets its gradient to zero.
  virtual void adamw(std::span<const AdamWSegment> segments, const AdamWOptions& options) = 0;
  /// Makes the steps from `first` to the last, in which a segment had no gradient: the same bits as so many calls of adamw(), in one
  /// sweep over memory. All segments have the same weight decay, and each has a step to make.
  virtual void adamw_idle(std::span<const AdamWIdle> idle, std::span<const AdamWStep> steps, const AdamWOptions& options);
  /// The sum of squares over all tensors, in chunks of fixed size, so that neither threads nor the cuts between tensors change it.
  virtual double squared_norm(std::span<const Tensor> tensors) = 0;

  // ---- profiling and checks ----
  void set_profiling(bool on) { profiling_ = on; }
  bool profiling() const { return profiling_; }
  /// Checks each op's outputs for NaN and Inf; an op that makes one throws Error(kDiverged) with its name (MINBERT_DEBUG=3).
  void set_checking_outputs(bool on) { checking_outputs_ = on; }
  bool checking_outputs() const { return checking_outputs_; }
  /// Calls `show` after each op with a line for each output: least and largest value, mean, root mean square (MINBERT_DEBUG=4). Empty: off.
  void set_showing_outputs(std::function<void(std::string_view line)> show) { show_ = std::move(show); }
  bool showing_outputs() const { return show_ != nullptr; }
  /// Whether ops are timed or shown one by one, so that they should run on one backend alone.
  bool is_observed() const { return profiling() || showing_outputs(); }
  std::vector<OpProfile> profile() const { return profile_; }
  void reset_profile() { profile_.clear(); }

 protected:
  /// Where this backend's kernels can read the bytes of an upload(). This body copies them into `arena`.
  virtual const void* upload_bytes(Arena& arena, std::span<const std::byte> host);

  /// Every op opens an OpScope for as long as it runs. At its end the scope adds the op's time and work to the
  /// profile, and checks or shows the outputs.
  class OpScope {
   public:
    OpScope(Backend& backend, std::string_view op, double flops, double bytes, std::initializer_list<Tensor> outputs);
    ~OpScope() noexcept(false);
    OpScope(const OpScope&) = delete;
    OpScope& operator=(const OpScope&) = delete;

   private:
    void look_at(const Tensor& output) const;

    Backend* backend_;
    std::string_view op_;
    double flops_, bytes_, start_ = 0;
    std::array<Tensor, 4> outputs_;
    int exceptions_ = 0;
  };

 private:
  template <class T>
  IndexView<T> uploaded(Arena& arena, std::span<const T> host) {
    return {host, static_cast<const T*>(upload_bytes(arena, std::as_bytes(host)))};
  }

  bool profiling_ = false, checking_outputs_ = false;
  std::vector<OpProfile> profile_;
  std::function<void(std::string_view)> show_;
};

struct BackendOptions {
  std::string isa;  ///< cap of the instruction set: "", "sse2", "avx2", "avx512", "avx512_bf16", "amx"
};

/// "ref" or "cpu" (names in backend_names()). Throws Error(kUsage) for another name.
std::unique_ptr<Backend> make_backend(std::string_view name, const BackendOptions& options = {});
std::vector<std::string_view> backend_names();

}  // namespace minbert
