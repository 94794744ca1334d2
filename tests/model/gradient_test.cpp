// Checks the whole model's gradients by complex step on the reference: every pool, kind of features and choice of rows, with dropout.
#include <gtest/gtest.h>

#include <cmath>

#include "minbert/ops/ref/ref_backend.h"
#include "tests/model/tiny_task.h"
#include "tests/testing.h"

namespace minbert {
namespace {

constexpr std::uint64_t kSeed = 11711;
using Complex = std::complex<double>;

Backend& ref() {
  static const std::unique_ptr<Backend> backend = make_ref_backend();
  return *backend;
}

/// A function of the parameters. Returns its output. With `gradients`, also accumulates the gradients of `cotangent` times the output.
using Function = std::function<Tensor(Params&, Arena&, Gradients* gradients, std::span<const double> cotangent)>;

Tensor upload(Arena& arena, std::span<const double> values, const Tensor& like) {
  const Tensor x = arena.allocate(DType::kF64, like.shape());
  ref().copy_to_device(x, values.data());
  return x;
}

/// For each parameter, compares the derivative along a random direction by complex step with the gradient along it.
void check_gradients(const ModelShape& shape, const Function& function, std::span<const std::string_view> unused = {}) {
  constexpr double kStep = 1e-50;
  for (const double scale : {0.3, 1.0}) {
    SCOPED_TRACE(fmt::format("seed {}, parameters of scale {}", kSeed, scale));
    Params real(ref(), shape, DType::kF64, DType::kF64), stepped(ref(), shape, DType::kC128, DType::kC128);
    std::vector<std::vector<double>> values;
    for (std::size_t i = 0; i < real.table().size(); ++i) {
      values.push_back(initial_values(real.table()[i], scale, kSeed));
      set_values<double>(real, i, values[i]);
      set_values<Complex>(stepped, i, values[i]);
    }
    real.changed();

    Arena arena(ref());
    Rng rng(kSeed, "directions");
    const std::vector<double> cotangent = normal_values(rng, function(real, arena, nullptr, {}).numel());
    Gradients gradients(ref(), real, everything);
    function(real, arena, &gradients, cotangent);

    std::vector<double> actual, expected;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const std::vector<double> direction = normal_values(rng, std::ssize(values[i])), gradient = download(ref(), gradients[i]);
      std::vector<Complex> point(values[i].begin(), values[i].end());
      double along = 0;
      for (std::size_t e = 0; e < point.size(); ++e) {
        point[e] += Complex(0, kStep * direction[e]);
        along += gradient[e] * direction[e];
      }
      set_values<Complex>(stepped, i, point);
      stepped.changed();
      arena.reset();
      const Tensor out = function(stepped, arena, nullptr, {});
      std::vector<Complex> result(cotangent.size());
      ref().copy_to_host(result.data(), out);
      double sum = 0;
      for (std::size_t o = 0; o < result.size(); ++o) sum += cotangent[o] * result[o].imag();
      actual.push_back(along);
      expected.push_back(sum / kStep);
      set_values<Complex>(stepped, i, values[i]);
    }

    double largest = 0;
    for (const double e : expected) largest = std::max(largest, std::fabs(e));
    for (std::size_t i = 0; i < expected.size(); ++i) {
      const std::string& name = real.table()[i].name;
      EXPECT_NEAR(actual[i], expected[i], 1e-12 * largest + 1e-9 * std::fabs(expected[i])) << name;
      // A key's bias adds the same number to all scores of a query, which the softmax cancels.
      const bool constant =
          name.ends_with("key.bias") || std::any_of(unused.begin(), unused.end(), [&](auto part) { return name.starts_with(part); });
      EXPECT_EQ(std::fabs(expected[i]) < 1e-12 * largest, constant) << name << ": " << expected[i];
    }
  }
}

class TaskGradients : public ::testing::TestWithParam<HeadShape> {};

TEST_P(TaskGradients, AgreeWithComplexStep) {
  const HeadShape& head = GetParam();
  const TinyBatch batch({4, 1, 3, 5, 2, 6}, head.pair(), kSeed);
  std::vector<std::string_view> unused = {"heads.other"};
  if (head.pool != Pool::kPooler) unused.push_back("pooler.");
  check_gradients(
      tiny_task_shape(head),
      [&](Params& params, Arena& arena, Gradients* gradients, std::span<const double> cotangent) {
        MultitaskModel model(ref(), params);
        TaskActivations saved;
        const Tensor logits = model.forward(arena, &saved, kTinyHead, batch.view(), tiny_dropout());
        if (gradients != nullptr) model.backward(arena, *gradients, upload(arena, cotangent, logits), saved);
        return logits;
      },
      unused);
}

INSTANTIATE_TEST_SUITE_P(
    Heads, TaskGradients,
    ::testing::Values(
        HeadShape{.task = "Cls", .pool = Pool::kCls, .dropout = 0.3f, .outputs = 3},
        HeadShape{.task = "Pooler", .pool = Pool::kPooler, .dropout = 0.3f, .outputs = 2},
        HeadShape{.task = "MeanDense", .pool = Pool::kMean, .dropout = 0.3f, .dense = {5}, .outputs = 3},
        HeadShape{.task = "NoHeadDropout", .dense = {7, 5}, .outputs = 3},
        HeadShape{.task = "Pair", .features = Features::kPair, .dropout = 0.3f},
        HeadShape{.task = "PairDenseDense", .features = Features::kPair, .dropout = 0.3f, .dense = {5, 4}, .outputs = 2},
        HeadShape{.task = "PairDifference", .features = Features::kPairDifference, .dropout = 0.3f, .dense = {4}},
        HeadShape{.task = "PairMean", .pool = Pool::kMean, .features = Features::kPairDifference, .dropout = 0.3f},
        HeadShape{.task = "PairComparison", .pool = Pool::kMean, .features = Features::kPairComparison, .dropout = 0.3f, .outputs = 3},
        HeadShape{.task = "PairPooler", .pool = Pool::kPooler, .features = Features::kPair, .dropout = 0.3f},
        HeadShape{.task = "CosineClassifies", .pool = Pool::kMean, .features = Features::kCosine, .dropout = 0.3f},
        HeadShape{.task = "CosineRegresses",
                  .pool = Pool::kMean,
                  .features = Features::kCosine,
                  .dropout = 0.3f,
                  .outputs = 0,
                  .low = -1,
                  .high = 4},
        HeadShape{.task = "CosineOfPooler", .pool = Pool::kPooler, .features = Features::kCosine, .outputs = 0}),
    [](const auto& row) { return row.param.task; });

// As in masked-LM training, several rows of one sentence are wanted and none of another.
TEST(EncoderGradients, OfAnyRows) {
  const TinyBatch batch({4, 1, 3, 5}, false, kSeed);
  for (const std::vector<std::int32_t>& wanted :
       {std::vector<std::int32_t>{}, {1, 2, 5, 7, 12}, {12}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}}) {
    SCOPED_TRACE(fmt::format("{} rows", wanted.size()));
    check_gradients(
        tiny_shape(),
        [&](Params& params, Arena& arena, Gradients* gradients, std::span<const double> cotangent) {
          Encoder encoder(ref(), params);
          EncoderActivations saved;
          const Tensor out = encoder.forward(arena, &saved, batch.view(), wanted, tiny_dropout());
          if (gradients != nullptr) encoder.backward(arena, *gradients, upload(arena, cotangent, out), saved);
          return out;
        },
        std::array<std::string_view, 1>{"pooler."});
  }
}

