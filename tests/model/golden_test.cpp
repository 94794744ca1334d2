// Compares a BERT of two layers with PyTorch and transformers: logits, losses, every gradient and ten steps of AdamW, with the dropout
// masks of backend.h (tools/export_golden.py).
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>

#include "minbert/model/loss.h"
#include "tests/model/tiny_task.h"
#include "tests/ops/tested_backend.h"
#include "tests/testing.h"

namespace minbert {
namespace {

const SafetensorsFile& golden() {
  static const SafetensorsFile file(MINBERT_SOURCE_DIR "/tests/golden/model/tiny_bert.safetensors");
  return file;
}

template <class T>
std::vector<double> widened(const SafetensorsEntry& entry) {
  std::vector<T> values(entry.bytes.size() / sizeof(T));
  std::memcpy(values.data(), entry.bytes.data(), entry.bytes.size());
  return {values.begin(), values.end()};
}

/// The values of a tensor, empty when the file has none of that name.
std::vector<double> stored(const std::string& name) {
  const SafetensorsEntry* entry = golden().find(name);
  if (entry == nullptr) return {};
  return entry->dtype == "F64" ? widened<double>(*entry) : entry->dtype == "F32" ? widened<float>(*entry) : widened<std::int32_t>(*entry);
}

std::vector<std::int32_t> integers(const std::string& name) {
  const std::vector<double> values = stored(name);
  return {values.begin(), values.end()};
}

/// A case of export_golden.py. Its head has the name of the case here, and the name "task" in the file.
struct GoldenCase {
  HeadShape head;
  Loss loss;
  std::vector<std::int32_t> labels;
  std::vector<float> values;
};

const std::vector<GoldenCase>& golden_cases() {
  static const std::vector<GoldenCase> cases = {
      {{.task = "single", .pool = Pool::kPooler, .dropout = 0.4f, .outputs = 3}, Loss::kCrossEntropy, {2, 0, 1}, {}},
      {{.task = "separate", .features = Features::kPairDifference, .dropout = 0.4f, .dense = {5}}, Loss::kMse, {}, {0.5f, 4, 2.25f}},
      {{.task = "joint", .pool = Pool::kMean, .dropout = 0.4f, .dense = {6, 5}}, Loss::kBce, {}, {1, 0, 0.25f}},
      {{.task = "cosine", .pool = Pool::kMean, .features = Features::kCosine, .dropout = 0.4f, .outputs = 0},
       Loss::kMse,
       {},
       {0.5f, 4, 2.25f}},
      {{.task = "cosine_class", .pool = Pool::kPooler, .features = Features::kCosine, .dropout = 0.4f}, Loss::kBce, {}, {1, 0, 1}},
  };
  return cases;
}

void PrintTo(const GoldenCase& c, std::ostream* out) { *out << c.head.task; }

/// The batch of a case: examples 3, 70000 and 21, then their second sentences.
struct GoldenBatch {
  explicit GoldenBatch(const std::string& name) : ids(integers(name + "/ids")), type_ids(integers(name + "/type_ids")) {
    const std::uint32_t examples[] = {3, 70000, 21};
    std::uint32_t b = 0;
    for (const std::int32_t length : integers(name + "/lengths")) {
      for (std::int32_t p = 0; p < length; ++p) {
        positions.push_back(p);
        rows.push_back({examples[b % 3], static_cast<std::uint16_t>(p), static_cast<std::uint8_t>(b / 3)});
      }
      offsets.push_back(offsets.back() + length);
      ++b;
    }
  }
  TokenBatch view() const { return {ids, type_ids, positions, offsets, rows}; }

  std::vector<std::int32_t> ids, type_ids, positions, offsets = {0};
  std::vector<RowId> rows;
};

class GoldenModel : public ::testing::TestWithParam<GoldenCase> {
 protected:
  /// f64 where the backend has it; then all digits but the last few agree.
  static Backend& backend() { return tested_backend(); }
  static DType dtype() { return backend().name() == "ref" ? DType::kF64 : DType::kF32; }
  static double tolerance() { return dtype() == DType::kF64 ? 1e-9 : 1e-5; }

  static ModelShape shape() {
    ModelShape shape = tiny_task_shape(GetParam().head);
    shape.config = parse_model_config(parse_json(golden().metadata().at("config"), "config", ErrorTag::kModel), "config");
    return shape;
  }
  /// The name of a parameter in the file, which has the head of this case only.
  static std::string file_name(const ParamInfo& info) {
    std::string name = info.name;
    if (info.task == GetParam().head.task) name.replace(name.find(info.task), info.task.size(), "task");
    return name;
  }

