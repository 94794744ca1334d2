// predict: labels for new texts or pairs, row by row in input order.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>

#include "minbert/base/clock.h"
#include "minbert/cli/file_task.h"
#include "minbert/cli/output.h"
#include "minbert/cli/signals.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/fields.h"
#include "minbert/data/known_columns.h"
#include "minbert/data/table.h"
#include "minbert/pipeline/text_model.h"

namespace minbert {
namespace {

struct PredictFlags {
  std::string model, task, input = "-", output = "-", format, in_format = "auto", on_bad_row = "error";
  ColumnFlags columns;
  bool probs = true;
};

/// Rows of the input table as the task's texts.
class InputRows {
 public:
  InputRows(const PredictFlags& flags, const TaskSpec& task) : skip_(flags.on_bad_row == "skip") {
    const auto wanted = [&](const std::string& flag, const std::string& of_task) { return flag.empty() ? of_task : flag; };
    const std::string text = wanted(flags.columns.text, task.data.text), pair = wanted(flags.columns.text_pair, task.data.text_pair);
    TableOptions options{.format = flags.in_format, .pair_lines = task.is_pair()};
    for (const std::string& name : {text, pair})
      if (is_column_name(name)) options.wanted.push_back(name);
    table_ = read_table(flags.input, options);
    if (table_.dialect().format == TableFormat::kLines) {
      text_ = 0;
      if (task.is_pair()) pair_ = 1;
      return;
    }
    text_ = table_.require_column(text.empty() ? "text" : text, "text");
    if (task.is_pair()) pair_ = table_.require_column(pair.empty() ? "text_pair" : pair, "text_pair");
    if (!flags.columns.id.empty())
      id_ = table_.require_column(flags.columns.id, "id");
    else if (!task.data.id.empty())
      id_ = table_.find_column(task.data.id);
  }

  std::size_t size() const { return table_.rows(); }
  std::size_t skipped() const { return skipped_; }

  /// Appends row i, or counts it as skipped. Throws Error(kData) for a bad one unless they are skipped.
  void append(std::size_t i, std::vector<TextInput>& texts, std::vector<std::string>& ids) {
    std::string reason(table_.problem(i));
    const auto cell = [&](std::size_t column) {
      const std::string_view text = table_.cell(i, column);
      if (text.data() == nullptr && reason.empty())
        reason = fmt::format("column \"{}\": expected a text, got none", table_.columns()[column]);
      return std::string(text);
    };
    TextInput input;
    if (reason.empty()) input.text = cell(text_);
    if (reason.empty() && pair_) input.text_pair = cell(*pair_);
    if (!reason.empty()) {
      if (!skip_)
        throw Error(ErrorTag::kData, fmt::format("{}:{}", table_.name(), table_.line(i)), reason, "--on-bad-row skip leaves such rows out");
      ++skipped_;
      return;
    }
    texts.push_back(std::move(input));
    ids.push_back(id_ && table_.cell(i, *id_).data() != nullptr ? std::string(table_.cell(i, *id_)) : std::to_string(i));
  }

 private:
  Table table_;
  bool skip_;
  std::size_t text_ = 0;
  std::optional<std::size_t> pair_, id_;
  std::size_t skipped_ = 0;
};

/// Shortest text that reads back as the same float; "null" for none.
std::string number(double value) { return std::isfinite(value) ? fmt::format("{}", static_cast<float>(value)) : "null"; }

/// Predictions as text of one format.
class PredictionFormat {
 public:
  PredictionFormat(std::string format, const TaskSpec& task, bool probs) : format_(std::move(format)), task_(task), probs_(probs) {}

  std::string header() const {
    if (format_ == "jsonl") return {};
    if (format_ == "cs224n") return fmt::format("id \t {} \n", course_title());
    std::vector<std::string> cells = {"id", "pred", "score"};
    if (probs_ && !task_.is_regression())
      for (int k = 0; k < task_.labels.count; ++k) cells.push_back(fmt::format("p_{}", k));
    return line(cells);
  }

