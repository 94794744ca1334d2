// Stands in for graph.cpp in a build without libonnx: no graph can be made.
#include "minbert/base/check.h"
#include "minbert/onnx/graph.h"

namespace minbert {
namespace {

[[noreturn]] void fail_no_graph() { MINBERT_CHECK(false, "an OnnxGraph in a build without libonnx"); }

}  // namespace

struct OnnxGraph::Message {};

OnnxGraph::OnnxGraph(const std::string& name) {
  throw Error(ErrorTag::kUsage, name, "this build of minbert writes no ONNX",
              "build it where libonnx-dev and libprotobuf-dev are installed");
}
OnnxGraph::~OnnxGraph() = default;
OnnxGraph::OnnxGraph(OnnxGraph&&) noexcept = default;
std::string OnnxGraph::next_name(const std::string&) { fail_no_graph(); }
OnnxValue OnnxGraph::input(const std::string&, OnnxType, std::span<const OnnxDim>) { fail_no_graph(); }
void OnnxGraph::output(const OnnxValue&, const std::string&, std::span<const OnnxDim>) { fail_no_graph(); }
OnnxValue OnnxGraph::constant(const std::string&, std::span<const float>, std::span<const std::int64_t>) { fail_no_graph(); }
OnnxValue OnnxGraph::constant(std::span<const std::int64_t>) { fail_no_graph(); }
OnnxValue OnnxGraph::constant(float) { fail_no_graph(); }
OnnxValue OnnxGraph::node(const std::string&, std::span<const OnnxValue>, std::span<const OnnxAttribute>) { fail_no_graph(); }
void OnnxGraph::metadata(const std::string&, const std::string&) { fail_no_graph(); }
void OnnxGraph::save(const std::filesystem::path&) const { fail_no_graph(); }

}  // namespace minbert
