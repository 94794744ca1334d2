// safetensors: a JSON header and raw tensors in one file (https://github.com/huggingface/safetensors).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "minbert/base/files.h"
#include "minbert/base/tensor.h"

namespace minbert {

/// One tensor: row-major elements, little-endian, not necessarily aligned. The bytes belong to whoever made the entry.
struct SafetensorsEntry {
  std::string name;
  std::string dtype;  ///< BOOL U8 I8 I16 U16 F16 BF16 I32 U32 F32 F64 I64 U64
  std::vector<std::int64_t> shape;
  std::span<const std::byte> bytes;

  /// "F32 (2, 3)"
  std::string describe() const;
};

/// The content of a file: entries in the order of their bytes, and the "__metadata__" texts.
struct SafetensorsContent {
  std::vector<SafetensorsEntry> entries;
  std::map<std::string, std::string> metadata;
};

/// Checks a whole file in memory: header at most 100 MB, every tensor of the size its shape and dtype say, tensors that
/// cover the data without overlap or gap, no name twice. Throws Error(kModel) with `place`, the tensor, expected and got.
SafetensorsContent parse_safetensors(std::span<const std::byte> file, std::string_view place);

/// A checked file in a memory map; entries point into it.
class SafetensorsFile {
 public:
  /// Throws as parse_safetensors, or when the file cannot be opened.
  explicit SafetensorsFile(std::filesystem::path path);

  const std::filesystem::path& path() const { return path_; }
  std::span<const SafetensorsEntry> entries() const { return content_.entries; }
  const std::map<std::string, std::string>& metadata() const { return content_.metadata; }
  /// Null when there is no such tensor.
  const SafetensorsEntry* find(std::string_view name) const;

 private:
  std::filesystem::path path_;
  MappedFile file_;
  SafetensorsContent content_;
  std::unordered_map<std::string_view, const SafetensorsEntry*> by_name_;
};

/// Writes a file atomically, straight from the entries' memory. The same entries in any order give the same bytes, those of
/// the Rust implementation: larger element types first, then by name. Throws Error(kResources) as AtomicFile.
void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata = {});

/// Gives the bytes of an entry, which are read before the next entry is asked for.
using EntryBytes = std::function<std::span<const std::byte>(const SafetensorsEntry&)>;
/// Writes tensors that are not in memory as the file wants them: `bytes_of` gives the bytes of one entry at a time; of `entries` only
/// names, dtypes and shapes are read.
void write_safetensors(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries,
                       const std::map<std::string, std::string>& metadata, const EntryBytes& bytes_of);

/// An entry whose bytes are the memory of `tensor`, which must be contiguous.
SafetensorsEntry safetensors_entry(std::string name, const Tensor& tensor);

/// Whether convert_to_f32 reads this dtype: F64 F32 F16 BF16.
bool is_floating_dtype(std::string_view dtype);
/// Converts out.size() elements; overwrites. F64 rounds to nearest. Any other dtype throws Error(kModel).
void convert_to_f32(std::string_view dtype, std::span<const std::byte> bytes, std::span<float> out);

}  // namespace minbert
