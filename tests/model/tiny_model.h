// A BERT small enough to print, filled with values that all differ, and ways to write it as other programs do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "minbert/base/rng.h"
#include "minbert/base/safetensors.h"
#include "minbert/model/params.h"

namespace minbert {

inline ModelShape tiny_shape() {
  ModelShape shape;
  shape.config.vocab_size = 11;
  shape.config.hidden_size = 6;
  shape.config.num_hidden_layers = 2;
  shape.config.num_attention_heads = 2;
  shape.config.intermediate_size = 10;
  shape.config.max_position_embeddings = 9;
  shape.pooler = true;
  return shape;
}

/// Fills parameters with N(0, 1), from one stream for each name.
inline void fill(Params& params, std::uint64_t seed) {
  for (const ParamInfo& info : params.table()) {
    Rng rng(seed, info.name);
    std::vector<float> drawn(static_cast<std::size_t>(info.numel()));
    for (float& value : drawn) value = static_cast<float>(rng.normal());
    params.backend().copy_to_device(params.value(info.name), drawn.data());
  }
  params.changed();
}

inline Params tiny_params(Backend& backend, ModelShape shape, std::uint64_t seed = 1) {
  Params params(backend, std::move(shape));
  fill(params, seed);
  return params;
}

inline std::vector<float> values(const Params& params, std::string_view name) {
  const Tensor value = params.value(name);
  std::vector<float> result(static_cast<std::size_t>(value.numel()));
  params.backend().copy_to_host(result.data(), value);
  return result;
}

/// Entries over the parameters' own memory, which must be host memory.
inline std::vector<SafetensorsEntry> entries_of(const Params& params, const std::function<std::string(const std::string&)>& rename = {}) {
  std::vector<SafetensorsEntry> entries;
  for (std::size_t i = 0; i < params.table().size(); ++i) {
    const std::string& name = params.table()[i].name;
    entries.push_back(safetensors_entry(rename ? rename(name) : name, params.value(i)));
  }
  return entries;
}

}  // namespace minbert
