// The table of parameters: shapes of heads, adjacency of q, k and v, initial values.
#include "minbert/model/params.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "minbert/base/parallel.h"
#include "tests/base/error_matchers.h"
#include "tests/model/tiny_model.h"

namespace minbert {
namespace {

using Shape = std::vector<std::int64_t>;

ModelShape shape_with_every_feature() {
  ModelShape shape = tiny_shape();
  shape.heads = {{.task = "single", .dense = {4, 3}, .outputs = 5},
                 {.task = "pair", .features = Features::kPair},
                 {.task = "difference", .features = Features::kPairDifference, .dense = {7}},
                 {.task = "classifies", .features = Features::kCosine},
                 {.task = "regresses", .features = Features::kCosine, .outputs = 0},
                 {.task = "comparison", .features = Features::kPairComparison}};
  return shape;
}

TEST(Params, HeadsHaveTheWidthOfTheirFeatures) {
  const auto backend = make_backend("ref");
  const Params params(*backend, shape_with_every_feature());
  const auto shape_of = [&](std::string_view name) { return params.table()[params.index(name)].shape; };
  EXPECT_EQ(shape_of("heads.single.dense.0.weight"), (Shape{4, 6}));
  EXPECT_EQ(shape_of("heads.single.dense.1.weight"), (Shape{3, 4}));
  EXPECT_EQ(shape_of("heads.single.out.weight"), (Shape{5, 3}));
  EXPECT_EQ(shape_of("heads.pair.out.weight"), (Shape{1, 12}));
  EXPECT_EQ(shape_of("heads.difference.dense.0.weight"), (Shape{7, 18}));
  EXPECT_EQ(shape_of("heads.comparison.out.weight"), (Shape{1, 12}));
  EXPECT_EQ(shape_of("heads.classifies.out.weight"), (Shape{1, 1}));
  EXPECT_FALSE(params.has("heads.regresses.out.weight"));
  EXPECT_EQ(params.shape().heads[4].logits(), 1);
}

TEST(Params, QueryKeyAndValueAreOneMatrix) {
  const auto backend = make_backend("ref");
  Params params = tiny_params(*backend, tiny_shape());
  const LinearParams qkv = params.linear("encoder.layer.1.attention.self.query", 3),
                     query = params.linear("encoder.layer.1.attention.self.query");
  EXPECT_EQ(qkv.weight->master.describe(), "f32 (18, 6)");
  EXPECT_EQ(qkv.bias.describe(), "f32 (18)");
  EXPECT_EQ(qkv.weight->master.raw(), query.weight->master.raw());
  EXPECT_EQ(params.table()[qkv.bias_index + 2].name, "encoder.layer.1.attention.self.value.bias");
  const NormParams norm = params.norm("encoder.layer.0.output.LayerNorm");
  EXPECT_EQ(norm.beta.raw(), params.value("encoder.layer.0.output.LayerNorm.bias").raw());
  // The tensor behind the value's bias has another shape.
  expect_error(ErrorTag::kInternal, {"not adjacent"}, [&] { params.joined(qkv.bias_index, 4); });
}

TEST(Params, JoinedGradientsTrainTogether) {
  const auto backend = make_backend("ref");
  const Params params(*backend, tiny_shape());
  const std::size_t query = params.index("encoder.layer.0.attention.self.query.weight");
  const Gradients all(*backend, params, [](const ParamInfo&) { return true; }),
      none(*backend, params, [](const ParamInfo&) { return false; });
  EXPECT_EQ(all.joined(query, 3).describe(), "f32 (18, 6)");
  EXPECT_FALSE(none.joined(query, 3));
  for (const char* one : {"query.weight", "value.weight"}) {
    const Gradients partial(*backend, params, [&](const ParamInfo& info) { return info.name.ends_with(one); });
    EXPECT_TRUE(partial.trainable({query, query + 3}));
    EXPECT_FALSE(partial.trainable({query + 3, query + 6}));
    expect_error(ErrorTag::kInternal, {"some do not"}, [&] { partial.joined(query, 3); });
  }
}

TEST(Params, SnapshotsBringBackAHead) {
  const auto backend = make_backend("ref");
  Params params(*backend, shape_with_every_feature());
  const auto init = [&](std::uint64_t seed) { params.init(seed, [](const ParamInfo&) { return true; }); };
  init(7);
  const ParamSpan span = params.head_span("single");
  EXPECT_EQ(params.table()[span.begin].name, "heads.single.dense.0.weight");
  EXPECT_EQ(params.table()[span.end - 1].name, "heads.single.out.bias");
  EXPECT_EQ(params.flat(span).describe(), fmt::format("f32 ({})", 6 * 4 + 4 + 4 * 3 + 3 + 3 * 5 + 5));

  const ParamSnapshot head(params, span), all(params, {0, params.table().size()});
  std::vector<std::vector<float>> before;
  for (const ParamInfo& info : params.table()) before.push_back(values(params, info.name));
  init(8);
  const std::vector<float> other_head = values(params, "heads.pair.out.weight");
  head.restore(params);
  for (std::size_t i = span.begin; i < span.end; ++i) EXPECT_EQ(values(params, params.table()[i].name), before[i]);
  EXPECT_EQ(values(params, "heads.pair.out.weight"), other_head);
  EXPECT_NE(other_head, before[params.index("heads.pair.out.weight")]);
  all.restore(params);
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_EQ(values(params, params.table()[i].name), before[i]);

  const ParamSpan none = params.head_span("regresses");
  EXPECT_EQ(none.begin, none.end);
  ParamSnapshot(params, none).restore(params);
  ParamSnapshot().restore(params);
}

TEST(Params, InitialValuesFollowTheTable) {
  const auto backend = make_backend("ref");
  ModelShape wide = shape_with_every_feature();
  wide.config.vocab_size = 3000;
  Params params(*backend, wide);
  params.init(7, [](const ParamInfo&) { return true; });
  for (const ParamInfo& info : params.table()) {
    if (info.init != Init::kZeros && info.init != Init::kOnes) continue;
    for (const float value : values(params, info.name)) EXPECT_EQ(value, info.init == Init::kOnes ? 1.0f : 0.0f) << info.name;
  }
  const std::vector<float> words = values(params, "embeddings.word_embeddings.weight");
  for (std::size_t c = 0; c < 6; ++c) EXPECT_EQ(words[c], 0.0f);  // [PAD]
  const double squares = std::inner_product(words.begin(), words.end(), words.begin(), 0.0);
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(words.size())), wide.config.initializer_range, 0.0005);  // 3 sigma of 18,000 draws

