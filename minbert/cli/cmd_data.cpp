// data check | stats: what the files of a config, or one file, hold, before anything trains on them.
#include <memory>

#include "minbert/cli/config_flags.h"
#include "minbert/cli/file_task.h"
#include "minbert/cli/output.h"
#include "minbert/cli/verbs.h"
#include "minbert/data/stats.h"
#include "minbert/train/config.h"

namespace minbert {
namespace {

struct DataFlags {
  ConfigFlags config;
  ColumnFlags columns;
  bool json = false;
};

struct LoadedTask {
  TaskSpec spec;
  TaskRows rows;
  bool tolerant = false;  ///< on_bad_row was "skip" already
};

/// Every task of the config files, or of the one data file, with bad rows collected instead of thrown.
std::vector<LoadedTask> load_tasks(const DataFlags& flags) {
  std::vector<TaskSpec> specs;
  std::uint64_t seed = RunSection{}.seed;
  if (flags.config.files.front().ends_with(".toml")) {
    ConfigTree tree = load_config_tree(flags.config);
    const auto model = tree.node().find("model");
    if (!model || !model->find("init")) tree.set("model.init", "scratch", "data");  // data needs no model
    const RunConfig config = load_run_config(tree);
    specs = config.tasks;
    seed = config.run.seed;
  } else {
    if (flags.config.files.size() > 1)
      throw Error(ErrorTag::kUsage, flags.config.files[1], "expected one data file, or config files (.toml)");
    specs.push_back(infer_task(flags.config.files.front(), flags.columns));
  }
  std::vector<LoadedTask> tasks;
  for (TaskSpec& spec : specs) {
    const bool tolerant = spec.data.on_bad_row == "skip";
    spec.data.on_bad_row = "skip";
    TaskRows rows = load_task(spec.data, spec.labels, seed);
    spec.labels = rows.labels;
    tasks.push_back({std::move(spec), std::move(rows), tolerant});
  }
  return tasks;
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

/// "what this task is", one line.
std::string task_line(const TaskSpec& spec) {
  const DataSpec& data = spec.data;
  std::string columns = "text " + (data.text.empty() ? "line" : data.text);
  if (!data.text_pair.empty()) columns += ", text_pair " + data.text_pair;
  if (!data.label.empty()) columns += ", label " + data.label;
  return fmt::format("{} ({}; {})", spec.name, option_name(spec.type), columns);
}

int run_check(const DataFlags& flags, Session& session) {
  constexpr std::size_t kShown = 20;
  const auto tasks = load_tasks(flags);
  Json json = Json::object();
  TextTable table({"task", "split", "read", "used", "bad", "repaired", "filtered", "over limit", "excluded", "other split"});
  const SkippedRow* first = nullptr;
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
        if (!task.tolerant && first == nullptr) first = &row;
      }
    }
  }
  if (bad > kShown) session.console.info(fmt::format("... and {} more bad rows; --json lists all", bad - kShown));
  if (flags.json)
    print_json(json);
  else
    print(table.text());
  if (first != nullptr)
    throw Error(ErrorTag::kData, fmt::format("{}:{}", first->file, first->line), first->reason,
                "on_bad_row = \"skip\" leaves such rows out");
  return 0;
}

void add_stats(TextTable& table, const std::string& name, const std::string& split, const SplitStats& stats, bool pair) {
  const auto add = [&](const std::string& rows, const LengthStats& length, const std::string& duplicates, const std::string& labels) {
    table.add({rows.empty() ? "" : name, rows.empty() ? "" : split, rows, fmt::format("{:.1f}", length.mean), std::to_string(length.median),
               std::to_string(length.p95), std::to_string(length.longest), duplicates, labels});
  };
  add(std::to_string(stats.rows), stats.length, std::to_string(stats.duplicates), counts_text(stats.label_counts));
  if (pair) add("", stats.length_pair, "", "");
}

int run_stats(const DataFlags& flags, Session& session) {
  const auto tasks = load_tasks(flags);
  Json json = Json::object();
  TextTable table({"task", "split", "rows", "words", "median", "95%", "longest", "duplicates", "labels"});
  std::vector<std::string> notes;
  for (const LoadedTask& task : tasks) {
    session.console.detail(task_line(task.spec));
    const DataStats stats = data_stats(task.rows);
    json[task.spec.name] = stats;
    for (const char* split : {"train", "dev", "test"}) {
      const auto found = stats.splits.find(split);
      if (found != stats.splits.end()) add_stats(table, task.spec.name, split, found->second, !task.spec.data.text_pair.empty());
      if (found != stats.splits.end() && found->second.conflicting > 0)
        notes.push_back(fmt::format("{} {}: {} duplicates with another label", task.spec.name, split, found->second.conflicting));
    }
    for (const Overlap& overlap : stats.overlaps)
      if (overlap.rows > 0)
        notes.push_back(fmt::format("{}: {} rows of {} also stand in {}", task.spec.name, overlap.rows, overlap.of, overlap.in));
  }
  if (flags.json) {
    print_json(json);
    return 0;
  }
  print(table.text());
  for (const std::string& note : notes) session.console.info("note: " + note);
  return 0;
}

}  // namespace

Action declare_data(CLI::App& app, Session& session) {
  app.require_subcommand(1);
  auto flags = std::make_shared<DataFlags>();
  CLI::App* check = app.add_subcommand("check", "read every row; list those that are bad and where, then end with 3");
  CLI::App* stats = app.add_subcommand("stats", "labels, lengths in words, duplicates, overlap between splits");
  for (CLI::App* sub : {check, stats}) {
    sub->fallthrough();
    add_config(*sub, flags->config, true);
    sub->get_option("CONFIG")->description("config files (.toml), or one data file");
    add_columns(*sub, flags->columns, true);
    add_json(*sub, flags->json);
    add_examples(*sub, "  minbert data check base.toml\n  minbert data stats reviews.csv --text review --label stars");
  }
  add_examples(app, "  minbert data check base.toml\n  minbert data stats reviews.csv --text review --label stars");
  return [flags, check, &session] { return check->parsed() ? run_check(*flags, session) : run_stats(*flags, session); };
}

}  // namespace minbert
