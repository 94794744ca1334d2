// OnnxGraph: an ONNX model that grows node by node, and its file. Only graph.cpp sees ONNX's own headers.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace minbert {

/// The name of a tensor that flows through the graph.
using OnnxValue = std::string;
/// A size that is known, or the name of one that varies from call to call, such as "batch".
using OnnxDim = std::variant<std::int64_t, std::string>;
using OnnxAttribute = std::pair<std::string, std::variant<std::int64_t, float, std::vector<std::int64_t>>>;
enum class OnnxType : std::uint8_t { kFloat, kInt64 };

class OnnxGraph {
 public:
  static constexpr std::int64_t kOpset = 17;  ///< the first with LayerNormalization
  /// A file is one protobuf message, which may not be larger; a little less, so that room is left for all that is no weight.
  static constexpr std::int64_t kMostWeightBytes = (std::int64_t{1} << 31) - (std::int64_t{1} << 24);

  /// An empty graph. Throws Error(kUsage) in a build without libonnx.
  explicit OnnxGraph(const std::string& name);
  ~OnnxGraph();
  OnnxGraph(OnnxGraph&&) noexcept;

  /// Declares an input. Returns its name.
  OnnxValue input(const std::string& name, OnnxType type, std::span<const OnnxDim> shape);
  /// Declares `value` an f32 output of the graph under the name `name`.
  void output(const OnnxValue& value, const std::string& name, std::span<const OnnxDim> shape);
  /// Constants of the graph, row-major; they are copied. `name` must be new.
  OnnxValue constant(const std::string& name, std::span<const float> values, std::span<const std::int64_t> shape);
  OnnxValue constant(std::span<const std::int64_t> values);
  OnnxValue constant(float value);
  /// Adds a node of the default domain with one output, and returns that.
  OnnxValue node(const std::string& op, std::span<const OnnxValue> inputs, std::span<const OnnxAttribute> attributes = {});
  /// Adds an entry to the model's metadata_props.
  void metadata(const std::string& key, const std::string& value);

  /// Writes the file, complete or not at all. Throws Error(kResources).
  void save(const std::filesystem::path& path) const;

 private:
  struct Message;
  std::string next_name(const std::string& op);

  std::unique_ptr<Message> message_;
  std::int64_t count_ = 0;
};

}  // namespace minbert
