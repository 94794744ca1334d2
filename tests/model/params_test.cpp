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

ModelShape shape_with_heads() {
  ModelShape shape = tiny_shape();
  shape.heads = {{.task = "single", .dense = {4, 3}, .outputs = 5},
                 {.task = "pair", .features = Features::kPair},
                 {.task = "difference", .features = Features::kPairDifference, .dense = {7}},
                 {.task = "classifies", .features = Features::kCosine},
                 {.task = "regresses", .features = Features::kCosine, .outputs = 0}};
  return shape;
}

TEST(Params, HeadsHaveTheWidthOfTheirFeatures) {
  const auto backend = make_backend("ref");
  const Params params(*backend, shape_with_heads());
  const auto shape_of = [&](std::string_view name) { return params.table()[params.index(name)].shape; };
  EXPECT_EQ(shape_of("heads.single.dense.0.weight"), (Shape{4, 6}));
  EXPECT_EQ(shape_of("heads.single.dense.1.weight"), (Shape{3, 4}));
  EXPECT_EQ(shape_of("heads.single.out.weight"), (Shape{5, 3}));
  EXPECT_EQ(shape_of("heads.pair.out.weight"), (Shape{1, 12}));
  EXPECT_EQ(shape_of("heads.difference.dense.0.weight"), (Shape{7, 18}));
  EXPECT_EQ(shape_of("heads.classifies.out.weight"), (Shape{1, 1}));
  EXPECT_FALSE(params.has("heads.regresses.out.weight"));
  EXPECT_EQ(params.shape().heads[4].logits(), 1);
}

TEST(Params, QueryKeyAndValueAreOneMatrix) {
  const auto backend = make_backend("ref");
  Params params = tiny_params(*backend, tiny_shape());
  const LinearParams qkv = params.linear("encoder.layer.1.attention.self.query", 3), query = params.linear("encoder.layer.1.attention.self.query");
  EXPECT_EQ(qkv.weight->master.describe(), "f32 (18, 6)");
  EXPECT_EQ(qkv.bias.describe(), "f32 (18)");
  EXPECT_EQ(qkv.weight->master.raw(), query.weight->master.raw());
  EXPECT_EQ(params.table()[qkv.bias_index + 2].name, "encoder.layer.1.attention.self.value.bias");
  const NormParams norm = params.norm("encoder.layer.0.output.LayerNorm");
  EXPECT_EQ(norm.beta.raw(), params.value("encoder.layer.0.output.LayerNorm.bias").raw());
  // A bias lies behind the value's.
  expect_error(ErrorTag::kInternal, {"not adjacent"}, [&] { params.joined(qkv.bias_index, 4); });
}

TEST(Params, JoinedGradientsTrainTogether) {
  const auto backend = make_backend("ref");
  const Params params(*backend, tiny_shape());
  const std::size_t query = params.index("encoder.layer.0.attention.self.query.weight");
  const Gradients all(*backend, params, [](const ParamInfo&) { return true; }), none(*backend, params, [](const ParamInfo&) { return false; });
  EXPECT_EQ(all.joined(query, 3).describe(), "f32 (18, 6)");
  EXPECT_FALSE(none.joined(query, 3));
  for (const char* one : {"query.weight", "value.weight"}) {
    const Gradients some(*backend, params, [&](const ParamInfo& info) { return info.name.ends_with(one); });
    EXPECT_TRUE(some.trainable({query, query + 3}));
    EXPECT_FALSE(some.trainable({query + 3, query + 6}));
    expect_error(ErrorTag::kInternal, {"some do not"}, [&] { some.joined(query, 3); });
  }
}

TEST(Params, InitialValuesFollowTheTable) {
  const auto backend = make_backend("ref");
  ModelShape wide = shape_with_heads();
  wide.config.vocab_size = 3000;
  Params params(*backend, wide);
  params.init(7, [](const ParamInfo&) { return true; });
  for (const ParamInfo& info : params.table()) {
    if (info.init == Init::kNormal) continue;
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

}  // namespace
}  // namespace minbert
