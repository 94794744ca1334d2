// Checkpoints: a selection of the table, as entries of one safetensors file.
#include "minbert/model/checkpoint.h"

#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "minbert/base/finite.h"
#include "minbert/base/parallel.h"
#include "minbert/base/safetensors.h"

namespace minbert {
namespace {

void round_to_bf16(std::vector<BFloat16>& rounded, std::span<const float> values) {
  rounded.resize(values.size());
  parallel_for(std::ssize(values), 1 << 14, [&](std::int64_t begin, std::int64_t end) {
    for (auto i = static_cast<std::size_t>(begin); i < static_cast<std::size_t>(end); ++i) rounded[i] = BFloat16(values[i]);
  });
}

/// Writes tensors as they are, or with `rounded` f32 ones as bf16. Host memory holds one of them at a time.
void write_tensors(Backend& backend, const std::filesystem::path& path, std::span<const NamedTensor> tensors, const Metadata& metadata,
                   bool rounded) {
  std::vector<SafetensorsEntry> entries;
  std::unordered_map<std::string_view, Tensor> sources;
  for (const NamedTensor& named : tensors) {
    entries.push_back(safetensors_entry(named.name, named.tensor));
    if (rounded) entries.back().dtype = "BF16";
    sources.emplace(named.name, named.tensor);
  }
  std::vector<std::byte> bytes;
  std::vector<BFloat16> halves;
  write_safetensors(path, std::move(entries), metadata, [&](const SafetensorsEntry& entry) -> std::span<const std::byte> {
    const Tensor& source = sources.at(entry.name);
    bytes.resize(source.bytes());
    backend.copy_to_host(bytes.data(), source);
    if (!rounded) return bytes;
    round_to_bf16(halves, Tensor(bytes.data(), source.dtype(), source.shape()).span<const float>());
    return std::as_bytes(std::span(halves));
  });
}

/// read_tensors; with `finite`, NaN and infinity are refused too.
Metadata read_checked(const std::filesystem::path& path, std::span<const NamedTensor> tensors, bool finite, const TakeTensor& take) {
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
  parallel_for(std::ssize(sources), 1, [&](std::int64_t begin, std::int64_t end) {
    for (const SafetensorsEntry* entry : std::span(sources).subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin)))
      if (finite && entry->dtype == "F32" && find_not_finite(entry->bytes) != kAllFinite)
        throw Error(ErrorTag::kDiverged, path.string(),
                    fmt::format("tensor \"{}\": expected finite numbers, got NaN or infinity", entry->name));
  });
  for (std::size_t i = 0; i < sources.size(); ++i)
    if (!sources[i]->bytes.empty()) take(i, sources[i]->bytes);
  return file.metadata();
}

TakeTensor copy_to(Backend& backend, std::span<const NamedTensor> tensors) {
  return [&backend, tensors](std::size_t i, std::span<const std::byte> bytes) { backend.copy_to_device(tensors[i].tensor, bytes.data()); };
}

}  // namespace

bool is_backbone(const ParamInfo& info) { return info.role == Role::kEncoder || info.role == Role::kPooler; }
bool is_head(const ParamInfo& info) { return info.role == Role::kHead; }
bool is_mlm(const ParamInfo& info) { return info.role == Role::kMlm; }

void save_tensors(Backend& backend, const std::filesystem::path& path, std::span<const NamedTensor> tensors, const Metadata& metadata) {
  write_tensors(backend, path, tensors, metadata, false);
}

void save_tensors_as(DType dtype, Backend& backend, const std::filesystem::path& path, std::span<const NamedTensor> tensors,
                     const Metadata& metadata) {
  MINBERT_CHECK(dtype == DType::kF32 || dtype == DType::kBF16, "weights as {}", dtype_name(dtype));
  write_tensors(backend, path, tensors, metadata, dtype == DType::kBF16);
}

Metadata load_tensors(Backend& backend, const std::filesystem::path& path, std::span<const NamedTensor> tensors) {
  return read_checked(path, tensors, false, copy_to(backend, tensors));
}

Metadata read_tensors(const std::filesystem::path& path, std::span<const NamedTensor> tensors, const TakeTensor& take) {
  return read_checked(path, tensors, false, take);
}

std::vector<NamedTensor> select_params(const Params& params, const ParamFilter& which, std::string_view prefix) {
  MINBERT_CHECK(params.dtype() == DType::kF32, "parameters are {}", dtype_name(params.dtype()));
  std::vector<NamedTensor> tensors;
  for (std::size_t i = 0; i < params.table().size(); ++i)
    if (which(params.table()[i])) tensors.push_back({std::string(prefix) + params.table()[i].name, params.value(i)});
  return tensors;
}

void save_weights(const std::filesystem::path& path, const Params& params, const ParamFilter& which, DType dtype,
                  const Metadata& metadata) {
  save_tensors_as(dtype, params.backend(), path, select_params(params, which), metadata);
}

Metadata load_weights(const std::filesystem::path& path, Params& params, const ParamFilter& which) {
  const std::vector<NamedTensor> tensors = select_params(params, which);
  Metadata metadata = read_checked(path, tensors, true, copy_to(params.backend(), tensors));
  params.changed();
  return metadata;
}

}  // namespace minbert
