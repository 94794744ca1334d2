// Laws of the model at any weights: parts equal the whole, packing and threads change nothing, frozen parts cost nothing, one batch
// can be learned, nothing is allocated once warm, and the tested backend agrees with the reference.
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "minbert/base/round_up.h"
#include "minbert/model/loss.h"
#include "tests/base/error_matchers.h"
#include "tests/model/tiny_task.h"
#include "tests/ops/tested_backend.h"
#include "tests/testing.h"

namespace minbert {
namespace {

constexpr std::uint64_t kSeed = 11711;
using Values = std::vector<double>;

Backend& backend() { return tested_backend(); }

/// A head for each way of reading sentences, and one that trains well.
std::vector<HeadShape> head_kinds() {
  return {{.task = "single", .dropout = 0.3f, .dense = {5}, .outputs = 3},
          {.task = "pooler", .pool = Pool::kPooler, .dropout = 0.3f},
          {.task = "pair", .features = Features::kPairDifference, .dropout = 0.3f},
          {.task = "mean", .pool = Pool::kMean, .features = Features::kPair, .dropout = 0.3f, .dense = {16}},
          {.task = "cosine", .pool = Pool::kMean, .features = Features::kCosine, .dropout = 0.3f, .outputs = 0},
          {.task = "comparison", .pool = Pool::kMean, .features = Features::kPairComparison, .dropout = 0.3f}};
}

/// tiny_shape(), or with `wide` one whose rows span several vectors, with all head_kinds().
ModelShape model_shape(bool wide = false) {
  ModelShape shape = tiny_shape();
  if (wide) {
    shape.config.hidden_size = 64;
    shape.config.num_attention_heads = 4;
    shape.config.intermediate_size = 96;
    shape.config.max_position_embeddings = 32;
  }
  shape.heads = head_kinds();
  return shape;
}

/// A model with its parameters, on one backend.
struct Model {
  explicit Model(Backend& on, ModelShape shape = model_shape(), DType compute = DType::kF32, WeightUse use = WeightUse::kTrain)
      : params(on, std::move(shape), DType::kF32, compute, use) {
    // Values are as large as at the start of training, so that no softmax is saturated.
    const double scale = 1 / std::sqrt(static_cast<double>(params.config().hidden_size));
    for (std::size_t i = 0; i < params.table().size(); ++i)
      set_values<float>(params, i, initial_values(params.table()[i], params.table()[i].decay ? scale : 0.1, kSeed));
    params.changed();
  }
  /// Returns the logits. With `gradients`, runs a backward with the fixed cotangent cos(i).
  Values run(std::size_t head, const TinyBatch& batch, Gradients* gradients = nullptr, const Encoder::GradReady& ready = {}) {
    arena.reset();
    TaskActivations saved;
    const Tensor logits = model.forward(arena, &saved, head, batch.view(), tiny_dropout());
    if (gradients != nullptr) {
      std::vector<float> cotangent(static_cast<std::size_t>(logits.numel()));
      for (std::size_t i = 0; i < cotangent.size(); ++i) cotangent[i] = std::cos(static_cast<float>(i));
      const Tensor dlogits = arena.allocate(DType::kF32, logits.shape());
      params.backend().copy_to_device(dlogits, cotangent.data());
      model.backward(arena, *gradients, dlogits, saved, ready);
    }
    return download(params.backend(), logits);
  }

