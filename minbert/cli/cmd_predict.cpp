// predict: writes labels for new texts or pairs, in input order.
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>

#include "minbert/base/clock.h"
#include "minbert/cli/input_flags.h"
#include "minbert/cli/output.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/input_stream.h"
#include "minbert/pipeline/ensemble.h"
#include "minbert/pipeline/prediction_format.h"

namespace minbert {
namespace {

struct PredictFlags {
  std::string task, output = "-", format, shard;
  std::vector<std::string> models = {""};  ///< the first one is required
  std::vector<std::string> texts;
  InputFlags input;
  bool probs = true, keep_columns = false, explain = false;
  std::int64_t top_k = 0;
  std::optional<double> min_score;
};

/// The format of the output: --format, else what the ending of -o says.
std::string format_of(const PredictFlags& flags) {
  if (!flags.format.empty()) return flags.format;
  return output_format(flags.output, {"jsonl", "tsv", "csv"}, "--format says what to write whatever the name");
}

std::vector<std::string> task_names(std::span<const TaskSpec> tasks) {
  std::vector<std::string> names;
  for (const TaskSpec& task : tasks) names.push_back(task.name);
  return names;
}

/// Indices of the tasks that --task names: one, several with commas, or all that fit the input: those of pairs where --text-pair is given
/// or no task is of single texts, else those of single texts.
std::vector<std::size_t> choose_tasks(const Ensemble& model, const PredictFlags& flags) {
  const std::vector<TaskSpec>& tasks = model.tasks();
  if (tasks.empty()) throw Error(ErrorTag::kUsage, flags.models.front(), "this model has no task", "train one on it first: minbert train");
  std::vector<std::size_t> chosen;
  if (flags.task == "all") {
    const bool singles = std::any_of(tasks.begin(), tasks.end(), [](const TaskSpec& task) { return !task.is_pair(); });
    const bool pairs = !singles || !flags.input.columns.text_pair.empty();
    for (std::size_t i = 0; i < tasks.size(); ++i)
      if (tasks[i].is_pair() == pairs) chosen.push_back(i);
  } else if (!flags.task.empty()) {
    for (const std::string& name : CLI::detail::split(flags.task, ',')) {
      chosen.push_back(model.find_task(name));
      if (std::ranges::count(chosen, chosen.back()) > 1)
        throw Error(ErrorTag::kUsage, "--task", fmt::format("expected tasks that differ, got \"{}\" twice", name));
    }
  } else if (tasks.size() == 1) {
    chosen.push_back(0);
  } else {
    throw Error(ErrorTag::kUsage, "--task", "expected a task", fmt::format("all, or one of {}", fmt::join(task_names(tasks), ", ")));
  }
  for (const std::size_t i : chosen)
    if (tasks[i].is_pair() != tasks[chosen.front()].is_pair())
      throw Error(ErrorTag::kUsage, "--task",
                  fmt::format("task \"{}\" and task \"{}\" do not both take {}", tasks[chosen.front()].name, tasks[i].name,
                              tasks[i].is_pair() ? "pairs" : "single texts"));
  return chosen;
}

/// How to read the input: columns are the task's unless flags name others. An id column that only the task names may be missing.
InputOptions input_of(const PredictFlags& flags, const TaskSpec& task) {
  InputOptions options = input_options(flags.input, "auto");
  if (flags.task == "all" && !task.is_pair()) options.columns.hint += "; --task with the names of tasks of pairs answers pairs";
  options.keep_columns = flags.keep_columns;
  RowColumnNames& columns = options.columns;
  columns.pair = task.is_pair();
  columns.id_may_lack = columns.id.empty();
  for (const auto& [name, fallback] :
       {std::pair(&columns.text, &task.data.text), {&columns.text_pair, &task.data.text_pair}, {&columns.id, &task.data.id}})
    if (name->empty()) *name = *fallback;
  return options;
}

/// The texts of the command line as rows; of a task of pairs, each two texts are a pair.
std::vector<InputRow> argument_rows(const std::vector<std::string>& texts, const TaskSpec& task) {
  const std::size_t per_row = task.is_pair() ? 2 : 1;
  if (texts.size() % per_row != 0)
    throw Error(ErrorTag::kUsage, "TEXT", fmt::format("task \"{}\" takes two texts at a time, got {}", task.name, texts.size()));
  std::vector<InputRow> rows(texts.size() / per_row);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i].text = texts[i * per_row];
    if (task.is_pair()) rows[i].text_pair = texts[i * per_row + 1];
    rows[i].id = std::to_string(i);
  }
  return rows;
}

