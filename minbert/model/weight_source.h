// WeightSource: the tensors of a model folder in any of its file formats, read from memory maps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/files.h"

namespace minbert {

/// One tensor in the layout of its file.
struct SourceTensor {
  std::string name;
  std::string dtype;  ///< as in safetensors: "F32"
  std::vector<std::int64_t> shape;
  std::vector<std::int64_t> strides;  ///< in elements; row-major dense unless a torch checkpoint says otherwise
  std::span<const std::byte> bytes;   ///< from its first element to the last one that its strides reach
  bool big_endian = false;
  std::string file;  ///< name in the folder

  std::int64_t numel() const;
  bool dense() const;
  /// "F32 (8, 384)"
  std::string describe() const;
  /// Row-major elements [begin, begin + out.size()) as float; the dtype must be F64, F32, F16 or BF16.
  void read(std::int64_t begin, std::span<float> out) const;
};

/// Keeps the files mapped as long as it lives. Movable.
class WeightSource {
 public:
  /// Opens model.safetensors, else model.safetensors.index.json and its shards, else pytorch_model.bin, else
  /// pytorch_model.bin.index.json. Throws Error(kModel) when there is none of them, or one is broken.
  explicit WeightSource(const std::filesystem::path& folder);

  /// Maps one more file: .safetensors, or else a torch checkpoint. Where `only` is not empty, takes only these tensors; all must exist.
  void add(const std::filesystem::path& file, std::span<const std::string> only = {});

  const std::filesystem::path& folder() const { return folder_; }
  std::span<const SourceTensor> tensors() const { return tensors_; }

 private:
  void add_shards(const std::filesystem::path& index);

  std::filesystem::path folder_;
  std::deque<MappedFile> files_;
  std::vector<SourceTensor> tensors_;
};

/// Throws Error(kModel) when a model of so many parameters cannot come from the weight files in `folder`, by their size: a config.json must
/// not make a small file ask for much memory. Nothing is said where there are none.
void expect_weights_for(const std::filesystem::path& folder, std::int64_t parameters);

}  // namespace minbert
