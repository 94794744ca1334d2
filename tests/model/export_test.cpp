// Export: the files and names that transformers and sentence-transformers look for; transformers_test.py opens them there.
#include <gtest/gtest.h>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/base/safetensors.h"
#include "minbert/model/hf_export.h"
#include "minbert/model/hf_import.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"
#include "tests/model/tiny_model.h"
#include "tests/ops/remote_backend.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

ModelShape shape_with_pooler_heads() {
  ModelShape shape = tiny_shape();
  shape.heads = {{.task = "five", .pool = Pool::kPooler, .outputs = 5},
                 {.task = "two", .pool = Pool::kPooler},
                 {.task = "deep", .pool = Pool::kPooler, .dense = {4}, .outputs = 2},
                 {.task = "pair", .pool = Pool::kPooler, .features = Features::kPair, .outputs = 2}};
  return shape;
}

class Export : public testing::Test {
 protected:
  Json json(const char* file) { return read_json(folder / file, ErrorTag::kModel); }
  std::vector<float> stored(const char* name) {
    const SafetensorsFile file(folder / "model.safetensors");
    const SafetensorsEntry* entry = file.find(name);
    if (entry == nullptr) return {};
    std::vector<float> out(entry->bytes.size() / (entry->dtype == "F32" ? 4 : 2));
    convert_to_f32(entry->dtype, entry->bytes, out);
    return out;
  }

  std::unique_ptr<Backend> backend = make_backend("ref");
  Params params = tiny_params(*backend, shape_with_pooler_heads());
  TempFolder folder;
};

TEST_F(Export, EncoderComesBackByImport) {
  export_encoder(folder / "new/folder", params, {});
  Params back(*backend, tiny_shape());
  const ImportReport report = import_weights(folder / "new/folder", back);
  EXPECT_TRUE(report.unused.empty() && report.unexpected.empty());
  for (const ParamInfo& info : back.table()) EXPECT_EQ(values(back, info.name), values(params, info.name)) << info.name;
  const ModelConfig config = parse_model_config(read_json(folder / "new/folder/config.json", ErrorTag::kModel), "c");
  EXPECT_EQ(model_config_json(config), model_config_json(params.config()));
  EXPECT_EQ(SafetensorsFile(folder / "new/folder/model.safetensors").metadata().at("format"), "pt");
}

TEST_F(Export, TheMemoryMayBeADevices) {
  const auto remote = make_remote_backend(make_backend("ref"));
  Params far = tiny_params(*remote, shape_with_pooler_heads());
  const auto expect_same = [&](const char* name, const auto& write) {
    write(folder / "near", params);
    write(folder / "far", far);
    EXPECT_TRUE(read_file(folder / "near/model.safetensors") == read_file(folder / "far/model.safetensors")) << name;
  };
  for (const DType dtype : {DType::kF32, DType::kBF16}) {
    expect_same("encoder", [&](const fs::path& path, const Params& from) { export_encoder(path, from, {.dtype = dtype}); });
    expect_same("classifier", [&](const fs::path& path, const Params& from) {
      export_sequence_classification(path, from, "two", {.dtype = dtype, .labels = {"no", "yes"}});
    });
  }
  export_encoder(folder / "far", far, {});
  Params back(*remote, tiny_shape());
  import_weights(folder / "far", back);
  for (const ParamInfo& info : back.table()) EXPECT_EQ(values(back, info.name), values(params, info.name)) << info.name;
}

