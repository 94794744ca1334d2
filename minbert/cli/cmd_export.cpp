// export: writes a model for other programs.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "minbert/base/files.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/model/hf_export.h"
#include "minbert/onnx/onnx_export.h"
#include "minbert/pipeline/sentence_folder.h"
#include "minbert/pipeline/text_model.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kClassifier = "seqcls:";

struct ExportFlags {
  std::string model, output, as;
};

/// Throws Error(kUsage) for what cannot be done, before the model is read: the folder must be new or empty, and a classifier needs a task
/// that reads one sequence into one linear layer.
void check_request(const ExportFlags& flags, const ModelFolder& folder) {
  if (fs::exists(flags.output) && !(fs::is_directory(flags.output) && fs::is_empty(flags.output)))
    throw Error(ErrorTag::kUsage, flags.output, "expected a new or an empty folder");
  if (!flags.as.starts_with(kClassifier)) return;
  const std::string name = flags.as.substr(kClassifier.size());
  const auto task = std::ranges::find(folder.tasks, name, &TaskSpec::name);
  if (task != folder.tasks.end() && task->is_separate())
    throw Error(ErrorTag::kUsage, "--as", fmt::format("seqcls:{}: it reads a pair as one sequence, this task as two", name),
                "train the task with encode = \"joint\"");
  classifier_head(model_shape(folder.config, folder.tasks), name);
  if (task->is_regression() && task->trained_by() == Loss::kBce)
    throw Error(ErrorTag::kUsage, "--as", fmt::format("seqcls:{}: transformers' classifiers have no sigmoid on the range of numbers", name),
                "train the task with loss = \"mse\"");
}

/// Names what a task does that transformers' classifiers do not.
void warn_of_losses(const TaskSpec& task, Console& console) {
  std::vector<std::string> lost;
  if (task.is_multi_label() && !task.thresholds.empty())
    lost.push_back(fmt::format("thresholds {} (there .5)", fmt::join(task.thresholds, ", ")));
  if (task.windows != Windows::kNone) lost.emplace_back("windows of long texts");
  if (task.symmetric) lost.emplace_back("the mean over both orders of a pair");
  if (task.data.preprocess != DataSpec{}.preprocess) lost.push_back(fmt::format("preprocess = \"{}\"", task.data.preprocess));
  if (!lost.empty()) console.warning(fmt::format("minbert answers by what transformers' classifiers lack: {}", fmt::join(lost, ", ")));
}

void export_classifier(const fs::path& to, const TextModel& model, const std::string& name, DType dtype, Console& console) {
  const TaskSpec& task = model.tasks()[model.find_task(name)];
  warn_of_losses(task, console);
  ClassifierExport options{.dtype = dtype, .labels = task.labels.class_names(), .dropout = task.head.dropout};
  options.multi_label = task.is_multi_label();
  options.temperature = task.temperature;
  export_sequence_classification(to, model.params(), name, options);
}

/// The graphs go where sentence-transformers, optimum and transformers.js look for them.
void export_graphs(const fs::path& to, const TextModel& model, const SentenceModules& modules) {
  expect_onnx_can_hold(model.folder(), modules, model.params());
  make_directories(to / "onnx");
  export_onnx(to / "onnx", model, modules);
}

int run_export(const ExportFlags& flags, Session& session) {
  const bool classifier = flags.as.starts_with(kClassifier), onnx = flags.as == "onnx";
  if (!classifier && !onnx && flags.as != "hf" && flags.as != "sentence-transformers")
    throw Error(ErrorTag::kUsage, "--as", fmt::format("expected hf, sentence-transformers, onnx or seqcls:TASK, got \"{}\"", flags.as));
  if (onnx && session.dtype == "bf16") throw Error(ErrorTag::kUsage, "--dtype", "expected f32 with --as onnx, got \"bf16\"");
  const DType dtype = session.dtype == "bf16" ? DType::kBF16 : DType::kF32;
  const auto backend = open_backend(session);
  ModelFolder folder = read_whole_model(flags.model);
  check_request(flags, folder);
  SentenceModules modules;
  if (!classifier) {
    modules = read_sentence_modules(folder, folder.warnings);
    read_prompts(folder);  // a broken file is not copied
  }
  const fs::path path = flags.output;
  AtomicFolder out(path.has_filename() ? path : path.parent_path());
  const TextModel model(*backend, folder, {}, has_pooler(folder));
  warn_of_files(session, folder.warnings);
  warn_of_files(session, model.tokenizer().warnings());
  expect_free_bytes(flags.output, model.params().numel() * (dtype == DType::kBF16 ? 2 : 4), "the weights");
  if (classifier) {
    export_classifier(out.temporary(), model, flags.as.substr(kClassifier.size()), dtype, session.console);
  } else {
    if (onnx) export_graphs(out.temporary(), model, modules);
    export_encoder(out.temporary(), model.params(),
                   {.dtype = dtype, .modules = std::move(modules), .max_length = folder.max_length, .weights = !onnx});
    copy_sentence_config(folder, out.temporary());
  }
  model.tokenizer().save(out.temporary(), classifier ? folder.max_length : 0);  // a classifier has no other file that says it
  out.commit();
  session.console.info(fmt::format("wrote {}", flags.output));
  return 0;
}

}  // namespace

Action declare_export(CLI::App& app, Session& session) {
  auto flags = std::make_shared<ExportFlags>();
  add_model(app, flags->model);
  app.add_option("-o,--output", flags->output, "new folder")->required()->type_name("DIR");
  app.add_option("--as", flags->as,
                 "hf and sentence-transformers: the encoder, in one folder that both open; seqcls:TASK: with a task's head, for "
                 "BertForSequenceClassification; onnx: encoder and all heads as graphs for onnxruntime")
      ->required()
      ->type_name("KIND");
  app.add_option("--dtype", session.dtype, "of the weights: f32 | bf16 [f32]")->check(one_of({"f32", "bf16"}))->type_name("DTYPE");
  add_threads(app, session);
  add_examples(
      app,
      "  minbert export runs/mine -o mine-encoder --as sentence-transformers\n  minbert export runs/mine -o mine-sst --as seqcls:sst\n"
      "  minbert export runs/mine -o mine-onnx --as onnx");
  return [flags, &session] { return run_export(*flags, session); };
}

}  // namespace minbert
