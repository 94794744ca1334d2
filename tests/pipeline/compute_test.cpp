// Dtype names: what they mean if the backend supports them, and the fallback if it does not.
#include "minbert/pipeline/compute.h"

#include <gtest/gtest.h>

#include <vector>

namespace minbert {
namespace {

TEST(Compute, NamesMeanWhatTheBackendHasElseF32) {
  for (const char* name : {"ref", "cpu"}) {
    const auto backend = make_backend(name);
    std::vector<std::string> lacks;
    const auto resolved = [&](std::string_view dtype) {
      return resolve_compute(*backend, dtype, [&](const std::string& what) { lacks.push_back(what); });
    };
    EXPECT_EQ(resolved("f32").dtype, DType::kF32);
    EXPECT_EQ(resolved("f32").use, WeightUse::kForward);
    EXPECT_TRUE(lacks.empty());

    EXPECT_EQ(resolved("bf16").dtype, backend->supports_bf16() ? DType::kBF16 : DType::kF32);
    EXPECT_EQ(lacks.size(), backend->supports_bf16() ? 0u : 1u);
    lacks.clear();
    const Compute int8 = resolved("int8");
    EXPECT_EQ(int8.use, backend->supports_int8() ? WeightUse::kForwardInt8 : WeightUse::kForward);
    EXPECT_EQ(int8.dtype, backend->supports_int8() && backend->supports_bf16() ? DType::kBF16 : DType::kF32);
    ASSERT_EQ(lacks.size(), backend->supports_int8() ? 0u : 1u);
    for (const std::string& what : lacks) EXPECT_NE(what.find("int8"), std::string::npos) << what;
  }
}

}  // namespace
}  // namespace minbert
