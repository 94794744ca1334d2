// Export: weights under transformers' names, and the small JSON files around them.
#include "minbert/model/hf_export.h"

#include <algorithm>
#include <utility>

#include "minbert/base/files.h"
#include "minbert/base/number.h"
#include "minbert/model/checkpoint.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

// transformers refuses a file without this metadata.
const Metadata kPyTorchMetadata = {{"format", "pt"}};

void write_json(const fs::path& path, const Json& json) { write_file(path, dump_json(json, 2) + "\n"); }

Json config_json(const ModelConfig& config, DType dtype) {
  Json json = model_config_json(config);
  json["torch_dtype"] = dtype == DType::kBF16 ? "bfloat16" : "float32";
  return json;
}

/// The keys by which BertForSequenceClassification interprets its logits.
void describe_labels(Json& json, const ClassifierExport& options) {
  json["problem_type"] = options.labels.empty() ? "regression"
                         : options.multi_label  ? "multi_label_classification"
                                                : "single_label_classification";
  if (options.labels.empty()) {
    json["num_labels"] = 1;
    json["id2label"] = {{"0", "LABEL_0"}};
    json["label2id"] = {{"LABEL_0", 0}};
    return;
  }
  json["num_labels"] = options.labels.size();
  json["id2label"] = json["label2id"] = Json::object();
  for (std::size_t i = 0; i < options.labels.size(); ++i) {
    json["id2label"][std::to_string(i)] = options.labels[i];
    json["label2id"][options.labels[i]] = i;
  }
}

}  // namespace

const HeadShape& classifier_head(const ModelShape& shape, const std::string& task) {
  const auto head = std::find_if(shape.heads.begin(), shape.heads.end(), [&](const HeadShape& h) { return h.task == task; });
  if (head == shape.heads.end()) throw Error(ErrorTag::kUsage, "seqcls:" + task, fmt::format("the model has no task \"{}\"", task));
  if (head->pool != Pool::kPooler || head->features != Features::kSingle || !head->dense.empty() || !shape.pooler)
    throw Error(ErrorTag::kUsage, "seqcls:" + task,
                "BertForSequenceClassification has one linear layer on the pooler, this head is another",
                "train the task with pool = \"pooler\", dense = [] and single or joint text");
  return *head;
}

void export_encoder(const fs::path& folder, const Params& params, const EncoderExport& options) {
  make_directories(folder);
  write_json(folder / "config.json", config_json(params.config(), options.dtype));
  if (options.weights) save_weights(folder / "model.safetensors", params, is_backbone, options.dtype, kPyTorchMetadata);
  write_json(folder / "sentence_bert_config.json", {{"max_seq_length", options.max_length}, {"do_lower_case", false}});
  write_sentence_modules(folder, options.modules, params.config().hidden_size, params.backend(), options.dtype);
}

void export_sequence_classification(const fs::path& folder, const Params& params, const std::string& task,
                                    const ClassifierExport& options) {
  const HeadShape& head = classifier_head(params.shape(), task);
  const std::int64_t width = params.config().hidden_size, labels = options.labels.empty() ? 1 : std::ssize(options.labels);
  const bool binary = head.outputs == 1 && labels == 2;
  MINBERT_CHECK(binary || head.outputs == labels, "{} labels for {} logits", labels, head.outputs);

  // softmax of [0, z] gives the second class sigmoid(z).
  Backend& backend = params.backend();
  Arena arena(backend);
  const Tensor weight = arena.allocate(DType::kF32, {labels, width}), bias = arena.allocate(DType::kF32, {labels});
  const auto put_last = [&](const Tensor& from, const Tensor& to) {
    std::vector<float> values = backend.to_host(from);
    for (float& x : values) x = static_cast<float>(x / options.temperature);
    backend.zero(to);
    backend.copy_to_device(to.slice_rows(to.rows() - from.rows(), to.rows()), values.data());
  };
  put_last(params.value("heads." + task + ".out.weight"), weight);
  put_last(params.value("heads." + task + ".out.bias"), bias);

  make_directories(folder);
  Json json = config_json(params.config(), options.dtype);
  json["architectures"] = {"BertForSequenceClassification"};
  json["classifier_dropout"] = as_written(options.dropout);
  describe_labels(json, options);
  write_json(folder / "config.json", json);
  auto tensors = select_params(params, is_backbone, "bert.");
  tensors.push_back({"classifier.weight", weight});
  tensors.push_back({"classifier.bias", bias});
  save_tensors_as(options.dtype, backend, folder / "model.safetensors", tensors, kPyTorchMetadata);
}

}  // namespace minbert
