// What backend.h promises beyond the values of ops: which backend runs, prepared weights, dropout's masks, the optimizer's formulas,
// sums that do not depend on cuts, fused ops that equal their default bodies, memory, profiling and the check of outputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

#include "tests/base/error_matchers.h"
#include "tests/ops/tested_backend.h"
#include "tests/testing.h"

namespace minbert {
namespace {

/// Makes a test's tensors in the tested backend's memory.
class Laws : public ::testing::Test {
 protected:
  Tensor empty(DType dtype, std::initializer_list<std::int64_t> shape) { return arena_.allocate(dtype, shape); }
  Tensor put(DType dtype, std::initializer_list<std::int64_t> shape, const std::vector<double>& values) {
    const Tensor x = empty(dtype, shape);
    if (dtype == DType::kF32) {
      const std::vector<float> host(values.begin(), values.end());
      backend().copy_to_device(x, host.data());
    } else {
      std::vector<BFloat16> host;
      for (const double value : values) host.emplace_back(static_cast<float>(value));
      backend().copy_to_device(x, host.data());
    }
    return x;
  }
  Tensor normal(DType dtype, std::initializer_list<std::int64_t> shape) {
    std::int64_t count = 1;
    for (const std::int64_t d : shape) count *= d;
    return put(dtype, shape, normal_values(rng_, count));
  }
  std::vector<double> get(const Tensor& x) { return download(backend(), x); }
  static Backend& backend() { return tested_backend(); }
  /// The list must outlive what is returned.
  Indices upload(std::span<const std::int32_t> list) { return backend().upload(arena_, list); }
  RowIds upload(std::span<const RowId> list) { return backend().upload(arena_, list); }

