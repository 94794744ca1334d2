// The header of a safetensors file: read strictly, in one pass, in linear time.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace minbert::internal {

struct SafetensorsHeader {
  struct Tensor {
    std::string name, dtype;
    std::vector<std::int64_t> shape;
    std::uint64_t begin = 0, end = 0;
  };
  std::vector<Tensor> tensors;
  std::map<std::string, std::string> metadata;
};

/// Accepts exactly {name: {dtype, shape, data_offsets}, "__metadata__": {text: text}}, each key once, sizes and offsets whole
/// numbers that are not negative. Offsets are not compared with anything. Throws Error(kModel).
SafetensorsHeader parse_safetensors_header(std::string_view json, std::string_view place);

}  // namespace minbert::internal
