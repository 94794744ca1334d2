// Files of sentence vectors that embed writes: .npy, .safetensors and .jsonl.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "minbert/cli/shard.h"
#include "minbert/data/input_rows.h"
#include "minbert/pipeline/vector_precision.h"

namespace minbert {

/// Writes vectors in order.
class VectorWriter {
 public:
  virtual ~VectorWriter() = default;
  /// Adds the vectors of these inputs, row-major: f32, or the bytes that round_vectors() makes of them.
  virtual void add(std::span<const InputRow> inputs, std::span<const std::byte> vectors) = 0;
  /// Hands what was added to the reader of standard output.
  virtual void flush() {}
  virtual void commit() = 0;
};

/// The format of a file of vectors, as output_format() gives it: npy, safetensors or jsonl.
std::string vector_format(const std::string& path);

/// Creates a writer for `rows` vectors of `width` numbers each, before quantisation; with a shard it writes only the shard's rows. "-" is
/// JSON lines to stdout. `ids`: JSON lines name the inputs. Throws Error(kResources) where `path` cannot be written, or has no room for all
/// rows.
std::unique_ptr<VectorWriter> make_vector_writer(const std::string& path, VectorPrecision precision, std::size_t rows, std::int64_t width,
                                                 bool ids, ShardFile* shard = nullptr);

}  // namespace minbert
