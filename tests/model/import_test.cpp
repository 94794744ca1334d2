// Import: names, dtypes and shards of other programs' folders, and reports of what is missing, misshapen or superfluous.
#include <gtest/gtest.h>

#include <complex>

#include "minbert/base/files.h"
#include "minbert/base/json.h"
#include "minbert/base/safetensors.h"
#include "minbert/model/hf_import.h"
#include "tests/base/error_matchers.h"
#include "tests/base/temp_folder.h"
#include "tests/model/tiny_model.h"

namespace minbert {
namespace {

class Import : public testing::Test {
 protected:
  void write(std::vector<SafetensorsEntry> entries, const char* file = "model.safetensors") {
    write_safetensors(folder / file, std::move(entries), {{"format", "pt"}});
  }
  void expect_refused(Params& params, std::initializer_list<std::string_view> parts) {
    expect_error(ErrorTag::kModel, parts, [&] { import_weights(folder.path(), params); });
  }

  std::unique_ptr<Backend> backend = make_backend("ref");
  Params original = tiny_params(*backend, tiny_shape());
  TempFolder folder;
};

void expect_equal(const Params& actual, const Params& expected) {
  for (const ParamInfo& info : expected.table()) EXPECT_EQ(values(actual, info.name), values(expected, info.name)) << info.name;
}

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

TEST_F(Import, EveryPrefixIsStripped) {
  for (const char* prefix :
       {"", "bert.", "model.", "module.", "0.auto_model.", "module.bert.", "model.bert.", "_orig_mod.module.0.auto_model."}) {
    SCOPED_TRACE(prefix);
    write(entries_of(original, [&](const std::string& name) { return prefix + name; }));
    Params params(*backend, tiny_shape());
    const ImportReport report = import_weights(folder.path(), params);
    expect_equal(params, original);
    ASSERT_EQ(report.parameters.size(), params.table().size());
    EXPECT_EQ(report.parameters[0].name, "embeddings.word_embeddings.weight");
    EXPECT_EQ(report.parameters[0].tensor, prefix + report.parameters[0].name);
    EXPECT_EQ(report.parameters[0].file, "model.safetensors");
    EXPECT_EQ(report.parameters[0].dtype, "F32");
    EXPECT_TRUE(report.unexpected.empty() && report.unused.empty() && report.dropped.empty() && report.misshapen.empty());
  }
}

TEST_F(Import, GammaAndBetaAreWeightAndBias) {
  EXPECT_EQ(canonical_name("bert.encoder.layer.3.output.LayerNorm.gamma"), "encoder.layer.3.output.LayerNorm.weight");
  EXPECT_EQ(canonical_name("cls.predictions.transform.LayerNorm.beta"), "cls.predictions.transform.LayerNorm.bias");
  EXPECT_EQ(canonical_name("heads.gamma"), "heads.gamma");
}

TEST_F(Import, IntegerBuffersAreDroppedAndTheRestIsSorted) {
  const std::vector<std::int64_t> ids(9);
  const std::vector<float> two(2);
  auto entries = entries_of(original);
  entries.push_back({"embeddings.position_ids", "I64", {1, 9}, std::as_bytes(std::span(ids))});
  entries.push_back({"classifier.bias", "F32", {2}, std::as_bytes(std::span(two))});
  entries.push_back({"encoder.layer.2.output.dense.bias", "F32", {2}, std::as_bytes(std::span(two))});
  write(entries);
  Params params(*backend, tiny_shape());
  const ImportReport report = import_weights(folder.path(), params);
  EXPECT_EQ(report.dropped, std::vector<std::string>{"embeddings.position_ids"});
  EXPECT_EQ(report.unused, std::vector<std::string>{"classifier.bias"});
  EXPECT_EQ(report.unexpected, std::vector<std::string>{"encoder.layer.2.output.dense.bias"});
}

TEST_F(Import, HalvesAndDoublesAreConverted) {
  // Multiples of 1/8 below 4 are exact in every dtype.
  Rng rng(5, "eighths");
  for (const ParamInfo& info : original.table())
    for (float& value : original.value(info.name).span<float>()) value = static_cast<float>(rng.below(64)) / 8 - 4;
  const auto half = [](float value) {  // exact for multiples of 1/8
    if (value == 0) return std::uint16_t{0};
    int exponent = 0;
    const float mantissa = std::frexp(std::abs(value), &exponent);
    return static_cast<std::uint16_t>((value < 0 ? 0x8000 : 0) | (exponent + 14) << 10 | static_cast<int>(mantissa * 2048 - 1024));
  };
  for (const std::string_view dtype : {"F16", "BF16", "F64"}) {
    std::vector<std::string> storage;
    std::vector<SafetensorsEntry> entries = entries_of(original);
    storage.reserve(entries.size());
    for (auto& entry : entries) {
      std::string& bytes = storage.emplace_back();
      for (const float value : values(original, entry.name)) {
        const auto put = [&](auto stored) { bytes.append(reinterpret_cast<const char*>(&stored), sizeof stored); };
        if (dtype == "F16") put(half(value));
        if (dtype == "BF16") put(BFloat16(value));
        if (dtype == "F64") put(static_cast<double>(value));
      }
      entry.dtype = dtype;
      entry.bytes = std::as_bytes(std::span(bytes));
    }
    write(entries);
    Params params(*backend, tiny_shape());
    EXPECT_EQ(import_weights(folder.path(), params).parameters[3].dtype, dtype);
    expect_equal(params, original);
  }
}

TEST_F(Import, WeightsThatAreNotFiniteAreRefused) {
  const std::string name = "encoder.layer.1.output.LayerNorm.bias";
  const auto refuse = [&](std::string_view dtype, auto bad, std::size_t at) {
    std::vector<decltype(bad)> stored(values(original, name).size());
    stored[at] = bad;
    auto entries = entries_of(original);
    for (auto& entry : entries) {
      if (entry.name != name) continue;
      entry.dtype = dtype;
      entry.bytes = std::as_bytes(std::span(stored));
    }
    write(entries);
    Params params(*backend, tiny_shape());
    expect_error(ErrorTag::kDiverged, {"model.safetensors", name, fmt::format("element {}", at)},
                 [&] { import_weights(folder.path(), params); });
  };
  refuse("F32", std::numeric_limits<float>::quiet_NaN(), 0);
  refuse("F32", -std::numeric_limits<float>::infinity(), 5);
  refuse("BF16", BFloat16(std::numeric_limits<float>::infinity()), 3);
  refuse("F16", std::uint16_t{0x7c01}, 2);
  refuse("F64", 1e300, 1);
}

TEST_F(Import, WiderParametersHoldTheSameValues) {
  write(entries_of(original));
  Params doubles(*backend, tiny_shape(), DType::kF64, DType::kF64), complex(*backend, tiny_shape(), DType::kC128, DType::kC128);
  import_weights(folder.path(), doubles);
  import_weights(folder.path(), complex);
  for (const ParamInfo& info : original.table()) {
    const auto expected = values(original, info.name);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(doubles.value(info.name).span<double>()[i], static_cast<double>(expected[i]));
      EXPECT_EQ(complex.value(info.name).span<std::complex<double>>()[i], std::complex<double>(static_cast<double>(expected[i])));
    }
  }
}

TEST_F(Import, ShardsAreReadByTheirIndex) {
  const auto entries = entries_of(original);
  const auto middle = entries.begin() + 7;
  write({entries.begin(), middle}, "model-1.safetensors");
  write({middle, entries.end()}, "model-2.safetensors");
  Json index = {{"metadata", Json::object()}, {"weight_map", Json::object()}};
  for (auto at = entries.begin(); at != entries.end(); ++at)
    index["weight_map"][at->name] = at < middle ? "model-1.safetensors" : "model-2.safetensors";
  const auto write_index = [&](const Json& json) { write_file(folder / "model.safetensors.index.json", json.dump()); };
  write_index(index);
  Params params(*backend, tiny_shape());
  const ImportReport report = import_weights(folder.path(), params);
  expect_equal(params, original);
  EXPECT_EQ(report.parameters.back().file, "model-2.safetensors");

  Json bad = index;
  bad["weight_map"]["no.such.tensor"] = "model-1.safetensors";
  write_index(bad);
  expect_refused(params, {"model-1.safetensors", "expected tensor \"no.such.tensor\""});
  bad["weight_map"] = {{"x", "../elsewhere.safetensors"}};
  write_index(bad);
  expect_refused(params, {"file beside it", "../elsewhere.safetensors"});
  bad["weight_map"] = {{"x", "gone.safetensors"}};
  write_index(bad);
  expect_refused(params, {"gone.safetensors"});
  write_index(Json::array());
  expect_refused(params, {"model.safetensors.index.json", "expected an object, got a list"});
}

TEST_F(Import, FoldersWithoutWeightsSayWhatWasLookedFor) {
  Params params(*backend, tiny_shape());
  expect_refused(params, {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"});
  write_file(folder / "tf_model.h5", "x");
  expect_refused(params, {"only TensorFlow weights (tf_model.h5)", "save_pretrained"});
  expect_error(ErrorTag::kModel, {"nowhere", "no such folder"}, [&] { import_weights(folder / "nowhere", params); });
  expect_error(ErrorTag::kModel, {"expected a model folder, got a file"}, [&] { import_weights(folder / "tf_model.h5", params); });
}

TEST_F(Import, MissingEncoderTensorsAreListed) {
  auto entries = entries_of(original);
  std::erase_if(entries,
                [](const auto& e) { return e.name.starts_with("encoder.layer.1.attention.self") || e.name.starts_with("pooler"); });
  write(entries);
  Params params(*backend, tiny_shape());
  expect_refused(params, {"6 encoder tensors are missing", "encoder.layer.1.attention.self.query.weight",
                          "encoder.layer.1.attention.self.value.bias"});
  const ImportReport report = plan_import(open_model_weights(folder.path()), tiny_shape());
  EXPECT_EQ(report.missing(Role::kEncoder).size(), 6u);
  EXPECT_EQ(report.missing(Role::kPooler), (std::vector<std::string>{"pooler.dense.weight", "pooler.dense.bias"}));

  write(entries_of(original, [](const std::string& name) { return "roberta." + name; }));
  expect_refused(params, {"encoder tensors are missing", "no tensor has a BERT encoder's name", "roberta."});
}

TEST_F(Import, ForeignFoldersMayLackEncoderTensorsButNotAll) {
  auto entries = entries_of(original);
  std::erase_if(entries,
                [](const auto& e) { return e.name.starts_with("encoder.layer.1.") || e.name.starts_with("embeddings.token_type"); });
  write(entries);
  Params params = tiny_params(*backend, tiny_shape(), 2);
  const auto before = values(params, "encoder.layer.1.output.dense.weight");
  const ImportReport report = import_weights(folder.path(), params, {.wanted = {}, .require_encoder = false});
  EXPECT_EQ(values(params, "encoder.layer.1.output.dense.weight"), before);
  EXPECT_EQ(values(params, "encoder.layer.0.output.dense.weight"), values(original, "encoder.layer.0.output.dense.weight"));
  ASSERT_EQ(report.warnings().size(), 1u);
  for (const char* part : {"17 parameters", "newly initialised", "embeddings.token_type_embeddings.weight"})
    EXPECT_NE(report.warnings()[0].find(part), std::string::npos) << report.warnings()[0];
  write(entries_of(original, [](const std::string& name) { return "roberta." + name; }));
  expect_error(ErrorTag::kModel, {"no tensor has a BERT encoder's name"},
               [&] { import_weights(folder.path(), params, {.wanted = {}, .require_encoder = false}); });
}

TEST_F(Import, WhatIsNotUsedIsNamed) {
  ModelShape shallow = tiny_shape();
  shallow.config.num_hidden_layers = 1;
  shallow.pooler = false;
  auto entries = entries_of(original);
  const std::vector<float> two(2);
  entries.push_back({"classifier.bias", "F32", {2}, std::as_bytes(std::span(two))});
  write(entries);
  Params params(*backend, shallow);
  const ImportReport report = import_weights(folder.path(), params);
  ASSERT_EQ(report.warnings().size(), 1u);
  for (const char* part : {"16 tensors", "not used", "encoder.layer.1.", "and 12 more"})
    EXPECT_NE(report.warnings()[0].find(part), std::string::npos) << report.warnings()[0];
  EXPECT_EQ(report.unused_heads(), "not used: classifier.bias") << "a pooler is no head";
  EXPECT_TRUE(import_weights(folder.path(), original).warnings().empty());
}

TEST_F(Import, PositionsAsFloatsAreDroppedAndWeightsAsIntegersRefused) {
  const std::vector<float> ids(9);
  const std::vector<std::int64_t> bias(6);
  auto entries = entries_of(original);
  entries.push_back({"bert.embeddings.position_ids", "F32", {1, 9}, std::as_bytes(std::span(ids))});
  write(entries);
  Params params(*backend, tiny_shape());
  EXPECT_EQ(import_weights(folder.path(), params).dropped, std::vector<std::string>{"bert.embeddings.position_ids"});
  const auto spoilt = std::ranges::find(entries, "encoder.layer.0.output.dense.bias", &SafetensorsEntry::name);
  ASSERT_EQ(spoilt->shape, std::vector<std::int64_t>{6});
  *spoilt = {spoilt->name, "I64", {6}, std::as_bytes(std::span(bias))};
  write(entries);
  expect_refused(params, {"encoder.layer.0.output.dense.bias: expected floating-point numbers, got I64", "quantised"});
}

TEST_F(Import, AMissingPoolerIsReportedAndLeftAsItIs) {
  auto entries = entries_of(original);
  std::erase_if(entries, [](const auto& e) { return e.name.starts_with("pooler"); });
  write(entries);
  Params params = tiny_params(*backend, tiny_shape(), 2);
  const auto before = values(params, "pooler.dense.weight");
  const ImportReport report = import_weights(folder.path(), params);
  EXPECT_EQ(report.missing(Role::kPooler).size(), 2u);
  EXPECT_EQ(values(params, "pooler.dense.weight"), before);
  EXPECT_EQ(values(params, "embeddings.LayerNorm.bias"), values(original, "embeddings.LayerNorm.bias"));
}

TEST_F(Import, MisshapenTensorsAreRefusedWithBothShapes) {
  write(entries_of(original));
  ModelShape shape = tiny_shape();
  shape.config.vocab_size = 12;
  Params more_words(*backend, shape);
  expect_refused(more_words, {"embeddings.word_embeddings.weight: expected (12, 6), got (11, 6)", "vocab_size = 12", "11 rows"});
  shape = tiny_shape();
  shape.config.intermediate_size = 8;
  Params narrower(*backend, shape);
  expect_refused(narrower, {"encoder.layer.1.intermediate.dense.weight: expected (8, 6), got (10, 6)", "two models"});
}

TEST_F(Import, TwoTensorsForOneParameterMustAgree) {
  auto entries = entries_of(original);
  auto copy = entries[4];
  copy.name = "module." + copy.name;
  entries.push_back(copy);
  write(entries);
  Params params(*backend, tiny_shape());
  EXPECT_EQ(import_weights(folder.path(), params).dropped.size(), 1u);
  const std::vector<float> other(6, 3.0f);
  entries.back().bytes = std::as_bytes(std::span(other));
  ASSERT_EQ(entries.back().shape, std::vector<std::int64_t>{6});
  write(entries);
  expect_refused(params, {"both stand for", copy.name, "different values"});
}

TEST_F(Import, TheTiedMlmHeadIsTransformersOwn) {
  ModelShape shape = tiny_shape();
  shape.mlm = MlmHeadKind::kTied;
  const Params model = tiny_params(*backend, shape);
  auto entries = entries_of(model, [](const std::string& name) { return name.starts_with("cls.") ? name : "bert." + name; });
  auto decoder = entries[0];
  decoder.name = "cls.predictions.decoder.weight";
  auto bias = entries.back();
  ASSERT_EQ(bias.name, "cls.predictions.bias");
  entries.back().name = "cls.predictions.decoder.bias";  // newer checkpoints have this name only
  entries.push_back(decoder);
  write(entries);
  Params params(*backend, shape);
  ImportReport report = import_weights(folder.path(), params);
  expect_equal(params, model);
  EXPECT_EQ(report.dropped, std::vector<std::string>{"cls.predictions.decoder.weight"});

  const std::vector<float> untied(66, 1.0f);
  entries.back().bytes = std::as_bytes(std::span(untied));
  entries.push_back(bias);
  write(entries);
  report = import_weights(folder.path(), params);
  EXPECT_TRUE(contains(report.unused, "cls.predictions.decoder.weight"));
  EXPECT_EQ(report.dropped.size(), 1u);  // one of the two biases

  Params without(*backend, tiny_shape());
  EXPECT_EQ(import_weights(folder.path(), without).unused.size(), 7u);
}

TEST_F(Import, HeadsAreTakenWholeWhereTaskAndShapesMatch) {
  ModelShape saved = tiny_shape();
  saved.heads = {{.task = "sst", .dense = {4}, .outputs = 5},
                 {.task = "para", .features = Features::kPair},
                 {.task = "sts", .features = Features::kCosine}};
  saved.mlm = MlmHeadKind::kLinear;
  const Params run = tiny_params(*backend, saved);
  std::vector<SafetensorsEntry> heads;
  for (const auto& entry : entries_of(run))
    if (entry.name.starts_with("heads.") || entry.name.starts_with("mlm.")) heads.push_back(entry);
  write(entries_of(original));
  write(heads, "heads.safetensors");

  ModelShape wanted = tiny_shape();
  wanted.heads = {{.task = "sst", .dense = {4}, .outputs = 5},
                  {.task = "para", .features = Features::kPair, .outputs = 3},
                  {.task = "new", .outputs = 2},
                  {.task = "cosine", .features = Features::kCosine, .outputs = 0}};
  wanted.mlm = MlmHeadKind::kLinear;
  Params params = tiny_params(*backend, wanted, 2);
  const auto para_before = values(params, "heads.para.out.bias");
  const ImportReport report = import_weights(folder.path(), params);
  EXPECT_EQ(values(params, "heads.sst.dense.0.weight"), values(run, "heads.sst.dense.0.weight"));
  EXPECT_EQ(values(params, "heads.sst.out.bias"), values(run, "heads.sst.out.bias"));
  EXPECT_EQ(values(params, "mlm.weight"), values(run, "mlm.weight"));
  EXPECT_EQ(values(params, "heads.para.out.bias"), para_before);
  ASSERT_EQ(report.heads.size(), 3u);
  EXPECT_TRUE(report.heads[0].loaded);
  EXPECT_FALSE(report.heads[1].loaded);
  EXPECT_EQ(report.heads[1].reason, "heads.para.out.weight: expected (3, 12), got (1, 12)");
  EXPECT_EQ(report.heads[2].reason, "not in the folder");
  EXPECT_EQ(report.missing(Role::kHead),
            (std::vector<std::string>{"heads.para.out.weight", "heads.para.out.bias", "heads.new.out.weight", "heads.new.out.bias"}));
  EXPECT_EQ(report.unused, (std::vector<std::string>{"heads.sts.out.bias", "heads.sts.out.weight"}));
}

TEST_F(Import, OnlyWhatIsWantedIsTouched) {
  write(entries_of(original));
  Params params = tiny_params(*backend, tiny_shape(), 2);
  const auto before = values(params, "pooler.dense.bias");
  ImportOptions options;
  options.wanted = [](const ParamInfo& info) { return info.role == Role::kEncoder; };
  const ImportReport report = import_weights(folder.path(), params, options);
  EXPECT_EQ(values(params, "pooler.dense.bias"), before);
  EXPECT_TRUE(report.missing(Role::kPooler).empty());
}

TEST_F(Import, PreparedWeightsFollow) {
  write(entries_of(original));
  Params params(*backend, tiny_shape());
  const PreparedWeight& weight = params.weight("pooler.dense.weight");
  const std::uint64_t before = weight.version;
  import_weights(folder.path(), params);
  EXPECT_GT(weight.version, before);
}

}  // namespace
}  // namespace minbert