  Rng rng_{kSeed, ::testing::UnitTest::GetInstance()->current_test_info()->name()};
  Arena arena_{tested_backend()};
};

// ---- which backend ----

TEST_F(Laws, TheNamedBackendRuns) {
  const Env env = read_env();
  EXPECT_EQ(backend().name(), env.backend);
  EXPECT_FALSE(backend().description().empty());
  RecordProperty("backend", backend().description());
  // A capped backend names the set that it runs on. Below AVX-512 it has no bf16 products.
  if ((env.isa != "avx2" && env.isa != "sse2") || env.backend != "cpu") return;
  std::string text = backend().description();
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  EXPECT_EQ(text.find("avx2") != std::string::npos, env.isa == "avx2") << text;
  EXPECT_EQ(text.find("avx512"), std::string::npos) << text;
  EXPECT_FALSE(backend().supports_bf16());
}

TEST_F(Laws, UnknownNamesAreUsageErrors) {
  expect_error(ErrorTag::kUsage, {"gpu", "ref", "cpu"}, [] { make_backend("gpu"); });
  expect_error(ErrorTag::kUsage, {"MINBERT_ISA: expected one of sse2, avx2, avx512", "got \"AVX2\""},
               [] { make_backend("cpu", {.isa = "AVX2"}); });
}

TEST_F(Laws, SiblingsReadPreparedWeights) {
  const std::unique_ptr<Backend> sibling = backend().sibling();
  EXPECT_EQ(sibling->name(), backend().name());
  EXPECT_EQ(sibling->description(), backend().description());
  const Tensor x = normal(DType::kF32, {3, 40}), out = empty(DType::kF32, {3, 17}), same = empty(DType::kF32, {3, 17});
  const Tensor master = normal(DType::kF32, {17, 40});
  for (const WeightUse use : {WeightUse::kTrain, WeightUse::kForward, WeightUse::kForwardInt8}) {
    if (use == WeightUse::kForwardInt8 && !backend().supports_int8()) continue;
    const PreparedWeight w = backend().prepare(master, DType::kF32, use, nullptr, {});
    backend().linear(out, x, w, {});
    sibling->linear(same, x, w, {});
    EXPECT_EQ(get(out), get(same));
  }
}

// ---- weights ----

TEST_F(Laws, StaleWeightsAreRefused) {
  for (const DType compute : {DType::kF32, DType::kBF16}) {
    if (compute == DType::kBF16 && !backend().supports_bf16()) continue;
    for (const WeightUse use : {WeightUse::kTrain, WeightUse::kForward}) {
      std::uint64_t clock = 5;
      const Tensor master = put(DType::kF32, {2, 4}, {1, 2, 3, 9, 4, 5, 6, 9}), x = put(compute, {1, 4}, {1, 0, -1, 0});
      const Tensor out = empty(compute, {1, 2}), dx = empty(compute, {1, 4});
      PreparedWeight w = backend().prepare(master, compute, use, &clock, {});
      backend().linear(out, x, w, {});
      EXPECT_EQ(get(out), (std::vector<double>{-2, -2}));

      backend().copy(master, put(DType::kF32, {2, 4}, {8, 0, 1, 9, 0, 2, 4, 9}));
      ++clock;
      expect_error(ErrorTag::kInternal, {"stale weight"}, [&] { backend().linear(out, x, w, {}); });
      expect_error(ErrorTag::kInternal, {"stale weight"}, [&] { backend().linear_activation(out, {}, x, w, {}, Activation::kGelu); });
      if (use == WeightUse::kTrain)
        expect_error(ErrorTag::kInternal, {"stale weight"}, [&] { backend().linear_backward_input(dx, out, w); });

      backend().refresh(w);
      backend().linear(out, x, w, {});
      EXPECT_EQ(get(out), (std::vector<double>{7, -4}));
    }
  }
}

TEST_F(Laws, AdamWKeepsTheCopyOfAWeightFresh) {
  if (!backend().supports_bf16()) GTEST_SKIP() << "no bf16";
  std::uint64_t clock = 0;
  const Tensor master = normal(DType::kF32, {3, 5}), copy = empty(DType::kBF16, {3, 5});
  PreparedWeight w = backend().prepare(master, DType::kBF16, WeightUse::kTrain, &clock, copy);
  const Tensor zeros = put(DType::kF32, {15}, std::vector<double>(15));
  const AdamWSegment segment{.value = master.reshape({15}),
                             .gradient = normal(DType::kF32, {15}),
                             .m = zeros,
                             .v = put(DType::kF32, {15}, std::vector<double>(15)),
                             .copy = copy.reshape({15}),
                             .step = adamw_step({}, 0.5f, 1)};
  backend().adamw(std::span(&segment, 1), {});
  ++clock;
  const std::vector<double> updated = get(copy);
  backend().refresh(w);
  EXPECT_EQ(get(copy), updated);
  EXPECT_EQ(w.value.raw(), copy.raw());
}

// ---- dropout ----

TEST_F(Laws, DropoutIsItsDefinition) {
  // 21 elements are two whole blocks of lanes and a part of one.
  const std::vector<RowId> rows = {{0, 0, 0}, {1, 0, 0}, {0, 1, 0}, {0, 0, 1}, {(1u << 24) - 1, 65535, 15}};
  const auto N = std::ssize(rows);
  for (const float p : {0.1f, 0.5f, 0.97f}) {
    const Dropout d{.p = p, .seed = 0x123456789abcdefull, .step = 77, .micro_step = 4095, .site = 513};
    const Tensor ones = put(DType::kF32, {N, 21}, std::vector<double>(static_cast<std::size_t>(N) * 21, 1)),
                 out = empty(DType::kF32, {N, 21});
    backend().dropout(out, ones, upload(rows), d);
    std::vector<double> expected;
    for (const RowId& row : rows)
      for (std::uint32_t i = 0; i < 21; ++i) expected.push_back(static_cast<double>(dropout_factor(d, row, 0, i)));
    EXPECT_EQ(get(out), expected) << "p = " << p;
  }
}

TEST_F(Laws, DropoutKeepsTheMean) {
  const Dropout d{.p = 0.3f, .seed = 3, .step = 1};
  const std::vector<RowId> rows = {{5, 2, 0}};
  const Tensor x = put(DType::kF32, {1, 40000}, std::vector<double>(40000, 1));
  backend().dropout(x, x, upload(rows), d);
  const std::vector<double> values = get(x);
  EXPECT_NEAR(static_cast<double>(std::count(values.begin(), values.end(), 0.0)) / 40000, 0.3, 0.01);
  EXPECT_NEAR(std::accumulate(values.begin(), values.end(), 0.0) / 40000, 1, 0.015);
}

// Equal scores make every probability 1/16, and one-hot values put probability j into channel j. So the output shows the mask. In the
// backward a one-hot dout puts a query's column of the mask into dv.
TEST_F(Laws, AttentionDropoutIsItsDefinition) {
  constexpr std::int64_t T = 16, H = 3, D = 16, C = H * D;
  const std::vector<std::int32_t> offsets = {0, T, 2 * T};
  std::vector<RowId> rows;
  for (std::uint16_t n = 0; n < 2 * T; ++n)
    rows.push_back({n < T ? 9u : 1000003u, static_cast<std::uint16_t>(n % T), n < T ? std::uint8_t{0} : std::uint8_t{1}});
  const AttentionShape shape{
      upload(offsets), upload(offsets), H, upload(rows), {.p = 0.4f, .seed = 99, .step = 12, .micro_step = 3, .site = 8}};

  std::vector<double> one_hot(2 * T * C), mask(2 * T * C), transposed(2 * T * C);
  for (std::int64_t n = 0; n < 2 * T; ++n)
    for (std::int64_t h = 0; h < H; ++h)
      for (std::int64_t j = 0; j < T; ++j) {
        const auto head = static_cast<std::uint32_t>(h), key = static_cast<std::uint32_t>(j);
        one_hot[n * C + h * D + j] = n % T == j ? 1 : 0;
        mask[n * C + h * D + j] = static_cast<double>(dropout_factor(shape.dropout, rows[n], head, key)) / T;
        const std::int64_t query = n / T * T + j, this_key = n % T;
        transposed[n * C + h * D + j] =
            static_cast<double>(dropout_factor(shape.dropout, rows[query], head, static_cast<std::uint32_t>(this_key))) / T;
      }
  const Tensor zeros = put(DType::kF32, {2 * T, C}, std::vector<double>(2 * T * C)), values = put(DType::kF32, {2 * T, C}, one_hot);
  const Tensor out = empty(DType::kF32, {2 * T, C}), dq = empty(DType::kF32, {2 * T, C}), dk = empty(DType::kF32, {2 * T, C}),
               dv = empty(DType::kF32, {2 * T, C});
  const Tensor saved = empty(DType::kU8, {static_cast<std::int64_t>(backend().attention_saved_bytes(shape, DType::kF32))});
  const auto same_mask = [&](const Tensor& actual, const std::vector<double>& expected, const char* what) {
    const std::vector<double> got = get(actual);
    for (std::size_t i = 0; i < got.size(); ++i) ASSERT_EQ(got[i] == 0, expected[i] == 0) << what << " at " << i;
    EXPECT_TRUE(compare(got, expected, {0, 1e-6}, what));
  };
  backend().attention(out, saved, zeros, zeros, values, shape);
  same_mask(out, mask, "out");
  backend().attention_backward(dq, dk, dv, values, saved, zeros, zeros, values, shape);
  same_mask(dv, transposed, "dv");
}

// ---- optimizer ----

TEST_F(Laws, AdamWIsItsFormula) {
  constexpr std::int64_t kSteps = 12, P = 19;
  const double beta1 = static_cast<double>(0.9f), beta2 = static_cast<double>(0.999f), eps = static_cast<double>(1e-6f);
  const double scale = 0.25, lr = 0.0625, decay = 0.125;  // exact in f32
  for (const AdamWForm form : {AdamWForm::kPaper, AdamWForm::kTorch}) {
    const Tensor value = normal(DType::kF32, {P}), m = put(DType::kF32, {P}, std::vector<double>(P)),
                 v = put(DType::kF32, {P}, std::vector<double>(P));
    std::vector<double> theta = get(value), m_expected(P), v_expected(P);
    for (std::int64_t t = 1; t <= kSteps; ++t) {
      const Tensor gradient = normal(DType::kF32, {P});
      const std::vector<double> g = get(gradient);
      const AdamWOptions options{.form = form, .gradient_scale = 0.25f};
      const AdamWSegment segment{.value = value,
                                 .gradient = gradient,
                                 .m = m,
                                 .v = v,
                                 .copy = {},
                                 .step = adamw_step(options, 0.0625f, t),
                                 .weight_decay = 0.125f};
      backend().adamw(std::span(&segment, 1), options);
      const double correction1 = 1 - std::pow(beta1, t), correction2 = 1 - std::pow(beta2, t);
      for (std::size_t i = 0; i < P; ++i) {
        m_expected[i] = beta1 * m_expected[i] + (1 - beta1) * scale * g[i];
        v_expected[i] = beta2 * v_expected[i] + (1 - beta2) * scale * g[i] * scale * g[i];
        if (form == AdamWForm::kTorch) theta[i] *= 1 - lr * decay;
        theta[i] -= form == AdamWForm::kPaper ? lr * std::sqrt(correction2) / correction1 * m_expected[i] / (std::sqrt(v_expected[i]) + eps)
                                              : lr * (m_expected[i] / correction1) / (std::sqrt(v_expected[i] / correction2) + eps);
        if (form == AdamWForm::kPaper) theta[i] *= 1 - lr * decay;
      }
      EXPECT_EQ(get(gradient), std::vector<double>(P)) << "a step leaves zeros behind";
    }
    EXPECT_TRUE(compare(get(value), theta, {1e-6, 1e-5}, "value"));
    EXPECT_TRUE(compare(get(m), m_expected, {1e-7, 1e-5}, "m"));
    EXPECT_TRUE(compare(get(v), v_expected, {1e-9, 1e-5}, "v"));
  }
}

/// Learning rates that rise for 50 steps and then fall to zero.
std::vector<AdamWStep> warmed_up_steps(const AdamWOptions& options, std::int64_t count) {
  std::vector<AdamWStep> steps;
  for (std::int64_t t = 1; t <= count; ++t) {
    const double factor = std::min(static_cast<double>(t) / 50, static_cast<double>(count - t) / static_cast<double>(count));
    steps.push_back(adamw_step(options, static_cast<float>(0.01 * factor), t));
  }
  return steps;
}

TEST_F(Laws, IdleAdamWStepsAreTheSameBitsAsStepsOneByOne) {
  constexpr std::int64_t P = 1001, kSteps = 1500;
  std::vector<AdamWOptions> all;
  for (const AdamWForm form : {AdamWForm::kPaper, AdamWForm::kTorch})
    for (const auto& [beta1, beta2] : {std::pair(0.9f, 0.999f), {0.99f, 0.9f}, {0.0f, 0.5f}})
      all.push_back({.form = form, .beta1 = beta1, .beta2 = beta2, .eps = beta2 == 0.9f ? 1e-30f : 1e-6f});
  for (const AdamWOptions& options : all) {
    const std::vector<AdamWStep> steps = warmed_up_steps(options, kSteps);
    for (const float decay : {0.0f, 0.1f}) {
      std::vector<double> values = get(normal(DType::kF32, {P})), m = values, v = values;
      for (std::size_t i = 0; i < values.size(); ++i) {
        values[i] *= i % 7 == 0 ? 0 : std::pow(10.0, -static_cast<double>(i % 5));
        m[i] *= i % 11 == 0 ? 0 : i % 13 == 0 ? -1e-36 : 0.01;
        v[i] = m[i] * m[i] * (i % 3 == 0 ? 1e3 : 0.1);
      }
      std::vector<std::vector<double>> ends;
      for (const bool at_once : {true, false}) {
        AdamWIdle idle{.segment = {}, .first = 3};
        AdamWSegment& s = idle.segment;
        s = {.value = put(DType::kF32, {P}, values),
             .gradient = {},
             .m = put(DType::kF32, {P}, m),
             .v = put(DType::kF32, {P}, v),
             .copy = {},
             .step = {},
             .weight_decay = decay};
        if (at_once)
          backend().adamw_idle(std::span(&idle, 1), steps, options);
        else
          for (std::size_t t = idle.first; t < steps.size(); ++t) {
            s.step = steps[t];
            backend().adamw(std::span(&s, 1), options);
          }
        for (const Tensor& x : {s.value, s.m, s.v}) ends.push_back(get(x));
      }
      for (std::size_t i = 0; i < 3; ++i)
        for (std::size_t j = 0; j < ends[i].size(); ++j)
          ASSERT_EQ(std::bit_cast<std::uint64_t>(ends[i][j]), std::bit_cast<std::uint64_t>(ends[i + 3][j]))
              << "part " << i << ", element " << j << ", betas " << options.beta1 << ", " << options.beta2 << ", decay " << decay;
    }
  }
}

TEST_F(Laws, SquaredNormIgnoresCutsAndThreads) {
  const ThreadGuard guard;
  constexpr std::int64_t P = 300007;
  const Tensor x = normal(DType::kF32, {P});
  double expected = 0;
  for (const double value : get(x)) expected += value * value;
  const std::vector<std::vector<std::int64_t>> cuts = {{0, P}, {0, 1, P}, {0, 4096, 4097, 65536, 70001, P}, {0, 0, 150000, 150000, P}};
  const double whole = backend().squared_norm(std::span(&x, 1));
  EXPECT_NEAR(whole / expected, 1, 1e-6);
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    for (const auto& cut : cuts) {
      std::vector<Tensor> parts;
      for (std::size_t i = 0; i + 1 < cut.size(); ++i) parts.push_back(x.slice_rows(cut[i], cut[i + 1]));
      EXPECT_EQ(std::bit_cast<std::uint64_t>(backend().squared_norm(parts)), std::bit_cast<std::uint64_t>(whole))
          << threads << " threads, " << parts.size() << " parts";
    }
  }
  EXPECT_EQ(backend().squared_norm({}), 0);
}

// ---- fused ops ----

TEST_F(Laws, LinearActivationIsItsDefault) {
  const Tensor x = normal(DType::kF32, {13, 33}), bias = normal(DType::kF32, {17}), master = normal(DType::kF32, {17, 33});
  const PreparedWeight w = backend().prepare(master, DType::kF32, WeightUse::kTrain, nullptr, {});
  for (const Activation kind : {Activation::kGelu, Activation::kGeluNew, Activation::kRelu, Activation::kSilu, Activation::kTanh}) {
    Tensor out[2], pre[2];
    for (int i = 0; i < 2; ++i) out[i] = empty(DType::kF32, {13, 17}), pre[i] = empty(DType::kF32, {13, 17});
    backend().linear_activation(out[0], pre[0], x, w, bias, kind);
    backend().Backend::linear_activation(out[1], pre[1], x, w, bias, kind);
    EXPECT_TRUE(compare(get(out[0]), get(out[1]), {1e-5, 1e-5}, "out"));
    EXPECT_TRUE(compare(get(pre[0]), get(pre[1]), {1e-5, 1e-5}, "pre"));
  }
}

TEST_F(Laws, DropoutAddLayerNormIsItsDefault) {
  constexpr std::int64_t N = 5, C = 97;
  const Tensor x = normal(DType::kF32, {N, C}), residual = normal(DType::kF32, {N, C}), dy = normal(DType::kF32, {N, C});
  const Tensor gamma = normal(DType::kF32, {C}), beta = normal(DType::kF32, {C});
  const std::vector<RowId> rows = {{1, 2, 0}, {1, 3, 0}, {2, 0, 0}, {2, 0, 1}, {2, 1, 1}};
  for (const float p : {0.0f, 0.25f}) {
    const Dropout d{.p = p, .seed = 5, .step = 6, .site = 7};
    std::vector<Tensor> results[2];
    for (auto& r : results) {
      for (int i = 0; i < 4; ++i) r.push_back(empty(DType::kF32, {N, C}));
      r.push_back(empty(DType::kF32, {N, 2}));
      for (int i = 0; i < 2; ++i) r.push_back(put(DType::kF32, {C}, std::vector<double>(C, 3)));
    }
    const auto &f = results[0], &g = results[1];
    backend().dropout_add_layernorm(f[0], f[1], f[4], x, residual, gamma, beta, 1e-12, upload(rows), d);
    backend().dropout_add_layernorm_backward(f[2], f[3], f[5], f[6], dy, f[1], f[4], gamma, upload(rows), d);
    backend().Backend::dropout_add_layernorm(g[0], g[1], g[4], x, residual, gamma, beta, 1e-12, upload(rows), d);
    backend().Backend::dropout_add_layernorm_backward(g[2], g[3], g[5], g[6], dy, g[1], g[4], gamma, upload(rows), d);
    const char* names[] = {"out", "sum", "dx", "dresidual", "stats", "dgamma", "dbeta"};
    for (std::size_t i = 0; i < f.size(); ++i) EXPECT_TRUE(compare(get(f[i]), get(g[i]), {1e-5, 1e-5}, names[i])) << "p = " << p;
  }
}

// ---- memory ----

TEST_F(Laws, CastRoundsToNearestEven) {
  // Ties at an even and an odd last bit, values beside ties, infinity, a value that rounds up to it, NaN; then random bits.
  std::vector<double> values = {0, 1, 1 + 0x1p-8, 1 + 0x3p-8, 1 + 0x1.1p-8, -1 - 0x1p-8, INFINITY, 3.4028234e38, 0.1, -7.3, 12345.678, NAN};
  while (values.size() < 5003)
    if (const float x = std::bit_cast<float>(rng_.next_u32()); std::fpclassify(x) != FP_SUBNORMAL) values.push_back(static_cast<double>(x));
  const auto n = std::ssize(values);
  const Tensor x = put(DType::kF32, {n}, values), narrow = empty(DType::kBF16, {n}), wide = empty(DType::kF32, {n});
  backend().cast(narrow, x);
  backend().cast(wide, narrow);
  const std::vector<double> got = get(narrow), again = get(wide);
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto expected = static_cast<double>(static_cast<float>(BFloat16(static_cast<float>(values[i]))));
    EXPECT_TRUE(got[i] == expected || (std::isnan(got[i]) && std::isnan(expected))) << values[i] << " became " << got[i];
    EXPECT_TRUE(again[i] == got[i] || std::isnan(got[i])) << got[i] << " became " << again[i];
  }
}

