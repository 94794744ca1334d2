// Checkpoints: they restore every bit, and refuse files that are not the expected ones.
#include "minbert/model/checkpoint.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>

#include "minbert/base/files.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"
#include "tests/model/tiny_model.h"

namespace minbert {
namespace {

ModelShape shape_with_heads() {
  ModelShape shape = tiny_shape();
  shape.heads = {{.task = "sst", .dense = {4}, .outputs = 5}};
  shape.mlm = MlmHeadKind::kTied;
  return shape;
}

std::vector<std::uint32_t> bits(const Tensor& tensor) {
  std::vector<std::uint32_t> out;
  for (const float value : tensor.span<const float>()) out.push_back(std::bit_cast<std::uint32_t>(value));
  return out;
}

TEST(Checkpoint, ParametersComeBackBitForBit) {
  const TempFolder folder;
  const auto backend = make_backend("ref");
  Params params = tiny_params(*backend, shape_with_heads());
  const auto odd = params.value("pooler.dense.bias").span<float>();
  odd[0] = -0.0f;
  odd[1] = std::numeric_limits<float>::denorm_min();
  odd[2] = std::numeric_limits<float>::max();
  save_weights(folder / "model.safetensors", params, is_backbone, DType::kF32, {{"step", "12"}});
  save_weights(folder / "heads.safetensors", params, is_head);
  save_weights(folder / "mlm.safetensors", params, is_mlm);

  Params back = tiny_params(*backend, shape_with_heads(), 2);
  EXPECT_EQ(load_weights(folder / "model.safetensors", back, is_backbone), (Metadata{{"step", "12"}}));
  EXPECT_NE(bits(back.value("heads.sst.out.bias")), bits(params.value("heads.sst.out.bias")));
  load_weights(folder / "heads.safetensors", back, is_head);
  EXPECT_NE(bits(back.value("cls.predictions.bias")), bits(params.value("cls.predictions.bias")));
  load_weights(folder / "mlm.safetensors", back, is_mlm);
  for (const ParamInfo& info : params.table()) EXPECT_EQ(bits(back.value(info.name)), bits(params.value(info.name))) << info.name;

  save_weights(folder / "again.safetensors", back, is_backbone, DType::kF32, {{"step", "12"}});
  EXPECT_EQ(read_file(folder / "again.safetensors"), read_file(folder / "model.safetensors"));
}

TEST(Checkpoint, WeightsThatAreNotFiniteAreRefused) {
  const TempFolder folder;
  const auto backend = make_backend("ref");
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    Params params = tiny_params(*backend, shape_with_heads());
    params.value("pooler.dense.bias").span<float>().back() = bad;
    save_weights(folder / "model.safetensors", params, is_backbone);
    Params back = tiny_params(*backend, shape_with_heads(), 2);
    const auto before = bits(back.value("pooler.dense.bias"));
    expect_error(ErrorTag::kDiverged, {"model.safetensors", "pooler.dense.bias", "expected finite numbers"},
                 [&] { load_weights(folder / "model.safetensors", back, is_backbone); });
    EXPECT_EQ(bits(back.value("pooler.dense.bias")), before);
  }
}

TEST(Checkpoint, Bf16IsRounded) {
  const TempFolder folder;
  const auto backend = make_backend("ref");
  const Params params = tiny_params(*backend, tiny_shape());
  save_weights(folder / "w.safetensors", params, is_backbone, DType::kBF16);
  const SafetensorsFile file(folder / "w.safetensors");
  ASSERT_EQ(file.entries().size(), params.table().size());
  for (const SafetensorsEntry& entry : file.entries()) {
    EXPECT_EQ(entry.dtype, "BF16");
    const auto expected = values(params, entry.name);
    std::vector<float> got(expected.size());
    convert_to_f32(entry.dtype, entry.bytes, got);
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], static_cast<float>(BFloat16(expected[i])));
  }
}

TEST(Checkpoint, TensorsOfAnyDtype) {
  const TempFolder folder;
  const auto backend = make_backend("ref");
  std::vector<float> m = {1, 2, 3, 4};
  std::vector<BFloat16> half = {BFloat16(1.0f), BFloat16(2.0f)};
  std::vector<std::int32_t> counts = {7};
  const std::vector<NamedTensor> saved = {{"m.a", Tensor::of(std::span(m), {2, 2})},
                                          {"half", Tensor::of(std::span(half), {2})},
                                          {"counts", Tensor::of(std::span(counts), {1})}};
  save_tensors(*backend, folder / "o.safetensors", saved, {{"format", "1"}});
  std::vector<float> m2(4);
  std::vector<BFloat16> half2(2);
  std::vector<std::int32_t> counts2(1);
  const std::vector<NamedTensor> loaded = {{"counts", Tensor::of(std::span(counts2), {1})},
                                           {"m.a", Tensor::of(std::span(m2), {2, 2})},
                                           {"half", Tensor::of(std::span(half2), {2})}};
  EXPECT_EQ(load_tensors(*backend, folder / "o.safetensors", loaded), (Metadata{{"format", "1"}}));
  EXPECT_EQ(m2, m);
  EXPECT_EQ(half2[1].bits, half[1].bits);
  EXPECT_EQ(counts2, counts);
}

TEST(Checkpoint, AnotherSelectionIsRefusedBeforeAnythingIsWritten) {
  const TempFolder folder;
  const auto backend = make_backend("ref");
  const auto path = folder / "o.safetensors";
  std::vector<float> a = {1, 2}, b = {3, 4};
  save_tensors(*backend, path, std::vector<NamedTensor>{{"a", Tensor::of(std::span(a), {2})}, {"b", Tensor::of(std::span(b), {2})}});
  std::vector<float> target = {8, 9}, other = {8, 9};
  const Tensor into = Tensor::of(std::span(target), {2}), second = Tensor::of(std::span(other), {2});
  const auto refused = [&](std::vector<NamedTensor> tensors, std::initializer_list<std::string_view> parts) {
    expect_error(ErrorTag::kModel, parts, [&] { load_tensors(*backend, path, tensors); });
    EXPECT_EQ(target, (std::vector<float>{8, 9}));
  };
  refused({{"a", into}, {"c", second}}, {"o.safetensors", "expected tensor \"c\""});
  refused({{"a", into}}, {"unexpected tensor \"b\""});
  refused({{"a", into}, {"b", second.reshape({2, 1})}}, {"\"b\": expected F32 (2, 1), got F32 (2)"});
  std::vector<std::int32_t> ints(2);
  refused({{"a", into}, {"b", Tensor::of(std::span(ints), {2})}}, {"\"b\": expected I32 (2), got F32 (2)"});
}

}  // namespace
}  // namespace minbert