  Params params;
  MultitaskModel model{params.backend(), params};
  Arena arena{params.backend()};
};

TinyBatch batch_for(const HeadShape& head, std::vector<std::int32_t> lengths = {4, 1, 3, 5, 2, 6}) {
  return {std::move(lengths), head.pair(), kSeed};
}

/// Every parameter's gradient; empty where it is frozen.
std::vector<Values> all_gradients(Model& m, std::size_t head, const TinyBatch& batch,
                                  const std::function<bool(const ParamInfo&)>& trainable = everything,
                                  const Encoder::GradReady& ready = {}) {
  Gradients gradients(m.params.backend(), m.params, trainable);
  m.run(head, batch, &gradients, ready);
  std::vector<Values> result;
  for (const Tensor& g : gradients.all()) result.push_back(g ? download(m.params.backend(), g) : Values());
  return result;
}

/// |a - b| / |b|.
double distance(const Values& a, const Values& b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += (a.at(i) - b[i]) * (a[i] - b[i]);
    size += b[i] * b[i];
  }
  return std::sqrt(difference / size);
}

Values joined(const std::vector<Values>& parts) {
  Values all;
  for (const Values& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

// ---- parts and the whole ----

TEST(Laws, WantedRowsEqualThoseOfAll) {
  Model m(backend());
  const TinyBatch batch({4, 1, 3, 5}, false, kSeed);
  const std::vector<std::int32_t> wanted = {0, 2, 4, 8, 9, 12};
  const std::int64_t C = m.params.config().hidden_size;
  Encoder& encoder = m.model.encoder();
  EncoderActivations partial_saved, all_saved;
  Gradients partial_gradients(backend(), m.params, everything), all_gradients(backend(), m.params, everything);

  const Tensor partial = encoder.forward(m.arena, &partial_saved, batch.view(), wanted, tiny_dropout());
  const Tensor all = encoder.forward(m.arena, &all_saved, batch.view(), {}, tiny_dropout()), chosen = m.arena.allocate(DType::kF32, {6, C});
  const Indices rows = backend().upload(m.arena, wanted);
  backend().gather_rows(chosen, all, rows);
  EXPECT_TRUE(compare(download(backend(), partial), download(backend(), chosen), {1e-6, 1e-5}, "last hidden states"));

  Rng rng(kSeed, "cotangent");
  const Values values = normal_values(rng, 6 * C);
  const std::vector<float> cotangent(values.begin(), values.end());
  const Tensor dpartial = m.arena.allocate(DType::kF32, {6, C}), dall = m.arena.allocate(DType::kF32, {13, C});
  backend().copy_to_device(dpartial, cotangent.data());
  backend().gather_rows_backward(dall, dpartial, rows);
  encoder.backward(m.arena, partial_gradients, dpartial, partial_saved);
  encoder.backward(m.arena, all_gradients, dall, all_saved);
  for (std::size_t i = encoder.span().begin; i < encoder.span().end; ++i) {
    if (m.params.table()[i].name.ends_with("key.bias")) continue;  // zero but for rounding
    EXPECT_TRUE(
        compare(download(backend(), partial_gradients[i]), download(backend(), all_gradients[i]), {1e-5, 1e-5}, m.params.table()[i].name));
  }
}

TEST(Laws, SentenceVectorsAndTheHeadMakeTheModel) {
  Model m(backend());
  for (std::size_t h = 0; h < head_kinds().size(); ++h) {
    const HeadShape& head = m.params.shape().heads[h];
    SCOPED_TRACE(head.task);
    const TinyBatch batch = batch_for(head);
    const std::vector<Values> whole_gradients = all_gradients(m, h, batch);
    const Values whole = m.run(h, batch);

    m.arena.reset();
    const Tensor vectors = m.model.sentence_vectors(m.arena, nullptr, batch.view(), head.pool, tiny_dropout());
    const std::int64_t S = vectors.rows(), B = head.pair() ? S / 2 : S;
    std::vector<RowId> rows;
    for (std::uint32_t b = 0; b < B; ++b) rows.push_back({100 + b, 0, 0});
    HeadActivations saved;
    const Tensor logits = m.model.head_forward(m.arena, &saved, h, vectors.slice_rows(0, B),
                                               head.pair() ? vectors.slice_rows(B, S) : Tensor(), rows, tiny_dropout());
    EXPECT_EQ(download(backend(), logits), whole);

    Gradients gradients(backend(), m.params, [&](const ParamInfo& info) { return info.task == head.task; });
    std::vector<float> cotangent(whole.size());
    for (std::size_t i = 0; i < cotangent.size(); ++i) cotangent[i] = std::cos(static_cast<float>(i));
    const Tensor dlogits = m.arena.allocate(DType::kF32, {B, head.logits()});
    backend().copy_to_device(dlogits, cotangent.data());
    m.model.head_backward(m.arena, gradients, dlogits, saved);
    for (std::size_t i = 0; i < m.params.table().size(); ++i) {
      if (gradients.trainable(i)) {
        EXPECT_EQ(download(backend(), gradients[i]), whole_gradients[i]) << m.params.table()[i].name;
      }
    }
  }
}

TEST(Laws, WithoutActivationsTheSameLogitsAndNothingElse) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    if (compute == DType::kBF16 && !backend().supports_bf16()) continue;
    Model m(backend(), model_shape(), compute);
    for (std::size_t h = 0; h < head_kinds().size(); ++h) {
      const TinyBatch batch = batch_for(m.params.shape().heads[h]);
      const Values expected = m.run(h, batch);
      m.arena.reset();
      const Tensor logits = m.model.forward(m.arena, nullptr, h, batch.view(), tiny_dropout());
      const Tensor next = m.arena.allocate(DType::kF32, {1});
      EXPECT_EQ(download(backend(), logits), expected);
      const std::int64_t aligned = round_up(static_cast<std::int64_t>(logits.bytes()), 64);
      EXPECT_EQ(static_cast<std::byte*>(next.raw()) - static_cast<std::byte*>(logits.raw()), aligned);
    }
  }
}

TEST(Laws, WeightsPackedForForwardGiveTheSame) {
  Model trains(backend(), model_shape(true)), serves(backend(), model_shape(true), DType::kF32, WeightUse::kForward);
  for (std::size_t h = 0; h < head_kinds().size(); ++h) {
    const TinyBatch batch = batch_for(trains.params.shape().heads[h], {9, 3, 17, 5});
    EXPECT_TRUE(compare(serves.run(h, batch), trains.run(h, batch), {1e-5, 1e-5}, head_kinds()[h].task));
  }
}

// It holds with dropout too, because masks depend on examples, not on places in the batch.
TEST(Laws, PackingChangesNothing) {
  Model m(backend());
  const TinyBatch together({5, 2, 6}, false, kSeed);
  const TokenBatch all = together.view();
  const Values expected = m.run(0, together);
  for (std::size_t b = 0; b < 3; ++b) {
    const auto begin = static_cast<std::size_t>(all.offsets[b]), count = static_cast<std::size_t>(all.offsets[b + 1]) - begin;
    const std::vector<std::int32_t> offsets = {0, static_cast<std::int32_t>(count)};
    const TokenBatch alone{all.ids.subspan(begin, count), all.type_ids.subspan(begin, count), all.positions.subspan(begin, count), offsets,
                           all.rows.subspan(begin, count)};
    m.arena.reset();
    const Values actual = download(backend(), m.model.forward(m.arena, nullptr, 0, alone, tiny_dropout()));
    EXPECT_TRUE(compare(actual, std::span(expected).subspan(3 * b, 3), {1e-6, 1e-5}, fmt::format("sentence {}", b)));
  }
}

// ---- what trains ----

TEST(Laws, FrozenPartsChangeNoOtherGradient) {
  const auto named = [](std::string_view part) {
    return [part](const ParamInfo& info) { return info.name.find(part) != std::string::npos; };
  };
  const std::vector<std::pair<const char*, std::function<bool(const ParamInfo&)>>> choices = {
      {"heads", [](const ParamInfo& info) { return info.role == Role::kHead; }},
      {"pooler", [](const ParamInfo& info) { return info.role == Role::kPooler; }},
      {"encoder", [](const ParamInfo& info) { return info.role == Role::kEncoder; }},
      {"embeddings", named("embeddings.")},
      {"first layer", named("layer.0.")},
      {"last layer", named("layer.1.")},
      {"biases", named("bias")},
      {"nothing", [](const ParamInfo&) { return false; }}};
  Model m(backend());
  for (std::size_t h = 0; h < head_kinds().size(); ++h) {
    const TinyBatch batch = batch_for(m.params.shape().heads[h]);
    const std::vector<Values> whole = all_gradients(m, h, batch);
    for (const auto& [name, trainable] : choices) {
      SCOPED_TRACE(fmt::format("{}: {}", head_kinds()[h].task, name));
      const std::vector<Values> part = all_gradients(m, h, batch, trainable);
      for (std::size_t i = 0; i < whole.size(); ++i)
        EXPECT_EQ(part[i], trainable(m.params.table()[i]) ? whole[i] : Values()) << m.params.table()[i].name;
    }
  }
}

TEST(Laws, NothingIsComputedBelowWhatTrains) {
  Model m(backend());
  const auto calls = [&](std::size_t head, const std::function<bool(const ParamInfo&)>& trainable, std::string_view op) {
    backend().reset_profile();
    backend().set_profiling(true);
    all_gradients(m, head, batch_for(m.params.shape().heads[head]), trainable);
    backend().set_profiling(false);
    std::int64_t count = 0;
    for (const OpProfile& entry : backend().profile()) count += entry.op == op ? entry.calls : 0;
    return count;
  };
  const auto role = [](Role r) { return [r](const ParamInfo& info) { return info.role == r; }; };
  const auto last_layer = [](const ParamInfo& info) { return info.name.starts_with("encoder.layer.1."); };
  for (const std::size_t head : {0u, 1u, 3u}) {
    EXPECT_EQ(calls(head, everything, "attention_backward"), 2);
    EXPECT_EQ(calls(head, last_layer, "attention_backward"), 1);
    EXPECT_EQ(calls(head, last_layer, "embedding_backward"), 0);
    EXPECT_EQ(calls(head, role(Role::kHead), "attention_backward"), 0);
    EXPECT_EQ(calls(head, role(Role::kHead), "linear_backward_input"), head == 1 ? 0 : 1);  // between the two layers of the head
  }
  EXPECT_EQ(calls(1, role(Role::kPooler), "attention_backward"), 0);
  EXPECT_EQ(calls(1, role(Role::kPooler), "linear_backward_input"), 1);
}

TEST(Laws, GradientsAreReadyOnceEachFromTheTop) {
  Model m(backend());
  const std::size_t pooler_head = 1;
  std::vector<ParamSpan> spans;
  all_gradients(m, pooler_head, batch_for(m.params.shape().heads[pooler_head]), everything, [&](ParamSpan span) { spans.push_back(span); });
  ASSERT_EQ(spans.size(), 5u);
  const auto expect_span = [&](ParamSpan span, std::string_view first, std::string_view last) {
    EXPECT_EQ(m.params.table()[span.begin].name, first);
    EXPECT_EQ(m.params.table()[span.end - 1].name, last);
  };
  expect_span(spans[0], "heads.pooler.out.weight", "heads.pooler.out.bias");
  expect_span(spans[1], "pooler.dense.weight", "pooler.dense.bias");
  expect_span(spans[2], "encoder.layer.1.attention.self.query.weight", "encoder.layer.1.output.LayerNorm.bias");
  expect_span(spans[3], "encoder.layer.0.attention.self.query.weight", "encoder.layer.0.output.LayerNorm.bias");
  expect_span(spans[4], "embeddings.word_embeddings.weight", "embeddings.LayerNorm.bias");
}

// ---- training ----

/// Trains on one batch until it is learned. Returns the mean loss at the end.
double overfit(Model& m, std::size_t head, Loss loss, const Targets& targets, int steps) {
  const TinyBatch batch = batch_for(m.params.shape().heads[head]);
  Gradients gradients(backend(), m.params, everything);
  TinyOptimizer optimizer(m.params, gradients, 0.01f, 0);
  TaskActivations saved;
  double mean = 0;
  for (int t = 0; t < steps; ++t) {
    m.arena.reset();
    gradients.zero(backend());
    const Tensor logits = m.model.forward(m.arena, &saved, head, batch.view(), {});
    const Values losses = download(backend(), loss_forward(backend(), m.arena, loss, logits, targets));
    mean = std::accumulate(losses.begin(), losses.end(), 0.0) / static_cast<double>(losses.size());
    if (t == 0) {
      EXPECT_GT(mean, 0.1);
    }
    m.model.backward(m.arena, gradients, loss_backward(backend(), m.arena, loss, logits, targets, 1.0 / static_cast<double>(losses.size())),
                     saved);
    optimizer.step(AdamWForm::kPaper);
  }
  return mean;
}

TEST(Laws, OneBatchIsLearned) {
  const std::vector<std::int32_t> labels = {0, 2, 1, 1, 0, 2};
  const std::vector<float> classes = {0, 1, 0, 0, 1, 1}, scores = {0.5f, 4, 2.25f};
  const std::vector<float> similarities = {0, 4, 2.25f};  // the first cosine starts below 0, where max(c, 0) has no slope
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    if (compute == DType::kBF16 && !backend().supports_bf16()) continue;
    SCOPED_TRACE(dtype_name(compute));
    const auto model = [&] { return Model(backend(), model_shape(), compute); };
    Model single = model(), pooler = model(), pair = model(), mean = model(), cosine = model();
    EXPECT_LT(overfit(single, 0, Loss::kCrossEntropy, {labels, {}}, 200), 0.01);
    EXPECT_LT(overfit(pooler, 1, Loss::kBce, {{}, classes}, 300), 0.01);
    EXPECT_LT(overfit(pair, 2, Loss::kMse, {{}, scores}, 200), 0.01);
    EXPECT_LT(overfit(mean, 3, Loss::kMse, {{}, scores}, 200), 0.01);
    EXPECT_LT(overfit(cosine, 4, Loss::kMse, {{}, similarities}, 200), 0.01);
  }
}

