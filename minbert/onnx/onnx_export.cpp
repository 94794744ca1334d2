// Joins encoder and heads into graphs, and says in their metadata what their outputs mean.
#include "minbert/onnx/onnx_export.h"

#include "minbert/onnx/encoder_graph.h"
#include "minbert/onnx/head_graph.h"

namespace minbert {
namespace {

void save_pair_head(const std::filesystem::path& folder, const Params& params, const TaskSpec& task, const HeadShape& shape) {
  OnnxGraph graph(task.name);
  OnnxLayers layers(graph, params);
  const std::vector<OnnxDim> vectors = {"batch", params.config().hidden_size};
  const OnnxValue u = graph.input("u", OnnxType::kFloat, vectors), v = graph.input("v", OnnxType::kFloat, vectors);
  add_head(layers, task, shape, u, v);
  graph.metadata("minbert.tasks", dump_json(Json::array({task_json(task)})));
  graph.save(folder / (task.name + "_head.onnx"));
}

}  // namespace

void expect_onnx_can_hold(const ModelFolder& folder, const SentenceModules& modules, const Params& params) {
  if (!modules.pooling.include_prompt)
    throw Error(ErrorTag::kUsage, folder.path.string(),
                "its pooling leaves the prompt's tokens out; a graph does not know which those are");
  std::int64_t numbers = params.numel();
  for (const VectorModule& module : modules.after)
    if (const auto* dense = std::get_if<DenseModule>(&module)) numbers += std::ssize(dense->weight) + std::ssize(dense->residual);
  const std::int64_t bytes = numbers * static_cast<std::int64_t>(sizeof(float));
  if (bytes > OnnxGraph::kMostWeightBytes)
    throw Error(ErrorTag::kUsage, folder.path.string(), fmt::format("{} MiB of weights; an ONNX file holds less than 2 GiB", bytes >> 20));
}

void export_onnx(const std::filesystem::path& folder, const TextModel& model, const SentenceModules& modules) {
  const Params& params = model.params();
  const std::int64_t hidden = params.config().hidden_size;
  OnnxGraph graph("bert");
  OnnxLayers layers(graph, params);
  EncoderGraph encoder(layers);
  graph.output(encoder.hidden(), "last_hidden_state", std::vector<OnnxDim>{"batch", "sequence", hidden});
  graph.output(encoder.sentence_embedding(modules), "sentence_embedding", std::vector<OnnxDim>{"batch", modules.width(hidden)});
  Json tasks = Json::array();
  for (std::size_t i = 0; i < model.tasks().size(); ++i) {
    const TaskSpec& task = model.tasks()[i];
    const HeadShape& shape = params.shape().heads[i];
    const OnnxValue vector = encoder.pool(shape.pool);
    if (task.is_separate()) {
      graph.output(vector, task.name + ".vector", std::vector<OnnxDim>{"batch", hidden});
      save_pair_head(folder, params, task, shape);
    } else {
      add_head(layers, task, shape, vector, {});
    }
    tasks.push_back(task_json(task));
  }
  graph.metadata("minbert.tasks", dump_json(tasks));
  graph.metadata("minbert.max_length", std::to_string(model.folder().max_length));
  graph.save(folder / "model.onnx");
}

}  // namespace minbert
