// Checkpoints: a selection of the table, as entries of one safetensors file.
#include "minbert/model/checkpoint.h"

#include <cstring>
#include <unordered_set>

#include "minbert/base/parallel.h"
#include "minbert/base/safetensors.h"

namespace minbert {
namespace {

std::vector<BFloat16> round_to_bf16(const Tensor& tensor) {
  const auto values = tensor.span<const float>();
  std::vector<BFloat16> rounded(values.size());
  parallel_for(std::ssize(values), 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) rounded[i] = BFloat16(values[i]);
  });
  return rounded;
}

}  // namespace

bool is_backbone(const ParamInfo& info) { return info.role == Role::kEncoder || info.role == Role::kPooler; }
bool is_head(const ParamInfo& info) { return info.role == Role::kHead; }
bool is_mlm(const ParamInfo& info) { return info.role == Role::kMlm; }

void save_tensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors, const Metadata& metadata) {
  std::vector<SafetensorsEntry> entries;
  entries.reserve(tensors.size());
  for (const NamedTensor& named : tensors) entries.push_back(safetensors_entry(named.name, named.tensor));
  write_safetensors(path, std::move(entries), metadata);
}

void save_tensors_as(DType dtype, const std::filesystem::path& path, std::vector<NamedTensor> tensors, const Metadata& metadata) {
  MINBERT_CHECK(dtype == DType::kF32 || dtype == DType::kBF16, "weights as {}", dtype_name(dtype));
  std::vector<std::vector<BFloat16>> rounded;
  if (dtype == DType::kBF16) {
    for (NamedTensor& named : tensors) {
      auto& values = rounded.emplace_back(round_to_bf16(named.tensor));
      named.tensor = Tensor(values.data(), DType::kBF16, named.tensor.shape());
    }
  }
  save_tensors(path, tensors, metadata);
}

Metadata load_tensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors) {
  const SafetensorsFile file(path);
  std::vector<const SafetensorsEntry*> sources;
  std::unordered_set<std::string_view> names;
  for (const NamedTensor& named : tensors) {
    const SafetensorsEntry expected = safetensors_entry(named.name, named.tensor);
    const SafetensorsEntry* entry = file.find(named.name);
    if (entry == nullptr) throw Error(ErrorTag::kModel, path.string(), fmt::format("expected tensor \"{}\"", named.name));
    if (entry->dtype != expected.dtype || entry->shape != expected.shape)
      throw Error(ErrorTag::kModel, path.string(),
                  fmt::format("tensor \"{}\": expected {}, got {}", named.name, expected.describe(), entry->describe()));
    sources.push_back(entry);
    names.insert(named.name);
  }
  for (const SafetensorsEntry& entry : file.entries())
    if (!names.contains(entry.name)) throw Error(ErrorTag::kModel, path.string(), fmt::format("unexpected tensor \"{}\"", entry.name));
  for (std::size_t i = 0; i < sources.size(); ++i)
    if (!sources[i]->bytes.empty()) std::memcpy(tensors[i].tensor.raw(), sources[i]->bytes.data(), sources[i]->bytes.size());
  return file.metadata();
}

std::vector<NamedTensor> select_params(const Params& params, const ParamFilter& which, std::string_view prefix) {
  MINBERT_CHECK(params.dtype() == DType::kF32, "parameters are {}", dtype_name(params.dtype()));
  std::vector<NamedTensor> tensors;
  for (std::size_t i = 0; i < params.table().size(); ++i)
    if (which(params.table()[i])) tensors.push_back({std::string(prefix) + params.table()[i].name, params.value(i)});
  return tensors;
}

void save_weights(const std::filesystem::path& path, const Params& params, const ParamFilter& which, DType dtype, const Metadata& metadata) {
  save_tensors_as(dtype, path, select_params(params, which), metadata);
}

Metadata load_weights(const std::filesystem::path& path, Params& params, const ParamFilter& which) {
  Metadata metadata = load_tensors(path, select_params(params, which));
  params.changed();
  return metadata;
}

}  // namespace minbert
