// import_probe FOLDER [mlm] [backbone|seqcls OUT f32|bf16]: imports a model folder, prints what came from where as JSON lines, and
// exports it again. import_probe FOLDER vectors cls|pooler|mean: instead prints the vectors of sentences, which it reads as lines of token
// ids from standard input. transformers_test.py runs it on folders that transformers wrote.
#include <fmt/format.h>

#include <cstdio>
#include <iostream>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "minbert/base/clock.h"
#include "minbert/base/hash.h"
#include "minbert/base/json.h"
#include "minbert/model/hf_export.h"
#include "minbert/model/hf_import.h"
#include "minbert/model/multitask.h"

namespace minbert {
namespace {

void print(const Json& json) { fmt::print("{}\n", dump_json(json)); }

void print_parameters(const Params& params, const ImportReport& report) {
  for (const auto& parameter : report.parameters) {
    const auto values = params.value(parameter.name).span<const float>();
    Sha256 hash;
    hash.update(std::as_bytes(values));
    print({{"name", parameter.name},
           {"tensor", parameter.tensor},
           {"file", parameter.file},
           {"dtype", parameter.dtype},
           {"sha256", hash.hex()}});
  }
  print({{"unexpected", report.unexpected}, {"unused", report.unused}, {"dropped", report.dropped}});
}

/// The imported model with a random head of K logits, or one, on the pooler.
void export_classifier(Params& params, const std::filesystem::path& out, DType dtype) {
  params.init(7, [](const ParamInfo& info) { return info.role == Role::kHead; });
  ClassifierExport three{dtype, {"low", "middle", "high"}, 0.1f}, two{dtype, {"no", "yes"}, 0.1f}, score{dtype, {}, 0.1f};
  export_sequence_classification(out / "three", params, "three", three);
  export_sequence_classification(out / "two", params, "one", two);
  export_sequence_classification(out / "score", params, "one", score);
}

/// Prints one line for each sentence; all are of segment 0 and in one batch.
void print_vectors(Params& params, const std::string& pool_name) {
  std::vector<std::int32_t> ids, positions, offsets = {0};
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream words(line);
    for (std::int32_t id = 0; words >> id;) ids.push_back(id);
    const auto length = static_cast<std::int32_t>(ids.size()) - offsets.back();
    positions.resize(ids.size());
    std::iota(positions.end() - length, positions.end(), 0);
    offsets.push_back(offsets.back() + length);
  }
  const std::vector<std::int32_t> type_ids(ids.size());

  Pool pool = Pool::kCls;
  for (const auto& row : option_names(pool))
    if (row.name == pool_name) pool = row.value;
  Arena arena(params.backend());
  MultitaskModel model(params.backend(), params);
  const Tensor vectors = model.sentence_vectors(arena, nullptr, {ids, type_ids, positions, offsets, {}}, pool, {});
  for (std::int64_t b = 0; b < vectors.rows(); ++b) {
    const auto row = vectors.slice_rows(b, b + 1).span<const float>();
    print(std::vector<float>(row.begin(), row.end()));
  }
}

int run(std::vector<std::string> arguments) {
  const auto take = [&](std::string_view otherwise) {
    if (arguments.empty()) return std::string(otherwise);
    const std::string first = arguments.front();
    arguments.erase(arguments.begin());
    return first;
  };
  const std::filesystem::path folder = take(".");
  std::string word = take("");
  ModelShape shape;
  shape.config = parse_model_config(read_json(folder / "config.json", ErrorTag::kModel), "config.json");
  shape.pooler = true;
  if (word == "mlm") {
    shape.mlm = MlmHeadKind::kTied;
    word = take("");
  }
  if (word == "seqcls") shape.heads = {{.task = "three", .pool = Pool::kPooler, .outputs = 3}, {.task = "one", .pool = Pool::kPooler}};

  const auto backend = make_backend("cpu");
  Params params(*backend, shape);
  const Stopwatch watch;
  const ImportReport report = import_weights(folder, params);
  const double import_ms = watch.seconds() * 1e3;
  if (word == "vectors") {
    print_vectors(params, take("cls"));
    return 0;
  }
  print_parameters(params, report);
  print({{"import_ms", import_ms}});

  if (word.empty()) return 0;
  const std::filesystem::path out = take("");
  const DType dtype = take("f32") == "bf16" ? DType::kBF16 : DType::kF32;
  if (word == "seqcls") {
    export_classifier(params, out, dtype);
  } else {
    export_encoder(out / "mean", params, {.dtype = dtype, .modules = {.after = {NormalizeModule{}}}, .max_length = 16});
    export_encoder(out / "cls", params, {.dtype = dtype, .modules = {.pooling = {.modes = {TokenPool::kCls}}}, .max_length = 16});
  }
  return 0;
}

}  // namespace
}  // namespace minbert

int main(int argc, char** argv) {
  try {
    return minbert::run({argv + 1, argv + argc});
  } catch (const minbert::Error& error) {
    fmt::print(stderr, "{}\n", error.what());
    return error.exit_code();
  }
}
