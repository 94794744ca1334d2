// The products between a weight's gradient and those of its two factors.
#include "minbert/train/low_rank.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

namespace minbert {
namespace {

/// The layer's part of a weight's name: "attention.self.query" of "encoder.layer.0.attention.self.query.weight".
std::string_view module_of(const ParamInfo& info) {
  std::string_view name = info.name;
  constexpr std::string_view kLayer = "encoder.layer.", kWeight = ".weight";
  if (!name.starts_with(kLayer) || !name.ends_with(kWeight) || info.shape.size() != 2) return {};
  name.remove_prefix(kLayer.size());
  name.remove_prefix(name.find('.') + 1);
  name.remove_suffix(kWeight.size());
  return name;
}

/// The target that a weight is, or nothing.
std::optional<LoraTarget> target_of(const ParamInfo& info) {
  const std::string_view module = module_of(info);
  for (const auto& [target, name] : std::to_array<std::pair<LoraTarget, std::string_view>>({
           {LoraTarget::kQuery, "attention.self.query"},
           {LoraTarget::kKey, "attention.self.key"},
           {LoraTarget::kValue, "attention.self.value"},
           {LoraTarget::kAttentionOutput, "attention.output.dense"},
           {LoraTarget::kIntermediate, "intermediate.dense"},
           {LoraTarget::kOutput, "output.dense"},
       }))
    if (module == name) return target;
  return std::nullopt;
}

bool is_adapted(const LoraSection& lora, const ParamInfo& info) {
  const auto target = target_of(info);
  return target && std::ranges::find(lora.targets, *target) != lora.targets.end();
}

bool is_self_attention(LoraTarget target) { return target <= LoraTarget::kValue; }

}  // namespace

bool lora_reads(const LoraSection& lora, const ParamInfo& info) {
  const auto target = target_of(info);
  return is_adapted(lora, info) || (target && is_self_attention(*target) && std::ranges::any_of(lora.targets, is_self_attention));
}

LowRank::LowRank(Params& params, const Gradients& gradients, const StageSpec& stage, std::uint64_t seed)
    : params_(params), scale_(stage.lora->alpha / static_cast<double>(stage.lora->rank)), arena_(params.backend()) {
  MINBERT_CHECK(params.dtype() == DType::kF32, "LoRA trains f32 parameters");
  Backend& backend = params.backend();
  const std::int64_t rank = stage.lora->rank;
  for (std::size_t i = 0; i < params.table().size(); ++i) {
    const ParamInfo& info = params.table()[i];
    if (!gradients.trainable(i) || !is_adapted(*stage.lora, info)) continue;
    const std::int64_t O = info.shape[0], I = info.shape[1];
    const auto zeros = [&](std::int64_t rows, std::int64_t columns) {
      const Tensor x = arena_.allocate(DType::kF32, {rows, columns});
      backend.zero(x);
      return x;
    };
    Adapter adapter;
    adapter.index = i;
    adapter.base = arena_.allocate(DType::kF32, {O, I});
    for (Tensor Adapter::*part : {&Adapter::a, &Adapter::da, &Adapter::ma, &Adapter::va}) adapter.*part = zeros(rank, I);
    for (Tensor Adapter::*part : {&Adapter::b, &Adapter::db, &Adapter::mb, &Adapter::vb}) adapter.*part = zeros(rank, O);
    backend.copy(adapter.base, params.value(i));
    Rng rng(seed, fmt::format("lora {} {}", stage.name, info.name));
    std::vector<float> a(static_cast<std::size_t>(rank * I));
    for (float& x : a) x = static_cast<float>((2 * rng.uniform() - 1) / std::sqrt(static_cast<double>(I)));
    backend.copy_to_device(adapter.a, a.data());
    adapters_.push_back(adapter);
  }
}

void LowRank::project(const Gradients& gradients) {
  Backend& backend = params_.backend();
  for (const Adapter& adapter : adapters_) {
    const PreparedWeight dw = backend.prepare(gradients[adapter.index], DType::kF32, WeightUse::kTrain, nullptr, {});
    backend.linear(adapter.db, adapter.a, dw, {});             // A dW^T
    backend.linear_backward_input(adapter.da, adapter.b, dw);  // B^T dW
    backend.affine(adapter.db, adapter.db, scale_, 0);
    backend.affine(adapter.da, adapter.da, scale_, 0);
  }
  for (std::size_t i = 0; i < params_.table().size(); ++i)
    if (params_.table()[i].role == Role::kEncoder && gradients.trainable(i)) backend.zero(gradients[i]);
}

void LowRank::merge() {
  Backend& backend = params_.backend();
  for (const Adapter& adapter : adapters_) {
    backend.affine(adapter.db, adapter.b, scale_, 0);
    backend.copy(params_.value(adapter.index), adapter.base);
    backend.linear_backward_params(params_.value(adapter.index), {}, adapter.a, adapter.db);  // adds B A
  }
}

std::vector<NamedTensor> LowRank::tensors() const {
  std::vector<NamedTensor> named;
  for (const Adapter& adapter : adapters_)
    for (const auto& [part, tensor] : {std::pair("base", adapter.base),
                                       {"a", adapter.a},
                                       {"b", adapter.b},
                                       {"m.a", adapter.ma},
                                       {"m.b", adapter.mb},
                                       {"v.a", adapter.va},
                                       {"v.b", adapter.vb}})
      named.push_back({fmt::format("lora.{}.{}", part, params_.table()[adapter.index].name), tensor});
  return named;
}

std::int64_t LowRank::state_bytes(const Params& params, const LoraSection& lora, const ParamFilter& trainable) {
  std::int64_t elements = 0;
  for (const ParamInfo& info : params.table())
    if (trainable(info) && is_adapted(lora, info)) elements += info.numel() + 4 * lora.rank * (info.shape[0] + info.shape[1]);
  return elements * static_cast<std::int64_t>(sizeof(float));
}

}  // namespace minbert