  // One more head, and another number of threads, change no other value.
  ModelShape more = wide;
  more.heads.insert(more.heads.begin(), {.task = "new"});
  const int threads = num_threads();
  set_num_threads(threads == 1 ? 2 : 1);
  Params others(*backend, more);
  others.init(7, [](const ParamInfo& info) { return info.role != Role::kPooler; });
  set_num_threads(threads);
  for (const ParamInfo& info : params.table()) {
    if (info.role == Role::kPooler) continue;
    EXPECT_EQ(values(others, info.name), values(params, info.name)) << info.name;
  }
  EXPECT_EQ(values(others, "pooler.dense.weight"), std::vector<float>(36));
}

struct Moments {
  double mean = 0, deviation = 0, largest = 0;
};

Moments moments(const std::vector<float>& values) {
  Moments m;
  for (const float value : values) m.mean += value / static_cast<double>(values.size());
  for (const float value : values) m.deviation += (value - m.mean) * (value - m.mean) / static_cast<double>(values.size());
  for (const float value : values) m.largest = std::max(m.largest, std::abs(static_cast<double>(value)));
  m.deviation = std::sqrt(m.deviation);
  return m;
}

ModelShape wide_heads(HeadInit init) {
  ModelShape shape = tiny_shape();
  shape.heads = {{.task = "wide", .features = Features::kPair, .dense = {4000}, .outputs = 30, .init = init}};
  shape.mlm = MlmHeadKind::kLinear;
  shape.config.vocab_size = 5000;
  return shape;
}

TEST(Params, HeadsStartAsTorchDrawsLinearLayers) {
  const auto backend = make_backend("ref");
  Params params(*backend, wide_heads(HeadInit::kTorch));
  params.init(7, [](const ParamInfo&) { return true; });
  const auto expect_uniform = [&](const char* name, double inputs, double tolerance) {
    const double bound = 1 / std::sqrt(inputs);
    const Moments m = moments(values(params, name));
    EXPECT_NEAR(m.mean, 0, tolerance * bound) << name;
    EXPECT_NEAR(m.deviation, bound / std::sqrt(3), tolerance * bound) << name;
    EXPECT_LE(m.largest, bound * (1 + 1e-7)) << name;  // rounded to f32
    EXPECT_GT(m.largest, bound * (1 - 20 * tolerance * tolerance)) << name;
  };
  expect_uniform("heads.wide.dense.0.weight", 12, 0.01);  // 48,000 draws: one standard error of the mean is .0026 of the bound
  expect_uniform("heads.wide.dense.0.bias", 12, 0.03);
  expect_uniform("heads.wide.out.weight", 4000, 0.01);
  expect_uniform("heads.wide.out.bias", 4000, 0.4);
  expect_uniform("mlm.weight", 6, 0.015);
}

TEST(Params, CosinesStartWithTheRightSignWhateverTheSeed) {
  const auto backend = make_backend("ref");
  ModelShape shape = tiny_shape();
  shape.heads = {{.task = "one", .features = Features::kCosine, .outputs = 1},
                 {.task = "two", .features = Features::kCosine, .outputs = 2}};
  Params params(*backend, shape);
  params.init(7, [](const ParamInfo&) { return true; });
  EXPECT_EQ(values(params, "heads.one.out.weight"), std::vector<float>{10});
  EXPECT_EQ(values(params, "heads.one.out.bias"), std::vector<float>{-5});
  EXPECT_EQ(values(params, "heads.two.out.weight"), (std::vector<float>{-5, 5}));
  EXPECT_EQ(values(params, "heads.two.out.bias"), (std::vector<float>{2.5, -2.5}));
}

TEST(Params, HeadsMayStartAsBertsOwnLayers) {
  const auto backend = make_backend("ref");
  Params params(*backend, wide_heads(HeadInit::kNormal));
  params.init(7, [](const ParamInfo&) { return true; });
  for (const char* name : {"heads.wide.dense.0.weight", "heads.wide.out.weight"}) {
    const Moments m = moments(values(params, name));
    EXPECT_NEAR(m.mean, 0, 0.0003) << name;
    EXPECT_NEAR(m.deviation, params.config().initializer_range, 0.0003) << name;
    EXPECT_GT(m.largest, 0.07) << name;  // no bound
  }
  for (const char* name : {"heads.wide.dense.0.bias", "heads.wide.out.bias"}) EXPECT_EQ(moments(values(params, name)).largest, 0) << name;
}

}  // namespace
}  // namespace minbert
