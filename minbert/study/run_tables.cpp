// Tables of runs: reads eval/SPLIT/metrics.json, status.json and config.toml of run folders.
#include "minbert/study/run_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "minbert/base/config_tree.h"
#include "minbert/base/files.h"
#include "minbert/base/json_node.h"
#include "minbert/data/run_status.h"
#include "minbert/stats/spread.h"

namespace minbert {
namespace {

namespace fs = std::filesystem;

/// The runs in the folders seed-N or fold-N that have the file; none for a run itself.
std::vector<fs::path> runs_with(const fs::path& folder, const fs::path& file) {
  std::vector<fs::path> runs = fs::exists(folder / "status.json") ? std::vector<fs::path>() : numbered_runs(folder);
  std::erase_if(runs, [&](const fs::path& run) { return !fs::exists(run / file); });
  return runs;
}

/// The same, or the run itself.
std::vector<fs::path> runs_in(const fs::path& folder, const fs::path& file) {
  std::vector<fs::path> runs = runs_with(folder, file);
  return runs.empty() ? std::vector{folder} : runs;
}

fs::path results_on(const std::string& split) { return fs::path("eval") / split / "metrics.json"; }

/// The figures of a row: column -> its value in each run.
struct RunFigures {
  std::vector<std::string> tasks;
  std::map<std::string, std::vector<double>> values;
  std::size_t runs = 0;
};

void add_run(const fs::path& run, const std::string& split, RunFigures& figures) {
  const JsonNode metrics = JsonNode::read(results_file(run, split), ErrorTag::kData);
  const auto add = [&](const std::string& column, double value) { figures.values[column].push_back(value); };
  for (const auto& [task, score] : metrics.at("scores").as_numbers()) {
    if (std::ranges::find(figures.tasks, task) == figures.tasks.end()) figures.tasks.push_back(task);
    if (std::isfinite(score)) add(task, score);
  }
  if (const auto mean = metrics.find_set("mean")) add("mean", mean->as_number());
  if (const auto status = find_run_status(run / "status.json"); status && status->state == "done") {
    add("seconds", status->seconds);
    if (status->best_epoch) add("epoch", *status->best_epoch);
  }
  ++figures.runs;
}

std::string cell_of(const RunFigures& figures, const std::string& column, int decimals) {
  const auto found = figures.values.find(column);
  if (found == figures.values.end()) return "";
  const Spread summary = spread(found->second);
  const std::string mean = fmt::format("{:.{}f}", summary.mean, decimals);
  return std::isfinite(summary.deviation) ? fmt::format("{} \u00B1 {:.{}f}", mean, summary.deviation, decimals) : mean;
}

std::optional<double> mean_of(const RunFigures& figures, const std::string& column) {
  const auto found = figures.values.find(column);
  return found == figures.values.end() ? std::nullopt : std::optional(spread(found->second).mean);
}

}  // namespace

fs::path results_file(const fs::path& run, const std::string& split) {
  fs::path file = run / results_on(split);
  if (!fs::exists(file))
    throw Error(ErrorTag::kData, file.string(), fmt::format("expected the results of a finished run on {}, got none", split),
                fs::exists(run / "study.json") ? "name the folders of its rows, rows/NAME, or of its runs, rows/NAME/seed-N"
                                               : fmt::format("it has not ended, or its tasks have no {} rows", split));
  return file;
}

std::vector<fs::path> rows_of_studies(std::span<const fs::path> folders, const std::string& split) {
  std::vector<fs::path> runs;
  for (const fs::path& folder : folders) {
    const fs::path file = folder / "study.json";
    if (!fs::exists(file)) {
      runs.push_back(folder);
      continue;
    }
    for (const JsonNode& row : JsonNode::read(file, ErrorTag::kData).at("rows").items())
      if (const fs::path path = folder / "rows" / row.at("name").as_text(); !runs_with(path, results_on(split)).empty())
        runs.push_back(path);
  }
  return runs;
}

ResultTable scores_table(std::span<const fs::path> runs, const std::string& split) {
  constexpr int kDecimals = 3;
  std::vector<RunFigures> rows;
  std::vector<std::string> scores;
  for (const fs::path& folder : runs) {
    RunFigures& figures = rows.emplace_back();
    for (const fs::path& run : runs_in(folder, results_on(split))) add_run(run, split, figures);
    for (const std::string& task : figures.tasks)
      if (std::ranges::find(scores, task) == scores.end()) scores.push_back(task);
  }
  if (scores.size() > 1) scores.emplace_back("mean");
  ResultTable table{.header = {"run"}, .rows = {}, .best = {{}}};
  for (const std::string& column : scores) {
    table.header.push_back(column);
    std::vector<std::optional<double>> means;
    for (const RunFigures& row : rows) means.push_back(mean_of(row, column));
    table.best.push_back(best_rows(means, kDecimals));
  }
  table.header.insert(table.header.end(), {"seconds", "epoch", "seeds"});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto& cells = table.rows.emplace_back(std::vector<std::string>{runs[i].lexically_normal().string()});
    for (const std::string& column : scores) cells.push_back(cell_of(rows[i], column, kDecimals));
    cells.push_back(cell_of(rows[i], "seconds", 1));
    cells.push_back(cell_of(rows[i], "epoch", rows[i].runs > 1 ? 1 : 0));
    cells.push_back(std::to_string(rows[i].runs));
  }
  return table;
}

ResultTable differences_table(std::span<const fs::path> runs) {
  ResultTable table{.header = {"key"}, .rows = {}};
  std::vector<TomlValue> configs;
  bool seeds = false;
  for (const fs::path& folder : runs) {
    const std::vector<fs::path> inside = runs_in(folder, "config.toml");
    seeds |= inside.front() != folder;
    const fs::path file = inside.front() / "config.toml";
    table.header.push_back(folder.lexically_normal().string());
    configs.push_back(fs::exists(file) ? parse_toml(read_file(file), file.string(), {}) : TomlValue(TomlTable()));
  }
  for (const ConfigDifference& difference : config_differences(configs)) {
    if (difference.key == "run.name" || (seeds && difference.key == "run.seed")) continue;
    auto& cells = table.rows.emplace_back(std::vector<std::string>{difference.key});
    cells.insert(cells.end(), difference.values.begin(), difference.values.end());
  }
  return table;
}

ResultTable comparison_table(const Json& comparisons) {
  ResultTable table{.header = {"a", "b", "task", "metric", "rows", "score a", "score b", "b - a", "low", "high", "p", "a alone right",
                               "b alone right", "McNemar p"},
                    .rows = {}};
  const auto score = [](const Json& value) { return value.is_number() ? fmt::format("{:.4f}", value.get<double>()) : std::string(); };
  for (const Json& pair : comparisons.at("comparisons")) {
    for (const Json& task : pair.at("tasks")) {
      const Json mcnemar = task.value("mcnemar", Json::object());
      const auto count = [&](const char* key) { return mcnemar.contains(key) ? dump_json(mcnemar[key]) : std::string(); };
      table.rows.push_back({pair.at("a").get<std::string>(), pair.at("b").get<std::string>(), task.at("task").get<std::string>(),
                            task.at("metric").is_string() ? task["metric"].get<std::string>() : "", dump_json(task.at("rows")),
                            score(task.at("a")), score(task.at("b")), score(task.at("difference")), score(task.at("low")),
                            score(task.at("high")), score(task.at("p_value")), count("only_a"), count("only_b"),
                            score(mcnemar.value("p_value", Json()))});
    }
  }
  return table;
}

}  // namespace minbert
