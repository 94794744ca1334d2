// predict: writes labels for new texts or pairs, in input order.
#include <algorithm>
#include <filesystem>
#include <memory>

#include "minbert/base/clock.h"
#include "minbert/cli/input_flags.h"
#include "minbert/cli/output.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"
#include "minbert/pipeline/prediction_format.h"
#include "minbert/pipeline/text_model.h"

namespace minbert {
namespace {

struct PredictFlags {
  std::string model, task, output = "-", format;
  InputFlags input;
  bool probs = true;
};

/// Reads the input; columns are the task's unless flags name others. An id column that only the task names may be missing.
InputRows read_input(const InputFlags& flags, const TaskSpec& task) {
  InputOptions options = input_options(flags, "auto");
  RowColumnNames& columns = options.columns;
  columns.pair = task.is_pair();
  columns.id_may_lack = columns.id.empty();
  for (const auto& [name, fallback] :
       {std::pair(&columns.text, &task.data.text), {&columns.text_pair, &task.data.text_pair}, {&columns.id, &task.data.id}})
    if (name->empty()) *name = *fallback;
  return InputRows(options);
}

std::string format_of(const PredictFlags& flags) {
  if (!flags.format.empty()) return flags.format;
  const std::string extension = std::filesystem::path(flags.output).extension().string();
  return extension == ".tsv" || extension == ".csv" ? extension.substr(1) : "jsonl";
}

std::size_t choose_task(const TextModel& model, const std::string& name) {
  if (!name.empty()) return model.find_task(name);
  if (model.tasks().size() == 1) return 0;
  std::vector<std::string> names;
  for (const TaskSpec& task : model.tasks()) names.push_back(task.name);
  if (names.empty())
    throw Error(ErrorTag::kUsage, model.folder().path.string(), "this model has no task", "train one on it first: minbert train");
  throw Error(ErrorTag::kUsage, "--task", "expected a task", fmt::format("one of {}", fmt::join(names, ", ")));
}

int run_predict(const PredictFlags& flags, Session& session) {
  constexpr std::size_t kChunk = 2048;
  const auto backend = open_backend(session);
  Stopwatch watch;
  TextModel model = open_model(session, *backend, read_model_folder(flags.model));
  session.console.detail(fmt::format("model: {:.2f} s", watch.lap()));
  const std::size_t index = choose_task(model, flags.task);
  const TaskSpec& task = model.tasks()[index];
  const InputRows rows = read_input(flags.input, task);
  if (const std::string guess = rows.guess(); !guess.empty()) session.console.info(guess);
  catch_signals();
  Output out(flags.output);
  const PredictionFormat format(format_of(flags), task, flags.probs);
  out.write(format.header());
  std::vector<InputRow> chunk;
  for (std::size_t begin = 0; begin < rows.size(); begin += kChunk) {
    chunk.clear();
    for (std::size_t i = begin; i < std::min(begin + kChunk, rows.size()); ++i) chunk.push_back(rows[i]);
    const auto predictions = model.predict_texts(index, chunk, [&](std::int64_t done) {
      throw_if_stopped();
      session.console.progress(fmt::format("{} of {} rows", begin + static_cast<std::size_t>(done), rows.size()));
    });
    for (std::size_t i = 0; i < chunk.size(); ++i) out.write(format.line(chunk[i].id, predictions[i]));
  }
  out.commit();
  session.console.clear_progress();
  session.console.detail(fmt::format("{} rows: {:.2f} s", rows.size(), watch.lap()));
  show_profile(session, *backend);
  warn_of_skipped(session, rows);
  return 0;
}

}  // namespace

Action declare_predict(CLI::App& app, Session& session) {
  auto flags = std::make_shared<PredictFlags>();
  add_model(app, flags->model);
  app.add_option("--task", flags->task, "task to predict [the only one]")->type_name("NAME");
  add_input_rows(app, flags->input, true, "auto");
  app.add_option("-o,--output", flags->output, "file that appears when complete; - is standard output")
      ->capture_default_str()
      ->type_name("FILE");
  app.add_option("--format", flags->format, "format of the output: jsonl | tsv | csv | cs224n [by the name of -o, else jsonl]")
      ->check(one_of({"jsonl", "tsv", "csv", "cs224n"}))
      ->type_name("NAME");
  app.add_flag("--probs,!--no-probs", flags->probs, "write the probability of each class, or not [yes]");
  add_compute(app, session, true);
  add_examples(
      app, "  echo 'A fine film.' | minbert predict runs/mine --task sst\n  minbert predict runs/mine --task para -i pairs.csv -o out.tsv");
  return [flags, &session] { return run_predict(*flags, session); };
}

}  // namespace minbert