TEST_F(Laws, CastKeepsDenormalsOrMakesThemZero) {
  const Tensor x = put(DType::kF32, {2}, {3.0e-39, -3.0e-39}), narrow = empty(DType::kBF16, {2});
  backend().cast(narrow, x);
  const std::vector<double> got = get(narrow);
  for (const auto& [value, sign] : {std::pair(got[0], 1.0), {got[1], -1.0}})
    EXPECT_TRUE(value == 0 || std::abs(value - sign * 3.0e-39) < 1e-40) << value;
}

TEST_F(Laws, CopyAndZeroRespectStrides) {
  const Tensor x = normal(DType::kF32, {7, 30}), y = normal(DType::kF32, {7, 30});
  const std::vector<double> xs = get(x), ys = get(y);
  backend().copy(y.slice_cols(3, 20), x.slice_cols(5, 22));
  backend().zero(y.slice_cols(22, 29));
  const std::vector<double> got = get(y);
  for (std::size_t r = 0; r < 7; ++r)
    for (std::size_t c = 0; c < 30; ++c) {
      const double expected = c >= 3 && c < 20 ? xs[r * 30 + c + 2] : c >= 22 && c < 29 ? 0 : ys[r * 30 + c];
      ASSERT_EQ(got[r * 30 + c], expected) << r << ", " << c;
    }
}

