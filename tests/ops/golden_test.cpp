// Compares the reference with PyTorch in f64, where the meaning of an op could be misread (tools/export_golden_ops.py).
#include <gtest/gtest.h>

#include <cstring>
#include <deque>

#include "minbert/base/safetensors.h"
#include "minbert/ops/ref/ref_backend.h"
#include "tests/testing.h"

namespace minbert {
namespace {

constexpr Tolerance kTolerance{1e-13, 1e-12};

/// One file: its tensors in host memory, and outputs to compare with them.
class Golden {
 public:
  explicit Golden(const std::string& op) : op_(op), file_(std::string(MINBERT_SOURCE_DIR "/tests/golden/ops/") + op + ".safetensors") {}

  /// A tensor of f64 in the file.
  Tensor operator[](const std::string& name) {
    const SafetensorsEntry& stored = entry(name, "F64");
    const Tensor x = empty(stored.shape);
    std::memcpy(x.raw(), stored.bytes.data(), stored.bytes.size());
    return x;
  }
  Indices integers(const std::string& name) {
    const SafetensorsEntry& stored = entry(name, "I32");
    std::vector<std::int32_t>& values = lists_.emplace_back(static_cast<std::size_t>(stored.shape.at(0)));
    std::memcpy(values.data(), stored.bytes.data(), stored.bytes.size());
    return in_host_memory(values);
  }
  /// A tensor with the shape of one in the file, filled with NaN, or with zeros for an op that accumulates.
  Tensor like(const std::string& name, double fill = NAN) {
    const Tensor x = empty(entry(name, "F64").shape);
    for (double& value : x.span<double>()) value = fill;
    return x;
  }
  Tensor zeros_like(const std::string& name) { return like(name, 0); }
  Tensor empty(std::span<const std::int64_t> shape) {
    std::int64_t count = 1;
    for (const std::int64_t d : shape) count *= d;
    return Tensor(memory_.emplace_back(static_cast<std::size_t>(count)).data(), DType::kF64, shape);
  }

  void expect(const Tensor& actual, const std::string& name) { EXPECT_TRUE(compare(actual, (*this)[name], kTolerance, op_ + ": " + name)); }

 private:
  const SafetensorsEntry& entry(const std::string& name, std::string_view dtype) {
    const SafetensorsEntry* found = file_.find(name);
    MINBERT_CHECK(found != nullptr && found->dtype == dtype, "{}: no {} tensor {}", file_.path().string(), dtype, name);
    return *found;
  }

