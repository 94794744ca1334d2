// Builds the messages of ONNX's files (onnx.proto) and writes them.
#include "minbert/onnx/graph.h"

#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <onnx/onnx_pb.h>

#include "minbert/base/check.h"
#include "minbert/base/files.h"
#include "minbert/base/system.h"

namespace minbert {
namespace {

/// What protobuf writes goes into a file piece by piece, so that no second copy of the weights is made.
class FileStream final : public google::protobuf::io::CopyingOutputStream {
 public:
  explicit FileStream(AtomicFile& file) : file_(file) {}
  bool Write(const void* buffer, int size) override {
    file_.write(std::string_view(static_cast<const char*>(buffer), static_cast<std::size_t>(size)));
    return true;
  }

 private:
  AtomicFile& file_;
};

void describe(onnx::ValueInfoProto& info, const std::string& name, std::int32_t type, std::span<const OnnxDim> shape) {
  info.set_name(name);
  auto& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  for (const OnnxDim& dim : shape) {
    auto& to = *tensor.mutable_shape()->add_dim();
    if (const auto* size = std::get_if<std::int64_t>(&dim))
      to.set_dim_value(*size);
    else
      to.set_dim_param(std::get<std::string>(dim));
  }
}

void set(onnx::AttributeProto& to, std::int64_t value) {
  to.set_type(onnx::AttributeProto::INT);
  to.set_i(value);
}
void set(onnx::AttributeProto& to, float value) {
  to.set_type(onnx::AttributeProto::FLOAT);
  to.set_f(value);
}
void set(onnx::AttributeProto& to, const std::vector<std::int64_t>& values) {
  to.set_type(onnx::AttributeProto::INTS);
  for (const std::int64_t value : values) to.add_ints(value);
}

template <class T>
void fill(onnx::TensorProto& tensor, const std::string& name, std::int32_t type, std::span<const T> values,
          std::span<const std::int64_t> shape) {
  tensor.set_name(name);
  tensor.set_data_type(type);
  std::int64_t numel = 1;
  for (const std::int64_t size : shape) {
    tensor.add_dims(size);
    numel *= size;
  }
  MINBERT_CHECK(numel == std::ssize(values), "{}: {} values for {} elements", name, values.size(), numel);
  tensor.set_raw_data(values.data(), values.size_bytes());
}

}  // namespace

struct OnnxGraph::Message {
  onnx::ModelProto model;
  onnx::GraphProto& graph() { return *model.mutable_graph(); }
};

OnnxGraph::OnnxGraph(const std::string& name) : message_(std::make_unique<Message>()) {
  onnx::ModelProto& model = message_->model;
  model.set_ir_version(onnx::IR_VERSION_2020_5_8 + 1);  // 8, which came with opset 15 and is enough for 17
  model.set_producer_name("minbert");
  model.set_producer_version(std::string(program_version()));
  model.add_opset_import()->set_version(kOpset);
  message_->graph().set_name(name);
}
OnnxGraph::~OnnxGraph() = default;
OnnxGraph::OnnxGraph(OnnxGraph&&) noexcept = default;

std::string OnnxGraph::next_name(const std::string& op) { return fmt::format("{}_{}", op, count_++); }

OnnxValue OnnxGraph::input(const std::string& name, OnnxType type, std::span<const OnnxDim> shape) {
  describe(*message_->graph().add_input(), name, type == OnnxType::kFloat ? onnx::TensorProto::FLOAT : onnx::TensorProto::INT64, shape);
  return name;
}

void OnnxGraph::output(const OnnxValue& value, const std::string& name, std::span<const OnnxDim> shape) {
  auto& node = *message_->graph().add_node();
  node.set_op_type("Identity");
  node.set_name(next_name("Identity"));
  node.add_input(value);
  node.add_output(name);
  describe(*message_->graph().add_output(), name, onnx::TensorProto::FLOAT, shape);
}

OnnxValue OnnxGraph::constant(const std::string& name, std::span<const float> values, std::span<const std::int64_t> shape) {
  fill(*message_->graph().add_initializer(), name, onnx::TensorProto::FLOAT, values, shape);
  return name;
}

OnnxValue OnnxGraph::constant(std::span<const std::int64_t> values) {
  const std::string name = next_name("Constant");
  const std::int64_t size = std::ssize(values);
  fill(*message_->graph().add_initializer(), name, onnx::TensorProto::INT64, values, std::span(&size, 1));
  return name;
}

OnnxValue OnnxGraph::constant(float value) { return constant(next_name("Constant"), std::span(&value, 1), {}); }

OnnxValue OnnxGraph::node(const std::string& op, std::span<const OnnxValue> inputs, std::span<const OnnxAttribute> attributes) {
  auto& node = *message_->graph().add_node();
  node.set_op_type(op);
  node.set_name(next_name(op));
  for (const OnnxValue& input : inputs) node.add_input(input);
  node.add_output(node.name());
  for (const auto& [name, value] : attributes) {
    auto& attribute = *node.add_attribute();
    attribute.set_name(name);
    std::visit([&](const auto& v) { set(attribute, v); }, value);
  }
  return node.name();
}

void OnnxGraph::metadata(const std::string& key, const std::string& value) {
  auto& entry = *message_->model.add_metadata_props();
  entry.set_key(key);
  entry.set_value(value);
}

void OnnxGraph::save(const std::filesystem::path& path) const {
  AtomicFile file(path);
  FileStream stream(file);
  google::protobuf::io::CopyingOutputStreamAdaptor adaptor(&stream, 1 << 20);
  MINBERT_CHECK(message_->model.SerializeToZeroCopyStream(&adaptor) && adaptor.Flush(), "{}: no protobuf message", path.string());
  file.commit();
}

}  // namespace minbert