TEST_F(Laws, AllocationsAreAligned) {
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{1}, std::size_t{100}, std::size_t{3} << 20}) {
    void* data = backend().allocate(bytes);
    EXPECT_NE(data, nullptr);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(data) % 64, 0u);
    backend().release(data, bytes);
  }
}

// ---- broken invariants ----

TEST_F(Laws, WrongShapesAndIndicesAreRefused) {
  const Tensor x = normal(DType::kF32, {4, 6}), y = normal(DType::kF32, {4, 5}), vector = normal(DType::kF32, {6});
  const PreparedWeight w = backend().prepare(normal(DType::kF32, {5, 6}), DType::kF32, WeightUse::kTrain, nullptr, {});
  const std::vector<std::int32_t> lists[] = {{0, 4}, {-1, 0}, {0, 3, 2, 4}, {0, 4}, {0, 3}, {0, 6}};
  const Indices over = upload(lists[0]), under = upload(lists[1]), falling = upload(lists[2]), fine = upload(lists[3]);
  const Indices short_of = upload(lists[4]), over_classes = upload(lists[5]);
  const auto refused = [](auto&& body) { expect_error(ErrorTag::kInternal, {"check failed"}, body); };
  refused([&] { backend().linear(x, x, w, {}); });
  refused([&] { backend().linear(y, y, w, {}); });
  refused([&] { backend().linear(y, x, w, vector); });
  refused([&] { backend().linear_backward_params(x, {}, x, y); });
  refused([&] { backend().add(x, x, y); });
  refused([&] { backend().activation(y, x, Activation::kGelu); });
  refused([&] { backend().layernorm(x, {}, x, vector, normal(DType::kF32, {5}), 1e-12); });
  refused([&] { backend().dropout(x, x, {}, {.p = 0.5f}); });
  refused([&] { backend().gather_rows(x.slice_rows(0, 2), x, over); });
  refused([&] { backend().gather_rows(x.slice_rows(0, 2), x, under); });
  refused([&] { backend().embedding(x.slice_rows(0, 2), x, x, x, over, fine, fine); });
  refused([&] { backend().mean_pool(x.slice_rows(0, 3), x, falling); });
  refused([&] { backend().mean_pool(x.slice_rows(0, 1), x, short_of); });
  refused([&] { backend().attention(x, {}, x, x, x, {fine, fine, 4, {}, {}}); });
  refused([&] { backend().attention(x, {}, x, x, y, {fine, fine, 2, {}, {}}); });
  refused([&] { backend().pair_features(x, x, x, PairTerms::kBoth); });
  refused([&] { backend().cosine(vector, x, x); });
  refused([&] { backend().cross_entropy(vector.slice_rows(0, 2), x.slice_rows(0, 2), over_classes); });
  refused([&] { backend().cross_entropy(vector.slice_rows(0, 2), x.slice_rows(0, 2), under); });
}

