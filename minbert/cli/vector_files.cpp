// One writer for each format; elements are f32, or signed or unsigned bytes.
#include "minbert/cli/vector_files.h"

#include <cstring>
#include <filesystem>
#include <vector>

#include "minbert/base/files.h"
#include "minbert/base/safetensors.h"
#include "minbert/cli/npy_format.h"
#include "minbert/cli/output.h"

namespace minbert {
namespace {

/// What the numbers of a file are.
struct Elements {
  VectorPrecision precision;
  std::int64_t width;  ///< of a vector in the file

  Elements(VectorPrecision kind, std::int64_t numbers) : precision(kind), width(rounded_width(kind, numbers)) {}
  bool is_float() const { return precision == VectorPrecision::kFloat32; }
  std::size_t vector_bytes() const { return static_cast<std::size_t>(width) * (is_float() ? sizeof(float) : 1); }
  std::string_view numpy() const { return is_float() ? "<f4" : is_signed(precision) ? "|i1" : "|u1"; }
  std::string safetensors() const { return is_float() ? "F32" : is_signed(precision) ? "I8" : "U8"; }

  /// "1,-2,3"
  std::string text(std::span<const std::byte> vector) const {
    if (is_float()) return joined<float>(vector);
    return is_signed(precision) ? joined<std::int8_t>(vector) : joined<std::uint8_t>(vector);
  }

 private:
  template <class T>
  static std::string joined(std::span<const std::byte> bytes) {
    std::vector<T> numbers(bytes.size() / sizeof(T));
    std::memcpy(numbers.data(), bytes.data(), bytes.size());
    return fmt::format("{}", fmt::join(numbers, ","));
  }
};

/// The header of npy_format.h holds the shape, which is known beforehand, so vectors are written as they come.
class NpyWriter final : public VectorWriter {
 public:
  NpyWriter(const std::string& path, std::size_t rows, const Elements& elements, ShardFile* shard)
      : out_(shard != nullptr ? Output(*shard) : Output(path)) {
    out_.write_header(npy_header(elements.numpy(), rows, elements.width));
  }
  void add(std::span<const InputRow>, std::span<const std::byte> vectors) override {
    out_.write({reinterpret_cast<const char*>(vectors.data()), vectors.size()});
  }
  void commit() override { out_.commit(); }

 private:
  Output out_;
};

/// One tensor "embeddings"; its header comes first, so all vectors are kept until the end.
class SafetensorsWriter final : public VectorWriter {
 public:
  SafetensorsWriter(std::string path, const Elements& elements) : path_(std::move(path)), elements_(elements) {
    AtomicFile can_be_written(path_);
  }
  void add(std::span<const InputRow>, std::span<const std::byte> vectors) override {
    bytes_.insert(bytes_.end(), vectors.begin(), vectors.end());
  }
  void commit() override {
    const auto rows = static_cast<std::int64_t>(bytes_.size() / elements_.vector_bytes());
    write_safetensors(path_, {{"embeddings", elements_.safetensors(), {rows, elements_.width}, bytes_}});
  }

 private:
  std::string path_;
  Elements elements_;
  std::vector<std::byte> bytes_;
};

/// One JSON array per line, or with ids one object with "id" and "embedding".
class JsonlWriter final : public VectorWriter {
 public:
  JsonlWriter(const std::string& path, const Elements& elements, bool ids, ShardFile* shard)
      : out_(shard != nullptr ? Output(*shard) : Output(path)), elements_(elements), ids_(ids) {}
  void add(std::span<const InputRow> inputs, std::span<const std::byte> vectors) override {
    const std::size_t size = elements_.vector_bytes();
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::string vector = fmt::format("[{}]", elements_.text(vectors.subspan(i * size, size)));
      out_.write(ids_ ? fmt::format("{{\"id\":{},\"embedding\":{}}}\n", dump_json(inputs[i].id), vector) : vector + "\n");
    }
  }
  void flush() override { out_.flush(); }
  void commit() override { out_.commit(); }

 private:
  Output out_;
  Elements elements_;
  bool ids_;
};

}  // namespace

std::string vector_format(const std::string& path) { return output_format(path, {"npy", "safetensors", "jsonl"}); }

std::unique_ptr<VectorWriter> make_vector_writer(const std::string& path, VectorPrecision precision, std::size_t rows, std::int64_t width,
                                                 bool ids, ShardFile* shard) {
  if (shard != nullptr) rows = shard->shard().rows_of(rows);
  const Elements elements(precision, width);
  const std::string format = vector_format(path);
  if (format == "jsonl") return std::make_unique<JsonlWriter>(path, elements, ids, shard);
  expect_free_bytes(path, static_cast<std::int64_t>(rows * elements.vector_bytes()), "the vectors");
  if (format == "npy") return std::make_unique<NpyWriter>(path, rows, elements, shard);
  return std::make_unique<SafetensorsWriter>(path, elements);
}

}  // namespace minbert