TEST_F(Export, SentenceTransformersFiles) {
  EncoderExport options;
  options.modules.pooling.modes = {TokenPool::kCls};
  options.max_length = 64;
  export_encoder(folder.path(), params, options);
  EXPECT_EQ(json("modules.json").size(), 2u);
  EXPECT_EQ(json("modules.json")[1]["type"], "sentence_transformers.models.Pooling");
  EXPECT_EQ(json("1_Pooling/config.json")["pooling_mode_cls_token"], true);
  EXPECT_EQ(json("1_Pooling/config.json")["pooling_mode_mean_tokens"], false);
  EXPECT_EQ(json("1_Pooling/config.json")["word_embedding_dimension"], 6);
  EXPECT_EQ(json("sentence_bert_config.json")["max_seq_length"], 64);
  EXPECT_FALSE(fs::exists(folder / "2_Normalize"));

  options.modules.pooling.modes = {TokenPool::kMean};
  options.modules.after = {NormalizeModule{}};
  options.dtype = DType::kBF16;
  export_encoder(folder.path(), params, options);
  EXPECT_EQ(json("modules.json")[2]["path"], "2_Normalize");
  EXPECT_TRUE(fs::is_directory(folder / "2_Normalize"));
  EXPECT_EQ(json("1_Pooling/config.json")["pooling_mode_mean_tokens"], true);
  EXPECT_EQ(json("config.json")["torch_dtype"], "bfloat16");
  EXPECT_EQ(SafetensorsFile(folder / "model.safetensors").entries()[0].dtype, "BF16");
}

TEST_F(Export, ClassifierOfSeveralLabels) {
  ClassifierExport options;
  options.labels = {"a", "b", "c", "d", "e"};
  options.dropout = 0.3f;
  export_sequence_classification(folder.path(), params, "five", options);
  EXPECT_EQ(stored("classifier.weight"), values(params, "heads.five.out.weight"));
  EXPECT_EQ(stored("classifier.bias"), values(params, "heads.five.out.bias"));
  EXPECT_EQ(stored("bert.pooler.dense.weight"), values(params, "pooler.dense.weight"));
  const Json config = json("config.json");
  EXPECT_EQ(config["architectures"].dump(), R"(["BertForSequenceClassification"])");
  EXPECT_EQ(config["id2label"].dump(), R"({"0":"a","1":"b","2":"c","3":"d","4":"e"})");
  EXPECT_EQ(config["label2id"]["e"], 4);
  EXPECT_EQ(config["num_labels"], 5);
  EXPECT_EQ(config["classifier_dropout"].dump(), "0.3");
  EXPECT_EQ(config["problem_type"], "single_label_classification");
}

TEST_F(Export, OneLogitBecomesTwoRows) {
  ClassifierExport options;
  options.labels = {"no", "yes"};
  export_sequence_classification(folder.path(), params, "two", options);
  std::vector<float> expected(6, 0.0f);
  for (const float w : values(params, "heads.two.out.weight")) expected.push_back(w);
  EXPECT_EQ(stored("classifier.weight"), expected);
  EXPECT_EQ(stored("classifier.bias"), (std::vector<float>{0, values(params, "heads.two.out.bias")[0]}));
}

TEST_F(Export, RegressionHasOneLabel) {
  export_sequence_classification(folder.path(), params, "two", {});
  EXPECT_EQ(stored("classifier.weight"), values(params, "heads.two.out.weight"));
  EXPECT_EQ(json("config.json")["problem_type"], "regression");
  EXPECT_EQ(json("config.json")["id2label"].size(), 1u);
}

TEST_F(Export, OtherHeadsDoNotFit) {
  ClassifierExport options;
  options.labels = {"a", "b"};
  for (const char* task : {"deep", "pair"})
    expect_error(ErrorTag::kUsage, {std::string("seqcls:") + task, "one linear layer on the pooler"},
                 [&] { export_sequence_classification(folder.path(), params, task, options); });
  expect_error(ErrorTag::kUsage, {"no task \"none\""}, [&] { export_sequence_classification(folder.path(), params, "none", options); });
  ModelShape shape = shape_with_pooler_heads();
  shape.pooler = false;
  const Params without = tiny_params(*backend, shape);
  expect_error(ErrorTag::kUsage, {"pooler"}, [&] { export_sequence_classification(folder.path(), without, "two", options); });
  EXPECT_EQ(folder.count(), 0);
}

}  // namespace
}  // namespace minbert