/// Memory that counts its allocations.
class CountingMemory final : public Memory {
 public:
  void* allocate(std::size_t bytes) override {
    ++allocations;
    return backend().allocate(bytes);
  }
  void release(void* data, std::size_t bytes) override { backend().release(data, bytes); }
  int allocations = 0;
};

TEST(Laws, AWarmStepAllocatesNothing) {
  CountingMemory memory;
  Arena arena(memory);
  Model m(backend(), model_shape(true));
  Gradients gradients(backend(), m.params, everything);
  TaskActivations saved;
  const TinyBatch batch({30, 9, 32, 28, 17, 32, 5, 20}, true, kSeed), shorter({12, 9, 3, 28, 17, 2, 5, 20}, true, kSeed);
  const std::vector<float> scores = {0.5f, 4, 2.25f, 3};
  const auto step = [&](const TinyBatch& b) {
    arena.reset();
    const Tensor logits = m.model.forward(arena, &saved, 3, b.view(), tiny_dropout());
    loss_forward(backend(), arena, Loss::kMse, logits, {{}, scores});
    m.model.backward(arena, gradients, loss_backward(backend(), arena, Loss::kMse, logits, {{}, scores}, 0.25), saved);
  };
  step(batch);
  step(batch);
  EXPECT_GT(memory.allocations, 0);
  const int warm = memory.allocations;
  const LayerActivations* layers = saved.encoder.layers.data();
  for (int i = 0; i < 3; ++i) step(i == 1 ? shorter : batch);
  EXPECT_EQ(memory.allocations, warm);
  EXPECT_EQ(saved.encoder.layers.data(), layers);
}