  void SetUp() override {
    for (std::size_t i = 0; i < params.table().size(); ++i) {
      const ParamInfo& info = params.table()[i];
      if (info.task == "other") continue;
      const std::vector<double> values = stored((info.role == Role::kHead ? GetParam().head.task + "/init/" : "init/") + file_name(info));
      ASSERT_EQ(std::ssize(values), info.numel()) << info.name;
      set(params.value(i), values);
    }
    params.changed();
  }
  static void set(const Tensor& x, const std::vector<double>& values) {
    const std::vector<float> narrow(values.begin(), values.end());
    if (dtype() == DType::kF64)
      backend().copy_to_device(x, values.data());
    else
      backend().copy_to_device(x, narrow.data());
  }
  /// Runs forward and backward of one step. Returns the logits, and sets `loss` to the mean loss.
  Tensor step(std::uint32_t number, double& loss) {
    const GoldenCase& c = GetParam();
    const DropoutState dropout{.hidden = 0.2f, .attention = 0.3f, .heads = true, .seed = 0x0123456789abcdef, .step = number};
    const Targets targets{c.labels, c.values};
    gradients.zero(backend());
    const Tensor logits = model.forward(arena, &saved, kTinyHead, batch.view(), dropout);
    const std::vector<double> losses = download(backend(), loss_forward(backend(), arena, c.loss, logits, targets));
    loss = std::accumulate(losses.begin(), losses.end(), 0.0) / 3;
    model.backward(arena, gradients, loss_backward(backend(), arena, c.loss, logits, targets, 1.0 / 3), saved);
    return logits;
  }

  Params params{backend(), shape(), dtype(), dtype()};
  MultitaskModel model{backend(), params};
  Gradients gradients{backend(), params, everything};
  Arena arena{backend()};
  TaskActivations saved;
  GoldenBatch batch{GetParam().head.task};
};

TEST_P(GoldenModel, FirstStep) {
  double loss = 0;
  const std::string name = GetParam().head.task;
  EXPECT_TRUE(compare(download(backend(), step(0, loss)), stored(name + "/logits"), {tolerance(), tolerance()}, "logits"));
  EXPECT_NEAR(loss, stored(name + "/losses_paper").at(0), tolerance() * loss);

  double largest = 0;
  for (const ParamInfo& info : params.table())
    for (const double g : stored(name + "/gradient/" + file_name(info))) largest = std::max(largest, std::fabs(g));
  ASSERT_GT(largest, 0);
  int compared = 0;
  for (std::size_t i = 0; i < params.table().size(); ++i) {
    const ParamInfo& info = params.table()[i];
    const std::vector<double> actual = download(backend(), gradients[i]), expected = stored(name + "/gradient/" + file_name(info));
    if (expected.empty() || info.name.ends_with("key.bias")) {  // not part of the task; zero but for rounding
      for (const double g : actual) EXPECT_NEAR(g, 0, tolerance() * largest) << info.name;
    } else {
      EXPECT_TRUE(compare(actual, expected, {tolerance() * largest, tolerance()}, "gradient of " + info.name));
      ++compared;
    }
  }
  EXPECT_GE(compared, 35);  // embeddings 5, layers 2 x 15
}

TEST_P(GoldenModel, TenStepsOfAdamW) {
  for (const auto& [form, name] : {std::pair(AdamWForm::kPaper, "paper"), {AdamWForm::kTorch, "torch"}}) {
    SCOPED_TRACE(name);
    SetUp();
    TinyOptimizer optimizer(params, gradients, 0x1p-7f, 0x1p-5f);
    std::vector<double> losses;
    for (std::uint32_t t = 0; t < 10; ++t) {
      arena.reset();
      step(t, losses.emplace_back());
      optimizer.step(form);
    }
    EXPECT_TRUE(compare(losses, stored(fmt::format("{}/losses_{}", GetParam().head.task, name)), {0, 5 * tolerance()}, "losses"));
  }
}

INSTANTIATE_TEST_SUITE_P(Tasks, GoldenModel, ::testing::ValuesIn(golden_cases()), [](const auto& row) { return row.param.head.task; });

/// Heads start from the values that tools/export_golden_init.py computes in numpy from the definition alone.
TEST(Golden, InitialValuesOfHeads) {
  const SafetensorsFile file(MINBERT_SOURCE_DIR "/tests/golden/model/init.safetensors");
  ModelShape shape = tiny_shape();
  shape.heads = {{.task = "pair", .features = Features::kPairDifference, .dense = {5}}};
  shape.mlm = MlmHeadKind::kLinear;
  const auto backend = make_backend("ref");
  Params params(*backend, shape);
  params.init(0x0123456789ABCDEF, [](const ParamInfo&) { return true; });
  std::size_t compared = 0;
  for (const ParamInfo& info : params.table()) {
    if (info.role != Role::kHead && info.role != Role::kMlm) continue;
    const SafetensorsEntry* entry = file.find(info.name);
    ASSERT_NE(entry, nullptr) << info.name;
    const std::vector<double> expected = widened<float>(*entry);
    const std::vector<float> actual = values(params, info.name);
    ASSERT_EQ(actual.size(), expected.size()) << info.name;
    for (std::size_t i = 0; i < actual.size(); ++i) EXPECT_FLOAT_EQ(actual[i], static_cast<float>(expected[i])) << info.name << " " << i;
    ++compared;
  }
  EXPECT_EQ(compared, file.entries().size());
}

}  // namespace
}  // namespace minbert
