// Reading a run folder: each file on its own, with errors that name it.
#include "minbert/report/run_data.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "minbert/base/files.h"
#include "minbert/data/dataset.h"
#include "minbert/data/fields.h"
#include "minbert/data/table.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

constexpr int kFormat = 1;

/// read(), where a key that is missing or of another kind is an Error(kData) at `place`.
template <class Read>
auto checked(const std::string& place, Read&& read) {
  try {
    return read();
  } catch (const Json::exception& error) {
    throw Error(ErrorTag::kData, place, fmt::format("not as docs/run_folder.md describes it: {}", error.what()));
  }
}

/// An empty object when there is no such file.
Json read_optional(const fs::path& path) {
  if (!fs::exists(path)) return Json::object();
  Json json = read_json(path, ErrorTag::kData);
  if (!json.is_object()) throw Error(ErrorTag::kData, path.string(), "expected a JSON object");
  if (const auto format = json.find("format"); format != json.end() && *format != kFormat)
    throw Error(ErrorTag::kData, path.string(), fmt::format("expected format {}, got {}", kFormat, dump_json(*format)),
                "a newer minbert wrote it");
  return json;
}

double number_or_nan(const Json& json) { return json.is_null() ? std::numeric_limits<double>::quiet_NaN() : json.get<double>(); }

void read_event(const Json& event, RunData& run) {
  const auto kind = event.at("event").get<std::string>();
  if (kind == "step") {
    run.steps.push_back({.stage = event.at("stage").get<std::string>(),
                         .task = event.at("task").get<std::string>(),
                         .step = event.at("step").get<std::int64_t>(),
                         .tokens = event.at("tokens").get<std::int64_t>(),
                         .loss = number_or_nan(event.at("loss")),
                         .wall_s = event.at("wall_s").get<double>()});
  } else if (kind == "eval") {
    run.evals.push_back({.stage = event.at("stage").get<std::string>(),
                         .split = event.at("split").get<std::string>(),
                         .epoch = event.at("epoch").get<int>(),
                         .scores = {}});
    for (const auto& [task, score] : event.at("scores").items()) run.evals.back().scores[task] = number_or_nan(score);
  }
}

void read_metrics(const fs::path& path, RunData& run) {
  if (!fs::exists(path)) return;
  const MappedFile file(path);
  const std::string_view text = file.text();
  std::int64_t line = 1;
  std::size_t begin = 0;
  for (std::size_t end; (end = text.find('\n', begin)) != std::string_view::npos; begin = end + 1, ++line) {
    const std::string place = fmt::format("{}:{}", path.string(), line);
    const Json event = parse_json(text.substr(begin, end - begin), place, ErrorTag::kData);
    checked(place, [&] { read_event(event, run); });
  }  // what follows the last \n is being written, or was when its writer died
}

void read_rows(const fs::path& path, RunData& run) {
  const Json json = read_optional(path);
  checked(path.string(), [&] {
    for (const auto& [task, splits] : json.items()) {
      if (task == "format") continue;
      run.tasks.push_back(task);
      for (const char* split : {"train", "dev", "test"}) {
        if (!splits.contains(split)) continue;
        const Json& report = splits[split];
        SplitRows& rows = run.rows.emplace_back(SplitRows{.task = task, .split = split, .label_counts = {}});
        for (const auto& [key, value] : {std::pair("read", &SplitRows::read),
                                         {"used", &SplitRows::used},
                                         {"skipped", &SplitRows::skipped},
                                         {"removed", &SplitRows::removed},
                                         {"truncated", &SplitRows::truncated}})
          rows.*value = report.value(key, std::int64_t{0});
        if (!report.contains("label_counts")) continue;
        for (const auto& [label, count] : report["label_counts"].items())
          if (label != kNoLabelName) rows.label_counts.emplace_back(label, count.get<std::int64_t>());
      }
    }
  });
}

std::int64_t parse_count(std::string_view text, const std::string& place) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw Error(ErrorTag::kData, place, fmt::format("expected a whole number, got \"{}\"", text));
  return value;
}

/// The place of a table's row; throws when the row cannot be used.
std::string checked_place(const Table& table, std::size_t row) {
  std::string place = fmt::format("{}:{}", table.name(), table.line(row));
  if (!table.problem(row).empty()) throw Error(ErrorTag::kData, place, table.problem(row));
  return place;
}

void read_confusion(const fs::path& path, TaskResult& result) {
  if (!fs::exists(path)) return;
  const Table table = read_table(path, {.format = "csv", .delimiter = ",", .quote = "\"", .header = "yes"});
  result.classes.assign(table.columns().begin() + 1, table.columns().end());
  if (table.rows() != result.classes.size())
    throw Error(ErrorTag::kData, path.string(),
                fmt::format("expected as many rows as classes ({}), got {}", result.classes.size(), table.rows()));
  result.confusion.classes = static_cast<int>(table.rows());
  for (std::size_t row = 0; row < table.rows(); ++row) {
    const std::string place = checked_place(table, row);
    for (const std::string_view cell : table.row(row).subspan(1)) result.confusion.counts.push_back(parse_count(cell, place));
  }
}