// ---- backends and threads ----

constexpr std::array kLengths = {30, 1, 32, 28, 17, 31, 5, 20};

TEST(Laws, AgreesWithTheReference) {
  const std::vector<std::int32_t> lengths(kLengths.begin(), kLengths.end());
  struct Row {
    DType compute;
    double logits, gradients;  // relative distances
  };
  // In bf16 each of about 20 roundings between the embeddings and a gradient keeps 8 bits.
  for (const Row& row : {Row{DType::kF32, 2e-6, 2e-6}, {DType::kBF16, 0.02, 0.02}}) {
    if (row.compute == DType::kBF16 && !backend().supports_bf16()) continue;
    Model actual(backend(), model_shape(true), row.compute), expected(oracle(), model_shape(true));
    for (std::size_t h = 0; h < head_kinds().size(); ++h) {
      SCOPED_TRACE(fmt::format("{} {}", dtype_name(row.compute), head_kinds()[h].task));
      const TinyBatch batch = batch_for(actual.params.shape().heads[h], lengths);
      EXPECT_LT(distance(actual.run(h, batch), expected.run(h, batch)), row.logits);
      // The gradient of |u - v| jumps where rounding changes a sign.
      const Features features = head_kinds()[h].features;
      if (row.compute == DType::kBF16 && (features == Features::kPairDifference || features == Features::kPairComparison)) continue;
      EXPECT_LT(distance(joined(all_gradients(actual, h, batch)), joined(all_gradients(expected, h, batch))), row.gradients);
    }
  }
}

