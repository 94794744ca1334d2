// WeightSource: finds the weight files of a folder and reads elements of any layout.
#include "minbert/model/weight_source.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <map>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "minbert/base/json_node.h"
#include "minbert/base/safetensors.h"
#include "minbert/model/torch_checkpoint.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

bool is_empty(std::span<const std::int64_t> shape) { return std::find(shape.begin(), shape.end(), 0) != shape.end(); }

/// All 1 for a tensor without elements: its other sizes may be such that their product leaves 64 bits.
std::vector<std::int64_t> dense_strides(std::span<const std::int64_t> shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  if (is_empty(shape)) return strides;
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

std::vector<SourceTensor> read_tensors(const fs::path& file, std::span<const std::byte> bytes) {
  std::vector<SourceTensor> tensors;
  const std::string name = file.filename().string();
  if (file.extension() == ".safetensors") {
    for (SafetensorsEntry& entry : parse_safetensors(bytes, file.string()).entries) {
      auto strides = dense_strides(entry.shape);
      tensors.push_back(
          {std::move(entry.name), std::move(entry.dtype), std::move(entry.shape), std::move(strides), entry.bytes, false, name});
    }
  } else {
    for (TorchTensor& t : read_torch_checkpoint(bytes, file.string()))
      tensors.push_back({std::move(t.name), std::move(t.dtype), std::move(t.shape), std::move(t.strides), t.bytes, t.big_endian, name});
  }
  return tensors;
}

/// A hint for a folder whose weights have another format.
std::string hint_for(const fs::path& folder) {
  constexpr std::pair<const char*, const char*> kOthers[] = {{"tf_model.h5", "TensorFlow"},
                                                             {"model.ckpt.index", "TensorFlow"},
                                                             {"bert_model.ckpt.index", "TensorFlow"},
                                                             {"flax_model.msgpack", "Flax"},
                                                             {"model.onnx", "ONNX"},
                                                             {"onnx/model.onnx", "ONNX"},
                                                             {"rust_model.ot", "rust-bert"}};
  for (const auto& [file, kind] : kOthers) {
    if (fs::exists(folder / file))
      return fmt::format("the folder has only {} weights ({}); open it in transformers and save it with save_pretrained()", kind, file);
  }
  if (fs::exists(folder / "0_Transformer")) return "the weights of this sentence-transformers folder are in its 0_Transformer";
  if (fs::exists(folder / "adapter_config.json"))
    return "this folder holds an adapter, not a whole model; merge it into its base model first";
  return {};
}

}  // namespace

std::int64_t SourceTensor::numel() const {
  if (is_empty(shape)) return 0;
  return std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
}

bool SourceTensor::dense() const {
  if (is_empty(shape)) return true;
  const auto expected = dense_strides(shape);
  // The stride of a dimension of one element is never used.
  for (std::size_t i = 0; i < shape.size(); ++i)
    if (shape[i] != 1 && strides[i] != expected[i]) return false;
  return true;
}

std::string SourceTensor::describe() const { return fmt::format("{} ({})", dtype, fmt::join(shape, ", ")); }

void SourceTensor::read(std::int64_t begin, std::span<float> out) const {
  if (out.empty()) return;
  const std::size_t size = dtype == "F64" ? 8 : dtype == "F32" ? 4 : 2;
  if (dense() && !big_endian) return convert_to_f32(dtype, bytes.subspan(static_cast<std::size_t>(begin) * size, out.size() * size), out);

  std::vector<std::byte> gathered(out.size() * size);
  for (std::size_t i = 0; i < out.size(); ++i) {
    std::int64_t rest = begin + static_cast<std::int64_t>(i), at = 0;
    for (std::size_t d = shape.size(); d-- > 0; rest /= shape[d]) at += rest % shape[d] * strides[d];
    const auto element = bytes.subspan(static_cast<std::size_t>(at) * size, size);
    const auto to = gathered.begin() + static_cast<std::ptrdiff_t>(i * size);
    if (big_endian)
      std::reverse_copy(element.begin(), element.end(), to);
    else
      std::copy(element.begin(), element.end(), to);
  }
  convert_to_f32(dtype, gathered, out);
}

WeightSource::WeightSource(const fs::path& folder) : folder_(folder) {
  if (!fs::is_directory(folder)) {
    throw Error(ErrorTag::kModel, folder.string(), fs::exists(folder) ? "expected a model folder, got a file" : "no such folder",
                fs::exists(folder) ? "" : "see `minbert fetch --help` for downloading a model");
  }
  for (const char* name : {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    const fs::path file = folder / name;
    if (!fs::exists(file)) continue;
    if (file.extension() == ".json")
      add_shards(file);
    else
      add(file);
    return;
  }
  throw Error(ErrorTag::kModel, folder.string(),
              "no weights: expected model.safetensors, model.safetensors.index.json, pytorch_model.bin or pytorch_model.bin.index.json",
              hint_for(folder));
}

void WeightSource::add(const fs::path& file, std::span<const std::string> only) {
  const MappedFile& mapped = files_.emplace_back(file, ErrorTag::kModel);
  auto tensors = read_tensors(file, mapped.bytes());
  if (only.empty()) {
    tensors_.insert(tensors_.end(), std::move_iterator(tensors.begin()), std::move_iterator(tensors.end()));
    return;
  }
  std::unordered_map<std::string_view, const SourceTensor*> by_name;
  for (const SourceTensor& tensor : tensors) by_name.emplace(tensor.name, &tensor);
  for (const std::string& name : only) {
    const auto found = by_name.find(name);
    if (found == by_name.end())
      throw Error(ErrorTag::kModel, file.string(), fmt::format("expected tensor \"{}\", as the index says", name));
    tensors_.push_back(*found->second);
  }
}

void WeightSource::add_shards(const fs::path& index) {
  std::map<std::string, std::vector<std::string>> shards;
  const JsonNode map = JsonNode::read(index, ErrorTag::kModel).at("weight_map");
  for (const auto& [tensor, file] : map.members()) {
    // A shard must lie beside its index, so that an index cannot name files elsewhere.
    if (file.as_text().empty() || fs::path(file.as_text()).filename() != file.as_text()) file.fail("the name of a file beside it");
    shards[file.as_text()].push_back(tensor);
  }
  if (shards.empty()) map.complain("expected tensors, got none");
  for (const auto& [file, tensors] : shards) add(folder_ / file, tensors);
}

void expect_weights_for(const fs::path& folder, std::int64_t parameters) {
  // A stored parameter has 2 bytes or more. Shared tensors may stand for several, so that the limit is a generous one.
  constexpr std::int64_t kMostPerByte = 8, kAlwaysGood = 32 << 20;
  std::int64_t bytes = 0;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(folder, ignored))
    if (const auto ending = entry.path().extension(); (ending == ".safetensors" || ending == ".bin") && entry.is_regular_file(ignored))
      bytes += static_cast<std::int64_t>(entry.file_size(ignored));
  if (bytes == 0 || parameters <= kMostPerByte * bytes + kAlwaysGood) return;
  const WeightSource broken(folder);  // a cut file, or a pointer to one, has a clearer error of its own
  throw Error(ErrorTag::kModel, (folder / "config.json").string(),
              fmt::format("its sizes make {} parameters, more than weight files of {} bytes can hold", parameters, bytes),
              "config.json, or minbert.json where there is one, and the weights are of two models");
}

}  // namespace minbert
