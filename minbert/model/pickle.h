// A restricted reader of Python pickles. It builds the plain values and tensors of a checkpoint, and runs no code.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "minbert/base/check.h"

namespace minbert {

/// One Python value. Containers hold indices into Pickle::values, so that a container may contain itself.
struct PickleValue {
  enum class Kind : std::uint8_t {
    kNone,
    kBool,     ///< integer: 0 or 1
    kInt,      ///< integer
    kLong,     ///< an int beyond 64 bits; text: little-endian two's complement
    kFloat,    ///< its value is not kept
    kText,     ///< text: UTF-8
    kBytes,    ///< text
    kTuple,    ///< items
    kList,     ///< items
    kSet,      ///< its items are not kept
    kDict,     ///< items: key, value, key, value ...
    kGlobal,   ///< integer: index into the reader's table of known names
    kStorage,  ///< integer: index into Pickle::storages
    kTensor,   ///< integer: index into Pickle::tensors
  };
  Kind kind = Kind::kNone;
  std::int64_t integer = 0;
  std::string_view text;
  std::vector<std::uint32_t> items;
};

/// A flat array of elements outside the pickle. Tensors are views of it.
struct PickledStorage {
  std::string_view dtype;  ///< as in safetensors: "F32"
  std::int64_t element_bytes = 0;
  std::string_view key;
  std::int64_t numel = 0;
};

struct PickledTensor {
  std::size_t storage = 0;  ///< index into Pickle::storages
  std::int64_t offset = 0;  ///< of its first element, in elements
  std::vector<std::int64_t> shape, strides;
};

/// One pickle. Texts are views of the bytes that it was read from.
struct Pickle {
  std::vector<PickleValue> values;
  std::uint32_t root = 0;
  std::vector<PickledStorage> storages;  ///< each key once
  std::vector<PickledTensor> tensors;    ///< every element lies inside its storage
  std::size_t size_bytes = 0;            ///< read up to and including STOP

  const PickleValue& value(std::uint32_t index) const { return values[index]; }
  /// The value under a text key of a dict, or null.
  const PickleValue* find(const PickleValue& dict, std::string_view key) const;
};

/// Reads the pickle at the start of `bytes`: protocols 2 to 5, as torch.save writes them. The only callables that it knows are OrderedDict,
/// torch.Size and torch's tensor and parameter rebuilders. It refuses any other by name. Throws Error(kModel) with `place`.
Pickle read_pickle(std::span<const std::byte> bytes, std::string_view place);

}  // namespace minbert