TEST(ThreadLaws, ThreadsChangeNothing) {
  const ThreadGuard guard;
  const std::vector<std::int32_t> lengths(kLengths.begin(), kLengths.end());
  Model m(backend(), model_shape(true));
  for (std::size_t h = 0; h < head_kinds().size(); ++h) {
    SCOPED_TRACE(head_kinds()[h].task);
    const TinyBatch batch = batch_for(m.params.shape().heads[h], lengths);
    set_num_threads(1);
    const Values logits = m.run(h, batch);
    const std::vector<Values> gradients = all_gradients(m, h, batch);
    set_num_threads(2);
    EXPECT_EQ(m.run(h, batch), logits);
    EXPECT_EQ(all_gradients(m, h, batch), gradients);
  }
}

// ---- broken invariants ----

TEST(Laws, WrongUseIsRefused) {
  Model m(backend());
  const auto refused = [](auto&& body) { expect_error(ErrorTag::kInternal, {"check failed"}, body); };
  const TinyBatch three({4, 1, 3}, false, kSeed), four({4, 1, 3, 2}, true, kSeed);
  const std::vector<std::int32_t> falling = {3, 1}, beyond = {0, 8};
  refused([&] { m.model.forward(m.arena, nullptr, 2, three.view(), {}); });
  refused([&] { m.model.encoder().forward(m.arena, nullptr, three.view(), falling, {}); });
  refused([&] { m.model.encoder().forward(m.arena, nullptr, three.view(), beyond, {}); });
  refused([&] {
    TokenBatch ragged = four.view();
    ragged.type_ids = ragged.type_ids.first(3);
    m.model.forward(m.arena, nullptr, 0, ragged, {});
  });
  const Tensor u = m.arena.allocate(DType::kF32, {2, 6});
  backend().zero(u);
  refused([&] { m.model.head_forward(m.arena, nullptr, 0, u, u, {}, {}); });
  refused([&] { m.model.head_forward(m.arena, nullptr, 2, u, {}, {}, {}); });
  refused([&] { m.model.head_forward(m.arena, nullptr, 0, u, {}, {}, tiny_dropout()); });  // dropout needs rows
  ModelShape shape = model_shape();
  shape.pooler = false;
  refused([&] { Model without(backend(), shape); });
}

}  // namespace
}  // namespace minbert
