// Compares every op of the tested backend with the reference in f64, and its results at 1, 2 and 3 threads with each other.
#include <algorithm>
#include <bit>

#include "tests/ops/op_run.h"
#include "tests/ops/tested_backend.h"

namespace minbert {
namespace {

/// The differences from the oracle that pass, by the dtype of the run and the dtype of the output. The first row that matches counts.
/// Inputs are N(0,1) and weights N(0,1/I), so outputs are near 1.
struct ToleranceRow {
  std::string_view op;  ///< the beginning of the case's name
  DType run, output;
  Tolerance tolerance;
};
constexpr ToleranceRow kTolerances[] = {
    // The sum is rounded to bf16 before it is normalised, and a gamma of up to 3 magnifies the error.
    {"dropout_add_layernorm", DType::kBF16, DType::kBF16, {2e-2, 1e-2}},
    {"dropout_add_layernorm", DType::kBF16, DType::kF32, {3e-3, 1e-2}},
    // The gradients of a row that is gathered several times are summed in bf16.
    {"gather_rows", DType::kBF16, DType::kBF16, {2e-2, 1e-2}},

    {"", DType::kF32, DType::kF32, {1e-5, 1e-5}},    // sums of up to 1000 terms
    {"", DType::kF32, DType::kBF16, {0, 0x1.1p-8}},  // adamw's copy: a value with an f32 error, rounded to nearest
    {"", DType::kBF16, DType::kBF16, {1e-2, 1e-2}},  // rounded by up to 2^-9, once or twice
    {"", DType::kBF16, DType::kF32, {1e-5, 1e-5}},   // bf16 inputs are exact here, and their sums in f32
};

Tolerance tolerance_of(std::string_view op, DType run, DType output) {
  for (const ToleranceRow& row : kTolerances)
    if (op.starts_with(row.op) && run == row.run && output == row.output) return row.tolerance;
  MINBERT_CHECK(false, "no tolerance for {} of a run in {}", dtype_name(output), dtype_name(run));
}

constexpr Precision kOracle{DType::kF64, DType::kF64};

std::vector<OpResult> run(const OpCase& c, Backend& backend, Precision stored, Precision rounded) {
  OpRun t(backend, stored, rounded, kSeed, c.name);
  c.body(t);
  return t.results();
}

struct Param {
  OpCase op;
  DType dtype;
};
void PrintTo(const Param& p, std::ostream* out) { *out << p.op.name << " in " << dtype_name(p.dtype) << ", seed " << kSeed; }
std::string name_of(const ::testing::TestParamInfo<Param>& info) {
  return fmt::format("{}_{}", info.param.op.name, dtype_name(info.param.dtype));
}

std::vector<Param> params(std::initializer_list<DType> dtypes) {
  std::vector<Param> params;
  for (const OpCase& op : op_cases()) {
    if (op.name.starts_with("linear_int8") && !tested_backend().supports_int8()) continue;
    for (const DType dtype : dtypes)
      if (dtype != DType::kBF16 || tested_backend().supports_bf16()) params.push_back({op, dtype});
  }
  return params;
}

class OracleTest : public ::testing::TestWithParam<Param> {};

TEST_P(OracleTest, Agrees) {
  const auto& [op, dtype] = GetParam();
  const Precision precision{dtype, DType::kF32};
  const auto actual = run(op, tested_backend(), precision, precision);
  const auto expected = run(op, oracle(), kOracle, precision);
  ASSERT_EQ(actual.size(), expected.size());
  ASSERT_FALSE(actual.empty());
  for (std::size_t i = 0; i < actual.size(); ++i)
    EXPECT_TRUE(compare(actual[i].values, expected[i].values, tolerance_of(op.name, dtype, actual[i].dtype), actual[i].name));
}

INSTANTIATE_TEST_SUITE_P(Op, OracleTest, ::testing::ValuesIn(params({DType::kF32, DType::kBF16})), name_of);

class ThreadsTest : public ::testing::TestWithParam<Param> {};

TEST_P(ThreadsTest, SameBits) {
  const ThreadGuard guard;
  const Precision precision{GetParam().dtype, DType::kF32};
  std::vector<OpResult> single;
  for (const int threads : {1, 2, 3}) {
    set_num_threads(threads);
    const auto results = run(GetParam().op, tested_backend(), precision, precision);
    if (threads == 1) single = results;
    ASSERT_EQ(results.size(), single.size());
    for (std::size_t i = 0; i < results.size(); ++i) {
      const auto& [name, held, values] = results[i];
      const auto same_bits = [](double a, double b) { return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b); };
      const auto differs = std::mismatch(values.begin(), values.end(), single[i].values.begin(), same_bits);
      if (differs.first == values.end()) continue;
      ADD_FAILURE() << fmt::format("{} threads, {}: element {} is {:.9g}, with one thread {:.9g}", threads, name,
                                   differs.first - values.begin(), *differs.first, *differs.second);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Op, ThreadsTest, ::testing::ValuesIn(params({DType::kF32, DType::kBF16})), name_of);

}  // namespace
}  // namespace minbert
