// Checkpoints: parameters and optimizer state as safetensors, byte for byte. Tensors are in the memory of the given backend.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/model/params.h"

namespace minbert {

using Metadata = std::map<std::string, std::string>;
using ParamFilter = std::function<bool(const ParamInfo&)>;

/// A tensor under the name that it has in a file.
struct NamedTensor {
  std::string name;
  Tensor tensor;
};

/// Rows of model.safetensors: encoder and pooler.
bool is_backbone(const ParamInfo& info);
/// Rows of heads.safetensors: task heads.
bool is_head(const ParamInfo& info);
/// Rows of mlm.safetensors.
bool is_mlm(const ParamInfo& info);

/// Writes contiguous tensors atomically, one at a time through host memory. Throws Error(kResources).
void save_tensors(Backend& backend, const std::filesystem::path& path, std::span<const NamedTensor> tensors, const Metadata& metadata = {});

/// Writes contiguous f32 tensors as f32 or rounded to bf16, otherwise as save_tensors does.
void save_tensors_as(DType dtype, Backend& backend, const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                     const Metadata& metadata = {});

/// Overwrites each tensor with the file's of the same name, dtype and shape; the file holds exactly these. Returns the metadata. Throws
/// Error(kModel), before anything is written, when it does not.
Metadata load_tensors(Backend& backend, const std::filesystem::path& path, std::span<const NamedTensor> tensors);

/// Takes the bytes of tensors[i].
using TakeTensor = std::function<void(std::size_t i, std::span<const std::byte> bytes)>;
/// load_tensors() for tensors that are not in memory as the file has them: of `tensors` only names, dtypes and shapes are read.
Metadata read_tensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors, const TakeTensor& take);

/// The f32 parameters that `which` selects, in the table's order, under their names with `prefix` before them.
std::vector<NamedTensor> select_params(const Params& params, const ParamFilter& which, std::string_view prefix = {});

/// Saves what select_params selects, as save_tensors_as does.
void save_weights(const std::filesystem::path& path, const Params& params, const ParamFilter& which, DType dtype = DType::kF32,
                  const Metadata& metadata = {});

/// Reads back, bit for bit, what save_weights wrote in f32 with the same `which`, and calls params.changed(). Returns the metadata. Throws
/// Error(kModel) as load_tensors does, and Error(kDiverged) for NaN or infinity.
Metadata load_weights(const std::filesystem::path& path, Params& params, const ParamFilter& which);

}  // namespace minbert
