// torch checkpoints (.bin, .pt): the tensors of a state_dict that torch.save wrote, read without running its code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace minbert {

struct TorchTensor {
  std::string name;
  std::string dtype;                         ///< as in safetensors: "F32"
  std::vector<std::int64_t> shape, strides;  ///< strides in elements
  std::span<const std::byte> bytes;          ///< from its first element to its last, inside the file
  bool big_endian = false;
};

/// Reads a file that is in memory: a ZIP archive of PyTorch 1.6 or later, or the plain pickles of earlier versions. Finds a state_dict
/// under "state_dict" or "model" too. Throws Error(kModel) with `place` for damage, and for anything but plain weights.
std::vector<TorchTensor> read_torch_checkpoint(std::span<const std::byte> file, std::string_view place);

}  // namespace minbert
