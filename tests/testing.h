// Tools of tests of maths: a comparison that checks itself, tensors between guards, and gradients by complex step.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/arena.h"
#include "minbert/base/rng.h"
#include "minbert/base/tensor.h"
#include "minbert/ops/backend.h"

namespace minbert {

/// What the tests of ops draw from; each draws from the stream of its own name.
inline constexpr std::uint64_t kSeed = 11711;

/// An element passes when |actual - expected| <= abs + rel |expected|; NaN never does.
struct Tolerance {
  double abs = 0;
  double rel = 0;
};

/// Passes when every element does, and fails with the worst one. After a pass it spoils one element of a copy of `actual`, by an
/// eighth of the largest expected magnitude and then by NaN, and fails when the tolerance does not see that.
::testing::AssertionResult compare(std::span<const double> actual, std::span<const double> expected, Tolerance tolerance,
                                   std::string_view what);
/// Compares host tensors of any floating dtype in the same way. They must have equal shapes and must not overlap.
::testing::AssertionResult compare(const Tensor& actual, const Tensor& expected, Tolerance tolerance, std::string_view what);

/// Elements of a host tensor (f32, bf16 or f64), row-major.
std::vector<double> to_doubles(const Tensor& x);
/// Elements of a tensor in a backend's memory, row-major.
std::vector<double> download(Backend& from, const Tensor& x);
/// x rounded to `dtype` (f32, bf16 or f64).
double round_to(DType dtype, double x);
/// `count` values of N(0, scale^2).
std::vector<double> normal_values(Rng& rng, std::int64_t count, double scale = 1);

/// A list for ops of a backend that computes in host memory; `list` must outlive the view.
inline Indices in_host_memory(std::span<const std::int32_t> list) { return {list, list.data()}; }
inline RowIds in_host_memory(std::span<const RowId> list) { return {list, list.data()}; }

/// A tensor in a backend's memory between guards of 0xff bytes. It starts filled with them too. They are NaN in every floating dtype, so
/// that stray reads poison results, and unwritten elements of an output fail.
class GuardedTensor {
 public:
  /// `gap` elements of guard lie between rows, which makes a matrix strided. Floating tensors are aligned to their elements only.
  GuardedTensor(Backend& backend, DType dtype, std::span<const std::int64_t> shape, std::int64_t gap = 0);
  ~GuardedTensor();
  GuardedTensor(const GuardedTensor&) = delete;
  GuardedTensor& operator=(const GuardedTensor&) = delete;

  const Tensor& tensor() const { return tensor_; }
  /// Overwrites all elements, rounded to the dtype.
  void set(std::span<const double> values);
  std::vector<double> values() const;
  /// Whether the bytes around the elements (with `elements_too`, these as well) are as they were after the last set().
  ::testing::AssertionResult untouched(bool elements_too) const;

 private:
  Tensor whole_block() const;
  Tensor elements_of(std::vector<std::byte>& image) const;
  std::vector<std::byte> download() const;

  Backend* backend_;
  std::size_t offset_;            // where the elements begin in the block
  std::vector<std::byte> image_;  // the block after the last set()
  void* block_ = nullptr;
  Tensor tensor_;
};

/// A differentiable input of a grad_check.
struct GradInput {
  std::string name;
  std::vector<std::int64_t> shape;
  bool accumulates = false;  ///< true for a parameter: the backward adds to its gradient; else it overwrites
  double scale = 1;          ///< multiplies its values, beside the check's own scale
};

/// A forward and its backward. Both run on tensors of one dtype (c128 or f64), with an arena for whatever lies between.
struct GradCase {
  std::vector<GradInput> inputs;
  std::vector<std::int64_t> output_shape;
  std::function<void(Arena& scratch, std::span<const Tensor> inputs, const Tensor& out)> forward;
  std::function<void(Arena& scratch, std::span<const Tensor> gradients, const Tensor& dout, std::span<const Tensor> inputs)> backward;
};

/// Compares every element of every input gradient in f64 with the complex step on the forward in c128 (step 1e-50), for a random
/// cotangent and inputs of scale 2^-2 to 2^3. Values are drawn from `seed`, which failures print.
void grad_check(Backend& backend, const GradCase& c, std::uint64_t seed);

}  // namespace minbert
