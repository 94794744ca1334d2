// Tests of the tests' own tools: each must find the faults that it looks for.
#include "tests/testing.h"

#include <gtest/gtest-spi.h>

#include <cmath>

#include "minbert/ops/ref/ref_backend.h"
#include "tests/ops/op_run.h"

namespace minbert {
namespace {

TEST(Compare, FailsOnNaNSizeAndError) {
  const std::vector<double> ones = {1, 1, 1}, nans = {1, NAN, 1}, off = {1, 1, 1.2}, shorter = {1, 1};
  EXPECT_TRUE(compare(ones, ones, {1e-6, 0}, "x"));
  EXPECT_FALSE(compare(nans, ones, {1e-6, 0}, "x"));
  EXPECT_FALSE(compare(ones, nans, {1e-6, 0}, "x"));
  EXPECT_FALSE(compare(nans, nans, {INFINITY, 0}, "x"));
  EXPECT_FALSE(compare(off, ones, {0.1, 0}, "x"));
  EXPECT_FALSE(compare(shorter, ones, {1, 0}, "x"));
}

TEST(Compare, FailsWhenTheToleranceIsBlind) {
  const std::vector<double> small = {1e-3, 2e-3, -1e-3}, zeros = {0, 0};
  EXPECT_FALSE(compare(small, small, {1e-2, 0}, "x"));
  EXPECT_FALSE(compare(small, small, {INFINITY, 0}, "x"));
  EXPECT_TRUE(compare(small, small, {1e-6, 0}, "x"));
  EXPECT_TRUE(compare(zeros, zeros, {1e-6, 0}, "x"));
  EXPECT_FALSE(compare(zeros, zeros, {2, 0}, "x"));
}

TEST(Compare, RefusesABufferBesideItself) {
  std::vector<float> values = {1, 2};
  const Tensor x = Tensor::of(std::span(values), {2});
  EXPECT_FALSE(compare(x, x, {1e-6, 0}, "x"));
}

TEST(GuardedTensor, SeesWritesOutsideAndInputsThatChange) {
  const auto backend = make_ref_backend();
  const std::vector<std::int64_t> shape = {3, 5};
  for (const std::int64_t gap : {0, 2}) {
    GuardedTensor guarded(*backend, DType::kF32, shape, gap);
    const Tensor x = guarded.tensor();
    for (const double value : guarded.values()) EXPECT_TRUE(std::isnan(value));
    guarded.set(std::vector<double>(15, 4));
    EXPECT_TRUE(guarded.untouched(true));
    x.data<float>()[0] = 5;
    EXPECT_TRUE(guarded.untouched(false));
    EXPECT_FALSE(guarded.untouched(true));
    EXPECT_EQ(guarded.values()[0], 5);
    float& after_the_last = x.data<float>()[2 * x.row_stride() + 5];
    const float before = after_the_last;
    after_the_last = 0;
    EXPECT_FALSE(guarded.untouched(false));
    after_the_last = before;
    EXPECT_TRUE(guarded.untouched(false));
    x.data<float>()[-1] = 0;
    EXPECT_FALSE(guarded.untouched(false));
  }
  GuardedTensor strided(*backend, DType::kBF16, shape, 1);
  strided.tensor().data<BFloat16>()[5] = BFloat16(0);
  EXPECT_FALSE(strided.untouched(false));
}

// y = x^3 with a right and three wrong backwards.
GradCase cube(double factor, bool adds, bool forgets_one) {
  const auto run = [](const Tensor& x, auto&& f) {
    for (std::int64_t i = 0; i < x.numel(); ++i) f(i);
  };
  return {.inputs = {{"x", {4}}},
          .output_shape = {4},
          .forward =
              [=](Arena&, std::span<const Tensor> in, const Tensor& out) {
                run(out, [&](std::int64_t i) {
                  if (out.dtype() == DType::kC128) {
                    const auto x = in[0].data<std::complex<double>>()[i];
                    out.data<std::complex<double>>()[i] = x * x * x;
                  } else {
                    out.data<double>()[i] = std::pow(in[0].data<double>()[i], 3);
                  }
                });
              },
          .backward =
              [=](Arena&, std::span<const Tensor> gradients, const Tensor& dout, std::span<const Tensor> in) {
                run(dout, [&](std::int64_t i) {
                  double& d = gradients[0].data<double>()[i];
                  if (forgets_one && i == 2) return;
                  d = (adds ? d : 0) + factor * dout.data<double>()[i] * std::pow(in[0].data<double>()[i], 2);
                });
              }};
}

// The failures of a grad_check, which do not fail this test.
int failures(const GradCase& c) {
  const auto backend = make_ref_backend();
  ::testing::TestPartResultArray results;
  const ::testing::ScopedFakeTestPartResultReporter reporter(::testing::ScopedFakeTestPartResultReporter::INTERCEPT_ONLY_CURRENT_THREAD,
                                                             &results);
  grad_check(*backend, c, 1);
  return results.size();
}

TEST(GradCheck, TellsRightFromWrong) {
  EXPECT_EQ(failures(cube(3, false, false)), 0);
  EXPECT_EQ(failures(cube(3.0000001, false, false)), 6) << "one at each scale";
  EXPECT_EQ(failures(cube(3, true, false)), 6) << "an input gradient must overwrite";
  EXPECT_EQ(failures(cube(3, false, true)), 6) << "an element without gradient";
}

}  // namespace
}  // namespace minbert