// ---- profiling and checks ----

TEST_F(Laws, ProfileCountsOps) {
  const Tensor x = normal(DType::kF32, {4, 6});
  const PreparedWeight w = backend().prepare(normal(DType::kF32, {5, 6}), DType::kF32, WeightUse::kTrain, nullptr, {});
  backend().reset_profile();
  backend().set_profiling(true);
  for (int i = 0; i < 3; ++i) backend().linear(empty(DType::kF32, {4, 5}), x, w, {});
  backend().add(x, x, x);
  backend().set_profiling(false);
  const std::vector<OpProfile> profile = backend().profile();
  backend().reset_profile();
  ASSERT_EQ(profile.size(), 2u);
  EXPECT_EQ(profile[0].op, "linear");
  EXPECT_EQ(profile[0].calls, 3);
  EXPECT_EQ(profile[0].flops, 3 * 2 * 4 * 5 * 6);
  EXPECT_GT(profile[0].seconds, 0);
  EXPECT_GT(profile[0].bytes, 0);
  EXPECT_EQ(profile[1].op, "add");
  EXPECT_TRUE(backend().profile().empty());
}

TEST_F(Laws, ShownOutputsAreDescribed) {
  const Tensor x = put(DType::kF32, {1, 4}, {-1, 1, 3, 5});
  std::string shown;
  backend().set_showing_outputs([&](std::string_view line) { shown += line; });
  backend().affine(x, x, 2, 0);
  backend().set_showing_outputs({});
  backend().affine(x, x, 1, 0);
  EXPECT_EQ(shown, "affine f32 (1, 4): -2 to 10, mean 4, rms 6");
}

TEST_F(Laws, CheckedOutputsNameTheOpThatDiverged) {
  const Tensor x = put(DType::kF32, {1, 3}, {1, 1e38, 2});
  backend().set_checking_outputs(true);
  backend().affine(x, x, 1, 0);
  expect_error(ErrorTag::kDiverged, {"affine", "f32 (1, 3)"}, [&] { backend().affine(x, x, 1e10, 0); });
  backend().set_checking_outputs(false);
  backend().affine(x, x, 1, 0);
}

}  // namespace
}  // namespace minbert
