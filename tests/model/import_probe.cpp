// import_probe FOLDER [mlm] [backbone|seqcls OUT f32|bf16]: imports a model folder, prints what came from where as JSON lines, and
// exports it again. transformers_test.py runs it on folders that transformers wrote.
#include <fmt/format.h>

#include <cstdio>
#include <string>
#include <vector>

#include "minbert/base/clock.h"
#include "minbert/base/hash.h"
#include "minbert/base/json.h"
#include "minbert/model/hf_export.h"
#include "minbert/model/hf_import.h"

namespace minbert {
namespace {

void print(const Json& json) { fmt::print("{}\n", dump_json(json)); }

void print_parameters(const Params& params, const ImportReport& report) {
  for (const auto& parameter : report.parameters) {
    const auto values = params.value(parameter.name).span<const float>();
    Sha256 hash;
    hash.update(std::as_bytes(values));
    print({{"name", parameter.name}, {"tensor", parameter.tensor}, {"file", parameter.file}, {"dtype", parameter.dtype}, {"sha256", hash.hex()}});
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
  print_parameters(params, report);
  print({{"import_ms", import_ms}});

  if (word.empty()) return 0;
  const std::filesystem::path out = take("");
  const DType dtype = take("f32") == "bf16" ? DType::kBF16 : DType::kF32;
  if (word == "seqcls") {
    export_classifier(params, out, dtype);
  } else {
    EncoderExport options{dtype, SentencePooling::kMean, true, 16};
    export_encoder(out / "mean", params, options);
    options = {dtype, SentencePooling::kCls, false, 16};
    export_encoder(out / "cls", params, options);
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