void read_errors(const fs::path& path, TaskResult& result) {
  if (!fs::exists(path)) return;
  const Table table = read_table(path, {.format = "tsv", .quote = "none", .header = "yes"});
  const auto column = [&](std::string_view name) { return table.require_column(name, name); };
  const std::size_t id = column("id"), text = column("text"), gold = column("gold"), predicted = column("pred"), score = column("score");
  const std::optional<std::size_t> pair = table.find_column("text_pair");
  result.error_count = table.rows();
  for (std::size_t row = 0; row < std::min(table.rows(), kWorstErrors); ++row) {
    const std::string place = checked_place(table, row);
    const auto field = [&](std::size_t i) { return parse_tsv_field(table.cell(row, i)); };
    ErrorRow& error =
        result.errors.emplace_back(ErrorRow{field(id), field(text), pair ? field(*pair) : "", field(gold), field(predicted), {}});
    const std::string confidence = field(score);
    if (!confidence.empty())
      error.confidence = checked(place, [&] { return parse_json(confidence, place, ErrorTag::kData).get<double>(); });
  }
}

TaskResult read_result(const std::string& task, const Json& metrics, const Json& json, SplitResult& split) {
  TaskResult result;
  result.task = task;
  result.score = metrics.at("scores").at(task).get<double>();
  result.metric = json.at("metric").get<std::string>();
  result.rows = json.at("rows").get<std::int64_t>();
  for (const auto& [metric, name] : option_names(Metric{}))
    if (const auto value = json.find(name); value != json.end()) result.figures.emplace_back(name, number_or_nan(*value));
  if (const auto calibration = json.find("calibration"); calibration != json.end())
    for (const char* key : {"expected_calibration_error", "brier_score"})
      result.figures.emplace_back(key, number_or_nan(calibration->at(key)));
  if (const auto interval = json.find("interval"); interval != json.end()) {
    result.interval = {result.score, number_or_nan(interval->at("low")), number_or_nan(interval->at("high"))};
    split.confidence = interval->at("confidence").get<double>();
    split.resamples = interval->at("resamples").get<int>();
  }
  return result;
}

void read_split(const fs::path& folder, const std::string& name, RunData& run) {
  const fs::path path = folder / "metrics.json";
  if (!fs::exists(path)) return;
  const Json metrics = read_optional(path);
  SplitResult split{.split = name, .tasks = {}};
  checked(path.string(), [&] {
    for (const auto& [task, json] : metrics.at("tasks").items()) split.tasks.push_back(read_result(task, metrics, json, split));
    split.mean = number_or_nan(metrics.at("mean"));
  });
  for (TaskResult& result : split.tasks) {
    read_confusion(folder / (result.task + ".confusion.csv"), result);
    read_errors(folder / (result.task + ".errors.tsv"), result);
  }
  if (!split.tasks.empty()) run.results.push_back(std::move(split));
}

/// Tasks of a run whose data.json is not there.
void add_unlisted_tasks(RunData& run) {
  const auto add = [&](const std::string& task) {
    if (std::ranges::find(run.tasks, task) == run.tasks.end()) run.tasks.push_back(task);
  };
  for (const SplitResult& split : run.results)
    for (const TaskResult& result : split.tasks) add(result.task);
  for (const StepRecord& step : run.steps) add(step.task);
  for (const EvalRecord& eval : run.evals)
    for (const auto& [task, score] : eval.scores) add(task);
}

const SplitRows* find_rows(const RunData& run, std::string_view task, std::string_view split) {
  const auto found = std::ranges::find_if(run.rows, [&](const SplitRows& rows) { return rows.task == task && rows.split == split; });
  return found == run.rows.end() || found->label_counts.empty() ? nullptr : &*found;
}

}  // namespace

RunData read_run(const fs::path& folder) {
  if (!fs::exists(folder / "status.json") && !fs::exists(folder / "config.toml"))
    throw Error(ErrorTag::kData, folder.string(), "is no run folder: it has neither status.json nor config.toml",
                fs::exists(folder / "summary.json") ? "it holds several runs: name one of them, such as seed-1" : "");
  RunData run;
  run.name = fs::canonical(folder).filename().string();
  run.status = read_optional(folder / "status.json");
  run.environment = read_optional(folder / "env.json");
  if (fs::exists(folder / "config.toml")) run.config = read_file(folder / "config.toml");
  read_rows(folder / "data.json", run);
  read_metrics(folder / "metrics.jsonl", run);
  for (const char* split : {"dev", "test"}) read_split(folder / "eval" / split, split, run);
  add_unlisted_tasks(run);
  return run;
}

std::optional<double> majority_share(const RunData& run, std::string_view task, std::string_view split) {
  const SplitRows* rows = find_rows(run, task, split);
  const SplitRows* train = find_rows(run, task, "train");
  if (rows == nullptr) return std::nullopt;
  const std::string label =
      std::ranges::max_element((train != nullptr ? train : rows)->label_counts, {}, &std::pair<std::string, std::int64_t>::second)->first;
  std::int64_t all = 0, same = 0;
  for (const auto& [other, count] : rows->label_counts) {
    all += count;
    same += other == label ? count : 0;
  }
  if (all == 0) return std::nullopt;
  return static_cast<double>(same) / static_cast<double>(all);
}

}  // namespace minbert
