// OpRun: one run of an op on one backend. A case is written once, in terms of an OpRun. It runs on the tested backend and, with the
// same values in wider types, on the oracle.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/testing.h"

namespace minbert {

/// The dtypes of tensors. Activations are f32 or bf16, or f64 on the oracle. Parameters, statistics and losses are f32 or f64.
struct Precision {
  DType activation = DType::kF32;
  DType parameter = DType::kF32;
};

/// An output of a run.
struct OpResult {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<double> values;
};

class OpRun {
 public:
  using Shape = std::vector<std::int64_t>;

  /// Stores tensors as `stored`, and rounds their values to `rounded`. Two runs with equal seed, stream and `rounded` compute on equal
  /// values.
  OpRun(Backend& backend, Precision stored, Precision rounded, std::uint64_t seed, std::string_view stream)
      : backend_(&backend), stored_(stored), rounded_(rounded), rng_(seed, stream) {}

  Backend& backend() { return *backend_; }
  Rng& rng() { return rng_; }
  bool bf16() const { return rounded_.activation == DType::kBF16; }

  // ---- inputs, N(0, scale^2), which the op must leave alone ----
  /// An activation. `gap` elements lie between rows.
  Tensor input(const Shape& shape, double scale = 1, std::int64_t gap = 0);
  /// An activation whose mean is `shift`.
  Tensor shifted_input(const Shape& shape, double shift);
  /// A parameter, target or statistic.
  Tensor param(const Shape& shape, double scale = 1, double shift = 0);
  /// A parameter in [0, 1).
  Tensor uniform_param(const Shape& shape);
  /// A weight (O, I) of N(0, 1/I). With `with_copy` the caller provides the storage of a bf16 copy.
  PreparedWeight weight(std::int64_t O, std::int64_t I, WeightUse use = WeightUse::kTrain, bool with_copy = false);

  // ---- outputs, compared under their names ----
  /// An activation that the op overwrites; it starts as NaN.
  Tensor output(std::string name, const Shape& shape, std::int64_t gap = 0);
  /// A loss or statistic that the op overwrites; it starts as NaN.
  Tensor output_f32(std::string name, const Shape& shape);
  /// A parameter's gradient, to which the op adds; it starts at random.
  Tensor accumulator(std::string name, const Shape& shape);
  /// An activation that is input and output.
  Tensor in_place(std::string name, const Shape& shape, double scale = 1);
  /// Optimizer state in f32, input and output. With `positive` it starts at absolute values.
  Tensor state(std::string name, const Shape& shape, double scale = 1, bool positive = false);
  /// A bf16 output; on the oracle it is f64.
  Tensor output_bf16(std::string name, const Shape& shape);
  /// Room for attention's saved buffer.
  Tensor attention_saved(const AttentionShape& shape);

  // ---- lists of whole numbers, which live as long as the run ----
  Indices upload(std::vector<std::int32_t> list);
  /// `count` random numbers in [0, limit).
  Indices indices(std::int64_t count, std::int64_t limit);
  /// Random ids of `count` rows, over the whole range of each field.
  RowIds rows(std::int64_t count);
  Dropout dropout(float p);

  /// The outputs in the order in which they were made. Fails the test where guards or inputs were overwritten.
  std::vector<OpResult> results();

 private:
  enum class Role : std::uint8_t { kInput, kOutput, kScratch };
  struct Buffer {
    Buffer(Backend& backend, DType dtype, const Shape& shape, std::int64_t gap, Role r, std::string n)
        : tensor(backend, dtype, shape, gap), role(r), name(std::move(n)) {}
    GuardedTensor tensor;
    Role role;
    std::string name;
  };
  Buffer& make(Role role, std::string name, DType dtype, const Shape& shape, std::int64_t gap = 0);
  void fill(Buffer& buffer, DType rounded, double scale, double shift = 0);

  Backend* backend_;
  Precision stored_, rounded_;
  Rng rng_;
  std::uint64_t clock_ = 0;
  std::deque<Buffer> buffers_;
  Arena arena_{*backend_};
  std::deque<std::vector<std::int32_t>> lists_;
  std::deque<std::vector<RowId>> row_lists_;
};

/// All activations, with their names in cases.
inline constexpr std::pair<Activation, const char*> kActivations[] = {{Activation::kGelu, "gelu"},
                                                                      {Activation::kGeluNew, "gelu_new"},
                                                                      {Activation::kRelu, "relu"},
                                                                      {Activation::kSilu, "silu"},
                                                                      {Activation::kTanh, "tanh"}};

/// One row of the suite. A name consists of letters, digits and underscores, and begins with the op.
struct OpCase {
  std::string name;
  std::function<void(OpRun&)> body;
};

/// All rows. The functions below give those of one family.
std::vector<OpCase> op_cases();
std::vector<OpCase> product_cases();      // op_cases_products.cpp: linear, attention and what is fused with them
std::vector<OpCase> elementwise_cases();  // op_cases_rows.cpp: activations, dropout, layernorm, embedding
std::vector<OpCase> head_cases();         // op_cases_heads.cpp: pooling, pairs, losses, adamw

}  // namespace minbert