// The tied head's decoder and the word embeddings are one matrix, whose gradient is the sum of both uses.
TEST(MlmGradients, OfBothHeads) {
  const TinyBatch batch({4, 1, 3, 5}, false, kSeed);
  const std::vector<std::int32_t> chosen = {1, 2, 5, 7, 12};
  DropoutState dropout = tiny_dropout();
  dropout.mlm = 0.4f;
  for (const MlmHeadKind kind : {MlmHeadKind::kLinear, MlmHeadKind::kTied}) {
    SCOPED_TRACE(kind == MlmHeadKind::kTied ? "tied" : "linear");
    ModelShape shape = tiny_shape();
    shape.mlm = kind;
    check_gradients(
        shape,
        [&](Params& params, Arena& arena, Gradients* gradients, std::span<const double> cotangent) {
          MultitaskModel model(ref(), params);
          MlmActivations saved;
          const Tensor logits = model.mlm_forward(arena, &saved, batch.view(), chosen, dropout);
          EXPECT_EQ(logits.rows(), std::ssize(chosen));
          EXPECT_EQ(logits.cols(), shape.config.vocab_size);
          if (gradients != nullptr) model.mlm_backward(arena, *gradients, upload(arena, cotangent, logits), saved);
          return logits;
        },
        std::array<std::string_view, 1>{"pooler."});
  }
}

}  // namespace
}  // namespace minbert