  std::string op_;
  SafetensorsFile file_;
  std::deque<std::vector<double>> memory_;
  std::deque<std::vector<std::int32_t>> lists_;
};

Backend& ref() {
  static const std::unique_ptr<Backend> backend = make_ref_backend();
  return *backend;
}

TEST(Golden, Linear) {
  Golden g("linear");
  const PreparedWeight w = ref().prepare(g["w"], DType::kF64, WeightUse::kTrain, nullptr, {});
  const Tensor out = g.like("out"), dx = g.like("dx"), dw = g.zeros_like("dw"), dbias = g.zeros_like("dbias");
  ref().linear(out, g["x"], w, g["bias"]);
  ref().linear_backward_input(dx, g["dout"], w);
  ref().linear_backward_params(dw, dbias, g["x"], g["dout"]);
  g.expect(out, "out");
  g.expect(dx, "dx");
  g.expect(dw, "dw");
  g.expect(dbias, "dbias");
}

TEST(Golden, Activations) {
  for (const auto& [kind, name] : {std::pair(Activation::kGelu, "gelu"),
                                   {Activation::kGeluNew, "gelu_new"},
                                   {Activation::kRelu, "relu"},
                                   {Activation::kSilu, "silu"},
                                   {Activation::kTanh, "tanh"}}) {
    Golden g(name);
    const Tensor out = g.like("out"), dx = g.like("dx");
    ref().activation(out, g["x"], kind);
    ref().activation_backward(dx, g["dout"], g["x"], kind);
    g.expect(out, "out");
    g.expect(dx, "dx");
  }
}

TEST(Golden, LayerNorm) {
  Golden g("layernorm");
  const std::int64_t stats_shape[] = {g["x"].rows(), 2};
  const Tensor out = g.like("out"), stats = g.empty(stats_shape);
  const Tensor dx = g.like("dx"), dgamma = g.zeros_like("dgamma"), dbeta = g.zeros_like("dbeta");
  ref().layernorm(out, stats, g["x"], g["gamma"], g["beta"], 1e-5);
  ref().layernorm_backward(dx, dgamma, dbeta, g["dout"], g["x"], stats, g["gamma"]);
  g.expect(out, "out");
  g.expect(dx, "dx");
  g.expect(dgamma, "dgamma");
  g.expect(dbeta, "dbeta");
}

TEST(Golden, Embedding) {
  Golden g("embedding");
  const auto ids = g.integers("ids"), positions = g.integers("positions"), types = g.integers("types");
  const Tensor out = g.like("out"), dword = g.zeros_like("dword"), dposition = g.zeros_like("dposition"), dtype = g.zeros_like("dtype");
  ref().embedding(out, g["word"], g["position"], g["type"], ids, positions, types);
  ref().embedding_backward(dword, dposition, dtype, g["dout"], ids, positions, types);
  g.expect(out, "out");
  g.expect(dword, "dword");
  g.expect(dposition, "dposition");
  g.expect(dtype, "dtype");
}

// The same as in export_golden_ops.py, which computes the masks from the definition in backend.h.
constexpr Dropout kDropout{.p = 0.3f, .seed = 0x0123456789abcdef, .step = 70000, .micro_step = 2, .site = 9};
constexpr RowId kRowList[] = {{0, 0, 0}, {0, 1, 0}, {5, 0, 1}, {5, 1, 1}, {5, 2, 1}, {9999999, 511, 0}};
const RowIds kRows = in_host_memory(kRowList);

TEST(Golden, Dropout) {
  Golden g("dropout");
  const Tensor out = g.like("out"), dx = g.like("dx");
  ref().dropout(out, g["x"], kRows, kDropout);
  ref().dropout(dx, g["dout"], kRows, kDropout);
  g.expect(out, "out");
  g.expect(dx, "dx");
}

TEST(Golden, Attention) {
  for (const bool with_dropout : {false, true}) {
    Golden g(with_dropout ? "attention_dropout" : "attention");
    const auto offsets = g.integers("offsets");
    const AttentionShape shape{offsets, offsets, 2, kRows, with_dropout ? kDropout : Dropout{}};
    std::vector<std::uint8_t> saved_bytes(ref().attention_saved_bytes(shape, DType::kF64));
    const Tensor saved = Tensor::of(std::span(saved_bytes), {std::ssize(saved_bytes)});
    const Tensor out = g.like("out"), dq = g.like("dq"), dk = g.like("dk"), dv = g.like("dv");
    ref().attention(out, saved, g["q"], g["k"], g["v"], shape);
    ref().attention_backward(dq, dk, dv, g["dout"], saved, g["q"], g["k"], g["v"], shape);
    g.expect(out, "out");
    g.expect(dq, "dq");
    g.expect(dk, "dk");
    g.expect(dv, "dv");
  }
}

TEST(Golden, MeanPool) {
  Golden g("mean_pool");
  const auto offsets = g.integers("offsets");
  const Tensor out = g.like("out"), dx = g.like("dx");
  ref().mean_pool(out, g["x"], offsets);
  ref().mean_pool_backward(dx, g["dout"], offsets);
  g.expect(out, "out");
  g.expect(dx, "dx");
}

TEST(Golden, PairFeatures) {
  Golden g("pair_features");
  const Tensor out = g.like("out"), du = g.like("du"), dv = g.like("dv");
  ref().pair_features(out, g["u"], g["v"], PairTerms::kBothAndDifference);
  ref().pair_features_backward(du, dv, g["dout"], g["u"], g["v"], PairTerms::kBothAndDifference);
  g.expect(out, "out");
  g.expect(du, "du");
  g.expect(dv, "dv");
}

TEST(Golden, Cosine) {
  Golden g("cosine");
  const Tensor out = g.like("out"), du = g.like("du"), dv = g.like("dv");
  ref().cosine(out, g["u"], g["v"]);
  ref().cosine_backward(du, dv, g["dout"], g["u"], g["v"]);
  g.expect(out, "out");
  g.expect(du, "du");
  g.expect(dv, "dv");
}

constexpr double kLossScale = 0.125;  // `dout` of the losses

TEST(Golden, CrossEntropy) {
  Golden g("cross_entropy");
  const auto labels = g.integers("labels");
  const Tensor losses = g.like("out"), dlogits = g.like("dlogits");
  ref().cross_entropy(losses, g["logits"], labels);
  ref().cross_entropy_backward(dlogits, g["logits"], labels, kLossScale);
  g.expect(losses, "out");
  g.expect(dlogits, "dlogits");
}

TEST(Golden, BceWithLogits) {
  Golden g("bce_with_logits");
  const Tensor losses = g.like("out"), dlogits = g.like("dlogits");
  ref().bce_with_logits(losses, g["logits"], g["targets"], {});
  ref().bce_with_logits_backward(dlogits, g["logits"], g["targets"], {}, kLossScale);
  g.expect(losses, "out");
  g.expect(dlogits, "dlogits");
}

TEST(Golden, Mse) {
  Golden g("mse");
  const Tensor losses = g.like("out"), dpredictions = g.like("dpredictions");
  ref().mse(losses, g["predictions"], g["targets"]);
  ref().mse_backward(dpredictions, g["predictions"], g["targets"], kLossScale);
  g.expect(losses, "out");
  g.expect(dpredictions, "dpredictions");
}

// Five steps from zero moments. In torch's form clip_grad_norm_ clips to norm 1.5.
TEST(Golden, AdamW) {
  for (const auto& [form, name] : {std::pair(AdamWForm::kPaper, "adamw_paper"), {AdamWForm::kTorch, "adamw_torch"}}) {
    Golden g(name);
    const Tensor value = g["start"], gradients = g["gradients"], m = g.zeros_like("m"), v = g.zeros_like("v");
    const Tensor norms = form == AdamWForm::kTorch ? g.like("squared_norms") : Tensor{};
    for (std::int64_t t = 1; t <= gradients.rows(); ++t) {
      const Tensor gradient = gradients.slice_rows(t - 1, t).reshape({gradients.cols()});
      AdamWOptions options{.form = form};
      if (norms) {
        double& squared = norms.data<double>()[t - 1];
        squared = ref().squared_norm(std::span(&gradient, 1));
        options.gradient_scale = static_cast<float>(std::min(1.0, 1.5 / (std::sqrt(squared) + 1e-6)));
      }
      const AdamWSegment segment{.value = value,
                                 .gradient = gradient,
                                 .m = m,
                                 .v = v,
                                 .copy = {},
                                 .step = adamw_step(options, 0.0625f, t),
                                 .weight_decay = 0.125f};
      ref().adamw(std::span(&segment, 1), options);
    }
    if (norms) g.expect(norms, "squared_norms");
    // gradient_scale is a float, which limits the precision.
    const Tolerance tolerance = norms ? Tolerance{1e-7, 1e-6} : kTolerance;
    for (const auto& [actual, field] : {std::pair(value, "value"), {m, "m"}, {v, "v"}})
      EXPECT_TRUE(compare(actual, g[field], tolerance, fmt::format("{}: {}", name, field)));
  }
}

}  // namespace
}  // namespace minbert