/// Answers rows for several tasks and counts the answers that --min-score empties.
class Answerer {
 public:
  Answerer(Ensemble& model, std::vector<std::size_t> tasks, PredictionStyle style, bool explain, Output& out)
      : model_(model), tasks_(std::move(tasks)), style_(std::move(style)), explain_(explain), out_(out) {}

  /// Sets the names of the cells of the rows to come. The first call writes the header.
  void begin(std::vector<std::string> columns) {
    const bool first = !format_;
    style_.columns = std::move(columns);
    std::vector<const TaskSpec*> tasks;
    for (const std::size_t i : tasks_) tasks.push_back(&model_.tasks()[i]);
    format_.emplace(style_, tasks);
    if (first) out_.write_header(format_->header());
  }

  void answer(std::span<const InputRow> rows, const RowProgress& progress) {
    std::vector<std::vector<Prediction>> predictions;
    for (const std::size_t task : tasks_)
      predictions.push_back(model_.predict_texts(task, rows, progress, explain_ ? TextModel::Why::kExplain : TextModel::Why::kNo));
    std::vector<Prediction> of_row(tasks_.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
      for (std::size_t t = 0; t < tasks_.size(); ++t) {
        of_row[t] = std::move(predictions[t][i]);
        if (format_->is_empty(of_row[t])) ++empty_;
      }
      out_.write(format_->line(rows[i], of_row));
    }
    answers_ += rows.size() * tasks_.size();
  }

  /// Says how many answers are empty, if --min-score was given.
  void report(Session& session) const {
    if (style_.min_score)
      session.console.info(fmt::format("{} of {} answers score below {} and are empty", empty_, answers_, *style_.min_score));
  }

 private:
  Ensemble& model_;
  std::vector<std::size_t> tasks_;
  PredictionStyle style_;
  bool explain_;
  std::optional<PredictionFormat> format_;
  Output& out_;
  std::size_t empty_ = 0, answers_ = 0;
};

/// The input's rows. To standard output, lines of a pipe or a terminal are answered as they come. A table's header must be there first, so
/// that own columns of a pipe are kept line by line in JSON lines only.
InputStream open_input(const PredictFlags& flags, const PredictionStyle& style, const TaskSpec& task) {
  return InputStream(input_of(flags, task), flags.output == "-" && (!flags.keep_columns || style.format == "jsonl"));
}

/// Answers all of `input`, of which `rows` are the first.
void answer_input(InputStream& input, std::unique_ptr<InputRows> rows, Answerer& answerer, Output& out, Session& session,
                  ShardFile* shard) {
  for (; rows; rows = input.next()) {
    const std::size_t chunk_rows =
        input.is_live() ? 64 : 2048;  // whoever waits behind a pipe that brings thousands of lines gets some soon
    answerer.begin(rows->columns());
    for_each_chunk(
        session, *rows, chunk_rows,
        [&](std::span<const InputRow> chunk, const RowProgress& progress) {
          answerer.answer(chunk, progress);
          if (input.is_live()) out.flush();
        },
        shard);
  }
  warn_of_bad_rows(session, input.skipped(), input.repaired(), input.records());
}

void answer_rows(const PredictFlags& flags, Session& session, ShardFile* shard) {
  PredictionStyle style{.format = format_of(flags), .probs = flags.probs, .top_k = flags.top_k, .min_score = flags.min_score};
  const auto backend = open_backend(session);
  Stopwatch watch;
  Ensemble model = open_models(session, *backend, flags.models, flags.explain);
  session.console.detail(fmt::format("model: {:.2f} s", watch.lap()));
  const std::vector<std::size_t> chosen = choose_tasks(model, flags);
  for (const std::size_t task : chosen)
    if (flags.explain && model.members(task).size() > 1)
      throw Error(ErrorTag::kUsage, "--explain",
                  fmt::format("expected one model with the task \"{}\", got {}", model.tasks()[task].name, model.members(task).size()));
  const TaskSpec& first = model.tasks()[chosen.front()];
  std::optional<InputStream> input;
  std::unique_ptr<InputRows> rows;
  if (flags.texts.empty()) {
    if (flags.input.path == "-" && ::isatty(STDIN_FILENO) == 1) session.console.info("each line is answered; Ctrl-D ends");
    rows = input.emplace(open_input(flags, style, first)).next();
  }
  if (!input || !input->is_live()) catch_signals();  // a program that waits for a line has nothing to clean up
  Output out = shard != nullptr ? Output(*shard) : Output(flags.output);
  Answerer answerer(model, chosen, std::move(style), flags.explain, out);
  if (input) {
    answer_input(*input, std::move(rows), answerer, out, session, shard);
  } else {
    answerer.begin({});
    answerer.answer(argument_rows(flags.texts, first), {});
  }
  out.commit();
  answerer.report(session);
  warn_of_texts(session, model);
  show_profile(session, *backend);
}