  std::string row(const std::string& id, const Prediction& prediction) const {
    const bool named = task_.labels.kind == TaskLabels::Kind::kNames;
    const std::string value = task_.is_regression() ? number(prediction.value) : std::to_string(static_cast<int>(prediction.value));
    if (format_ == "cs224n") return fmt::format("{} , {} \n", id, value);
    const std::string label = named ? task_.labels.class_name(static_cast<int>(prediction.value)) : value;
    std::vector<std::string> probs;
    if (probs_)
      for (const double p : prediction.probs) probs.push_back(number(p));
    if (format_ == "jsonl") {
      std::string text =
          fmt::format("{{\"id\":{},\"pred\":{},\"score\":{}", dump_json(id), named ? dump_json(label) : label, number(prediction.score()));
      return text + (probs_ ? fmt::format(",\"probs\":[{}]}}\n", fmt::join(probs, ",")) : "}\n");
    }
    std::vector<std::string> cells = {id, label, task_.is_regression() ? "" : number(prediction.score())};
    cells.insert(cells.end(), probs.begin(), probs.end());
    return line(cells);
  }

 private:
  std::string line(std::vector<std::string> cells) const {
    for (std::string& cell : cells) cell = format_ == "csv" ? csv_field(cell) : tsv_field(cell);
    return fmt::format("{}\n", fmt::join(cells, format_ == "csv" ? "," : "\t"));
  }
  /// The course's own headers, spelt as there.
  std::string_view course_title() const {
    if (task_.is_regression()) return "Predicted_Similiary";
    return task_.is_pair() ? "Predicted_Is_Paraphrase" : "Predicted_Sentiment";
  }

  std::string format_;
  const TaskSpec& task_;
  bool probs_;
};

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
  InputRows rows(flags, task);
  catch_signals();
  Output out(flags.output);
  const PredictionFormat format(format_of(flags), task, flags.probs);
  out.write(format.header());
  std::vector<TextInput> texts;
  std::vector<std::string> ids;
  for (std::size_t begin = 0; begin < rows.size(); begin += kChunk) {
    const std::size_t end = std::min(begin + kChunk, rows.size());
    texts.clear();
    ids.clear();
    for (std::size_t i = begin; i < end; ++i) rows.append(i, texts, ids);
    const auto predictions = model.predict_texts(index, texts, [&](std::int64_t done) {
      throw_if_stopped();
      session.console.progress(fmt::format("{} of {} rows", begin + static_cast<std::size_t>(done), rows.size()));
    });
    for (std::size_t i = 0; i < ids.size(); ++i) out.write(format.row(ids[i], predictions[i]));
  }
  out.commit();
  session.console.clear_progress();
  session.console.detail(fmt::format("{} rows: {:.2f} s", rows.size(), watch.lap()));
  show_profile(session, *backend);
  if (rows.skipped() > 0) session.console.warning(fmt::format("{} of {} rows were bad and left out", rows.skipped(), rows.size()));
  return 0;
}

}  // namespace

Action declare_predict(CLI::App& app, Session& session) {
  auto flags = std::make_shared<PredictFlags>();
  const auto choice = [&](const char* name, std::string& value, const char* help, std::vector<std::string> values) {
    app.add_option(name, value, help)->check(one_of(std::move(values)))->type_name("NAME");
  };
  add_model(app, flags->model);
  app.add_option("--task", flags->task, "task to predict [the only one]")->type_name("NAME");
  add_input(app, flags->input);
  app.add_option("-o,--output", flags->output, "file that appears when complete; - is standard output")
      ->capture_default_str()
      ->type_name("FILE");
  choice("--format", flags->format, "of the output: jsonl | tsv | csv | cs224n [by the name of -o, else jsonl]",
         {"jsonl", "tsv", "csv", "cs224n"});
  choice("--in-format", flags->in_format, "of the input: csv | tsv | jsonl | lines (a tab splits a pair) [as it looks]",
         {"auto", "csv", "tsv", "jsonl", "lines"});
  add_columns(app, flags->columns, false);
  app.add_flag("--probs,!--no-probs", flags->probs, "the probability of each class, or not [yes]");
  choice("--on-bad-row", flags->on_bad_row, "error | skip (counted, left out) [error]", {"error", "skip"});
  add_compute(app, session, true);
  add_examples(
      app, "  echo 'A fine film.' | minbert predict runs/mine --task sst\n  minbert predict runs/mine --task para -i pairs.csv -o out.tsv");
  return [flags, &session] { return run_predict(*flags, session); };
}

}  // namespace minbert
