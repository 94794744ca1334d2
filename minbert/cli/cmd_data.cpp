// data check | stats: checks the data files of a config, or one data file, or counts what they hold.
#include <algorithm>
#include <memory>
#include <optional>

#include "minbert/cli/config_flags.h"
#include "minbert/cli/file_task.h"
#include "minbert/cli/input_flags.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/stats.h"
#include "minbert/pipeline/model_folder.h"
#include "minbert/pipeline/tokens.h"
#include "minbert/train/config.h"

namespace minbert {
namespace {

struct DataFlags {
  ConfigFlags config;
  FileTaskFlags file;
  bool json = false;
};

struct LoadedTask {
  TaskSpec spec;
  TaskRows rows;
  bool tolerant = false;  ///< the config itself says on_bad_row = "skip"
};

/// The tasks of the input, with their rows.
struct DataInput {
  std::vector<LoadedTask> tasks;
  std::optional<ModelSection> model;  ///< if a config names one
};

/// "NAME (TYPE; COLUMNS)".
std::string task_line(const TaskSpec& spec) {
  const DataSpec& data = spec.data;
  std::string columns = "text " + (data.text.empty() ? "line" : data.text);
  if (!data.text_pair.empty()) columns += ", text_pair " + data.text_pair;
  if (!data.label.empty()) columns += ", label " + data.label;
  return fmt::format("{} ({}; {})", spec.name, option_name(spec.type), columns);
}

/// Loads every task of the config files, or of the one data file, and collects bad rows instead of throwing.
DataInput load_input(const DataFlags& flags, Session& session) {
  DataInput input;
  std::vector<TaskSpec> specs;
  SplitDraw draw;
  if (flags.config.files.front().ends_with(".toml")) {
    ConfigTree tree = load_config_tree(flags.config);
    show_notes(tree, session);
    const auto model = tree.node().find("model");
    const bool has_model = model && model->find("init");
    if (!has_model) tree.set("model.init", "scratch", "data");  // data needs no model
    const RunConfig config = load_run_config(tree);
    specs = config.tasks;
    for (const StageSpec& stage : config.stages)
      for_each_text(stage, [&](const PathOption& text) {
        if (!parse_task_split(text.text))
          session.console.info(fmt::format("{}: {} lines of text", text.text, read_table(text.text, {.format = "lines"}).rows()));
      });
    draw = config.data.draw();
    if (has_model) input.model = config.model;
  } else {
    if (flags.config.files.size() > 1)
      throw Error(ErrorTag::kUsage, flags.config.files[1], "expected one data file, or config files (.toml)");
    if (!flags.config.sets.empty())
      throw Error(ErrorTag::kUsage, "--set", "changes keys of a config, got a data file", "--text and --label name its columns");
    FileTask file = infer_task({flags.config.files.front()}, flags.file, true);
    say_inferred(file, session.console);
    file.task.data.hints = file_hints(fmt::format("minbert train --set task.{}.data.on_bad_row=skip leaves such rows out", file.task.name));
    specs.push_back(std::move(file.task));
  }
  for (TaskSpec& spec : specs) {
    const bool tolerant = spec.data.on_bad_row == "skip";
    spec.data.on_bad_row = "skip";
    TaskRows rows = load_task(spec.data, spec.labels, draw);
    spec.labels = rows.labels;
    input.tasks.push_back({std::move(spec), std::move(rows), tolerant});
  }
  return input;
}

std::string counts_text(const std::map<std::string, std::int64_t>& counts) {
  constexpr std::size_t kShown = 12;
  std::vector<std::string> parts;
  for (const auto& [label, count] : counts) {
    if (parts.size() == kShown) {
      parts.push_back(fmt::format("and {} more", counts.size() - kShown));
      break;
    }
    parts.push_back(fmt::format("{}: {}", label, count));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
}

int run_check(const DataFlags& flags, Session& session) {
  constexpr std::size_t kShown = 20;
  const auto tasks = load_input(flags, session).tasks;
  Json json = Json::object();
  TextTable table({"task", "split", "read", "used", "bad", "repaired", "filtered", "over limit", "excluded", "other split"});
  const SkippedRow* first = nullptr;
  std::string hint;
  std::size_t bad = 0;
  for (const LoadedTask& task : tasks) {
    session.console.detail(task_line(task.spec));
    for (const char* split : {"train", "dev", "test"}) {
      const auto found = task.rows.reports.find(split);
      if (found == task.rows.reports.end()) continue;
      const SplitReport& report = found->second;
      json[task.spec.name][split] = report;
      const auto count = [](auto n) { return std::to_string(n); };
      table.add({task.spec.name, split, count(report.read), count(report.used), count(report.skipped.size()), count(report.repaired.size()),
                 count(report.filtered), count(report.over_limit), count(report.removed), count(report.moved_to_dev)});
      for (const SkippedRow& row : report.skipped) {
        if (++bad <= kShown) session.console.info(fmt::format("{}:{}: {}", row.file, row.line, row.reason));
        if (task.tolerant || first != nullptr) continue;
        first = &row;
        hint = task.spec.data.hints.bad_row;
      }
      if (split != std::string_view("train")) continue;  // a dev fraction comes from the same rows
      for (const ExcludeReport& source : report.excluded)
        session.console.info(
            fmt::format("{}: {} rows of train left out, as their texts stand in {}", task.spec.name, source.removed, source.file));
    }
  }
  if (bad > kShown) session.console.info(fmt::format("... and {} more bad rows; --json lists all", bad - kShown));
  if (flags.json)
    print_json(json);
  else
    print_text(table.text());
  if (first != nullptr) throw Error(ErrorTag::kData, fmt::format("{}:{}", first->file, first->line), first->reason, hint);
  return 0;
}

/// Counts the tokens of a split, if the config names a model with a tokenizer.
class TokenCounter {
 public:
  /// Without a tokenizer, says on the console why.
  TokenCounter(const std::optional<ModelSection>& model, Session& session) {
    std::string why_not = "no model is named";
    if (model && model->from_scratch()) {
      why_not = "a model from scratch makes its vocabulary when it trains";
    } else if (model) {
      max_length_ = model->max_length;
      try {
        tokenizer_ = Tokenizer::load(find_model_folder(model->init.text));
      } catch (const Error& error) {
        why_not = error.what();
      }
    }
    if (tokenizer_)
      warn_of_files(session, tokenizer_->warnings());
    else
      session.console.info(fmt::format("note: tokens are not counted: {}", why_not));
  }

  explicit operator bool() const { return tokenizer_.has_value(); }
  std::int64_t max_length() const { return max_length_; }
  /// Lengths of the task's sequences in tokens, and how many rows max_length would cut.
  std::pair<LengthStats, std::int64_t> count(const TaskSpec& spec, const Rows& rows) const {
    const TokenizedRows tokens = tokenize_rows(*tokenizer_, spec, rows.rows, 0);
    std::vector<std::int64_t> lengths;
    std::int64_t over = 0;
    for (std::int64_t s = 0; s < tokens.sequences(); ++s) lengths.push_back(tokens.length(s));
    for (auto row = lengths.begin(); row != lengths.end(); row += tokens.per_row)
      over += *std::max_element(row, row + tokens.per_row) > max_length_;
    return {length_stats(std::move(lengths)), over};
  }

 private:
  std::optional<Tokenizer> tokenizer_;
  std::int64_t max_length_ = 0;
};

/// Adds a row of figures for the texts of a split, and for pairs a second one for the second texts.
void add_stats(TextTable& table, const std::string& name, const std::string& split, const SplitStats& stats,
               const std::vector<std::string>& tokens) {
  const auto add = [&](std::vector<std::string> cells, const LengthStats& length, std::vector<std::string> rest) {
    for (auto& cell :
         {fmt::format("{:.1f}", length.mean), std::to_string(length.median), std::to_string(length.p95), std::to_string(length.longest)})
      cells.push_back(cell);
    std::move(rest.begin(), rest.end(), std::back_inserter(cells));
    table.add(std::move(cells));
  };
  std::vector<std::string> rest = tokens;
  for (auto& cell : {std::to_string(stats.duplicates), stats.majority > 0 ? fmt::format("{:.3f}", stats.majority) : std::string(),
                     counts_text(stats.label_counts)})
    rest.push_back(cell);
  add({name, split, std::to_string(stats.rows)}, stats.length, rest);
  if (stats.length_pair.longest > 0) add({"", "", ""}, stats.length_pair, std::vector<std::string>(rest.size()));
}

/// Adds the texts that tasks share to the notes and, under each task, to `json`.
void add_overlaps(std::span<const LoadedTask> tasks, std::vector<std::string>& notes, Json& json) {
  std::vector<NamedRows> rows;
  for (const LoadedTask& task : tasks) rows.push_back({task.spec.name, &task.rows});
  for (const TaskOverlap& overlap : overlaps_between(rows)) {
    json[overlap.of.substr(0, overlap.of.rfind('.'))]["in_other_tasks"].push_back(
        {{"in", overlap.in}, {"rows", overlap.rows}, {"whole_rows", overlap.whole}});
    if (overlap.rows == 0) continue;
    const std::string whole = overlap.whole == overlap.rows ? "" : fmt::format(" ({} with both their texts)", overlap.whole);
    notes.push_back(fmt::format("{} rows of {} have a text that stands in {}{}", overlap.rows, overlap.of, overlap.in, whole));
  }
}

int run_stats(const DataFlags& flags, Session& session) {
  set_threads(session);
  const DataInput input = load_input(flags, session);
  const TokenCounter counter(input.model, session);
  Json json = Json::object();
  std::vector<std::string> columns = {"task", "split", "rows", "words", "median", "95%", "longest"};
  if (counter) columns.insert(columns.end(), {"tokens", fmt::format("over {}", counter.max_length())});
  columns.insert(columns.end(), {"duplicates", "majority", "labels"});
  TextTable table(columns);
  std::vector<std::string> notes;
  for (const LoadedTask& task : input.tasks) {
    session.console.detail(task_line(task.spec));
    for (const auto& [split, report] : task.rows.reports)
      if (const std::string bad = bad_rows_text(report); !bad.empty())
        session.console.warning(fmt::format("{} {}: {}; minbert data check lists them", task.spec.name, split, bad));
    const DataStats stats = data_stats(task.rows);
    Json& out = json[task.spec.name] = stats;
    for (const auto& [split, rows] : {std::pair("train", &task.rows.train), {"dev", &task.rows.dev}, {"test", &task.rows.test}}) {
      const auto found = stats.splits.find(split);
      if (found == stats.splits.end()) continue;
      std::vector<std::string> tokens;
      if (counter) {
        const auto [length, over] = counter.count(task.spec, *rows);
        Json& counted = out["splits"][split]["tokens"] = length;
        counted.update({{"max_length", counter.max_length()}, {"rows_over_max_length", over}});
        tokens = {fmt::format("{:.1f}", length.mean), std::to_string(over)};
      }
      add_stats(table, task.spec.name, split, found->second, tokens);
      if (found->second.conflicting > 0)
        notes.push_back(fmt::format("{} {}: {} duplicates with another label", task.spec.name, split, found->second.conflicting));
    }
    for (const Overlap& overlap : stats.overlaps)
      if (overlap.rows > 0)
        notes.push_back(fmt::format("{}: {} rows of {} also stand in {}", task.spec.name, overlap.rows, overlap.of, overlap.in));
  }
  add_overlaps(input.tasks, notes, json);
  if (flags.json)
    print_json(json);
  else
    print_text(table.text());
  for (const std::string& note : notes) session.console.info("note: " + note);
  return 0;
}

}  // namespace

Action declare_data(CLI::App& app, Session& session) {
  app.require_subcommand(1);
  auto flags = std::make_shared<DataFlags>();
  CLI::App* check = app.add_subcommand("check", "read every row, list the bad ones with their places, and end with 3 if there are any");
  CLI::App* stats =
      app.add_subcommand("stats", "label balance, lengths, duplicates, texts shared between splits or tasks, texts longer than max_length");
  for (CLI::App* sub : {check, stats}) {
    sub->fallthrough();
    add_config(*sub, flags->config, true);
    sub->get_option("CONFIG")->description("config files (.toml), or one data file");
    add_file_task(*sub, flags->file);
    add_json(*sub, flags->json);
    add_threads(*sub, session);
    add_examples(*sub, "  minbert data check base.toml\n  minbert data stats reviews.csv --text review --label stars");
  }
  add_examples(app, "  minbert data check base.toml\n  minbert data stats reviews.csv --text review --label stars");
  return [flags, check, &session] { return check->parsed() ? run_check(*flags, session) : run_stats(*flags, session); };
}

}  // namespace minbert