/// Takes the model folders that stand before the texts, which make the model an ensemble, from the texts.
void take_models(PredictFlags& flags) {
  const auto first_text = std::ranges::find_if_not(flags.texts, [](const std::string& text) { return names_model(text); });
  flags.models.insert(flags.models.end(), flags.texts.begin(), first_text);
  flags.texts.erase(flags.texts.begin(), first_text);
}

int run_predict(PredictFlags& flags, const CLI::App& app, Session& session) {
  take_models(flags);
  if (flags.explain && format_of(flags) != "jsonl")
    throw Error(ErrorTag::kUsage, "--explain", fmt::format("expected output in jsonl, got {}", format_of(flags)));
  if (flags.explain && !session.dtype.empty() && session.dtype != "f32")
    throw Error(ErrorTag::kUsage, "--explain", fmt::format("computes in f32, got --dtype {}", session.dtype));
  for (const char* other : {"--input", "--shard", "--text", "--text-pair", "--id", "--in-format", "--header", "--encoding"})
    if (!flags.texts.empty() && app.count(other) > 0)
      throw Error(ErrorTag::kUsage, other, fmt::format("expected it or texts, got both: \"{}\"", flags.texts.front()));
  const std::string format = format_of(flags);  // an ending without a format is refused before a shard begins
  const auto shard = open_shard(app, flags.shard, flags.models, flags.input.path, flags.output, format, session);
  return run_shard(shard.get(), session, [&] { answer_rows(flags, session, shard.get()); });
}

}  // namespace

Action declare_predict(CLI::App& app, Session& session) {
  auto flags = std::make_shared<PredictFlags>();
  add_model(app, flags->models.front());
  app.add_option("TEXT", flags->texts,
                 "texts to answer, instead of -i; for a task of pairs, two by two. Folders of further models before them make an ensemble: "
                 "the mean of the answers of those that have the task")
      ->type_name("");
  app.add_option("--task", flags->task, "task to predict; several as a,b; all: all that the input fits [the only one]")->type_name("NAME");
  add_input_rows(app, flags->input, true, "auto");
  app.add_option("-o,--output", flags->output, "file that appears when complete; - is standard output")
      ->capture_default_str()
      ->type_name("FILE");
  app.add_option("--format", flags->format,
                 "format of the output: jsonl | tsv | csv | cs224n [by the ending of -o; standard output: jsonl]")
      ->check(one_of({"jsonl", "tsv", "csv", "cs224n"}))
      ->type_name("NAME");
  add_shard(app, flags->shard);
  app.add_flag("--probs,!--no-probs", flags->probs, "write the probability of each class, or not [yes]");
  app.add_flag("--keep-columns", flags->keep_columns, "write the input's own columns before the answer, in place of the id");
  app.add_flag(
      "--explain", flags->explain,
      "write what each token adds to the answer: integrated gradients of the log-odds of the class (of multi_label the likeliest), or of "
      "the number (jsonl; computes in f32)");
  app.add_option("--top-k", flags->top_k, "write the K best classes with their scores, in place of all probabilities")
      ->check(whole_number(1, 1'000'000))
      ->type_name("K");
  app.add_option("--min-score", flags->min_score, "leave an answer empty whose score is lower, and count these")
      ->check(number_between(0, 1))
      ->type_name("P");
  add_compute(app, session, true);
  add_examples(app,
               "  minbert predict runs/mine \"A fine film.\" --task sst\n"
               "  minbert predict runs/mine --task para -i pairs.csv -o out.tsv\n"
               "  minbert predict runs/mine -i tickets.csv --text message --keep-columns --min-score 0.6 -o answered.csv\n"
               "  minbert predict runs/seed-1 runs/seed-2 runs/seed-3 --task sst \"A fine film.\"     # an ensemble\n"
               "  tail -f log.txt | minbert predict runs/mine     # answers each line as it comes");
  return [flags, &app, &session] { return run_predict(*flags, app, session); };
}

}  // namespace minbert
