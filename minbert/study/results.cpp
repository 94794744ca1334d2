// Tables of a study: computes the figures once and writes them as text, CSV, Markdown, LaTeX and JSON.
#include "minbert/study/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "minbert/base/text_table.h"
#include "minbert/data/fields.h"
#include "minbert/stats/spread.h"
#include "minbert/study/table_format.h"

namespace minbert {
namespace {

constexpr int kResultsFormat = 1;
constexpr int kScoreDecimals = 3;

/// The figures of one line: a score for each task, their mean, seconds, best epoch.
using Line = std::vector<std::optional<double>>;

std::vector<std::string> columns_of(const StudyResults& results) {
  std::vector<std::string> columns;
  for (const StudyTask& task : results.tasks) columns.push_back(task.name);
  for (const char* other : {"mean", "seconds", "best_epoch"}) columns.emplace_back(other);
  return columns;
}

std::optional<double> find(const std::map<std::string, double>& scores, const std::string& key) {
  const auto at = scores.find(key);
  return at == scores.end() ? std::nullopt : std::optional(at->second);
}

Line line_of(const StudyResults& results, const SeedResult& run) {
  Line line;
  for (const StudyTask& task : results.tasks) line.push_back(find(run.scores, task.name));
  line.push_back(run.mean);
  line.push_back(run.done() ? std::optional(run.seconds) : std::nullopt);
  line.push_back(run.best_epoch ? std::optional<double>(*run.best_epoch) : std::nullopt);
  return line;
}

Line published_line(const StudyResults& results, const RowResult& row) {
  Line line;
  for (const StudyTask& task : results.tasks) line.push_back(find(row.published, task.name));
  line.push_back(find(row.published, "mean"));
  line.resize(line.size() + 2);
  return line;
}

/// The figures of a row's runs.
struct RowFigures {
  std::size_t done = 0;    ///< finished runs
  std::vector<Line> runs;  ///< of all runs, in order
  Line mean, deviation;    ///< over the finished runs; one run has no deviation
};

RowFigures figures_of(const StudyResults& results, const RowResult& row) {
  RowFigures figures;
  for (const SeedResult& run : row.seeds) {
    figures.done += run.done() ? 1 : 0;
    figures.runs.push_back(line_of(results, run));
  }
  for (std::size_t column = 0; column < results.tasks.size() + 3; ++column) {
    std::vector<double> values;
    for (const Line& line : figures.runs)
      if (line[column]) values.push_back(*line[column]);
    const Spread summary = spread(values);
    figures.mean.push_back(values.empty() ? std::nullopt : std::optional(summary.mean));
    figures.deviation.push_back(values.size() > 1 ? std::optional(summary.deviation) : std::nullopt);
  }
  return figures;
}

std::string score_cell(const RowFigures& figures, std::size_t column) {
  if (!figures.mean[column]) return "-";
  std::string cell = fmt::format("{:.3f}", *figures.mean[column]);
  if (figures.deviation[column]) cell += fmt::format(" \u00B1 {:.3f}", *figures.deviation[column]);
  return cell;
}

/// "3" when all three runs are done, else "2 of 3"; for a single run that is not done, its state.
std::string runs_cell(const RowResult& row, const RowFigures& figures) {
  if (figures.done == row.seeds.size()) return fmt::format("{}", figures.done);
  return row.seeds.size() == 1 ? row.seeds.front().state : fmt::format("{} of {}", figures.done, row.seeds.size());
}

std::string epochs_cell(const RowResult& row) {
  std::vector<std::string> epochs;
  for (const SeedResult& run : row.seeds)
    if (run.best_epoch) epochs.push_back(std::to_string(*run.best_epoch));
  return epochs.empty() ? "-" : fmt::format("{}", fmt::join(epochs, ", "));
}

/// The table that text, Markdown and LaTeX show.
ResultTable grid_of(const StudyResults& results) {
  const std::size_t scores = results.tasks.size() + 1;
  const bool published = std::ranges::any_of(results.rows, [](const RowResult& row) { return !row.published.empty(); });
  ResultTable grid{.header = {"row"}, .rows = {}, .best = {{}}};
  const std::vector<std::string> columns = columns_of(results);
  for (std::size_t column = 0; column < scores; ++column) {
    grid.header.push_back(columns[column]);
    std::vector<std::optional<double>> means;
    for (const RowResult& row : results.rows) means.push_back(figures_of(results, row).mean[column]);
    grid.best.push_back(best_rows(means, kScoreDecimals));
    if (!published) continue;
    grid.header.emplace_back("published");
    grid.best.emplace_back();
  }
  for (const char* other : {"seconds", "best epoch", "runs"}) grid.header.emplace_back(other);

  for (const RowResult& row : results.rows) {
    const RowFigures figures = figures_of(results, row);
    const Line theirs = published_line(results, row);
    std::vector<std::string> cells = {row.title};
    for (std::size_t column = 0; column < scores; ++column) {
      cells.push_back(score_cell(figures, column));
      if (published) cells.push_back(theirs[column] ? fmt::format("{:.3f}", *theirs[column]) : "-");
    }
    cells.push_back(figures.mean[scores] ? fmt::format("{:.0f}", *figures.mean[scores]) : "-");
    cells.push_back(epochs_cell(row));
    cells.push_back(runs_cell(row, figures));
    grid.rows.push_back(std::move(cells));
  }
  return grid;
}

/// The caption below the table.
std::string note(const StudyResults& results) {
  std::vector<std::string> metrics;
  for (const StudyTask& task : results.tasks) metrics.push_back(fmt::format("{} of {}", task.metric, task.name));
  std::string text = results.caption;
  if (!metrics.empty()) text += fmt::format(" On dev: {}, and their mean.", fmt::join(metrics, ", "));
  const bool several = std::ranges::any_of(results.rows, [&](const RowResult& row) { return figures_of(results, row).done > 1; });
  return several ? text + " Mean \u00B1 standard deviation over seeds." : text;
}

std::string csv_line(const std::string& row, const std::string& seed, const std::string& state, const Line& line) {
  std::string text = fmt::format("{},{},{}", csv_field(row), seed, state);
  for (const auto& value : line) text += value ? fmt::format(",{}", *value) : ",";
  return text + "\n";
}

/// {"scores": {task: value}, "mean", "seconds", "best_epoch"}; unknown figures are null, unknown scores are left out.
Json line_json(const StudyResults& results, const Line& line) {
  const std::vector<std::string> columns = columns_of(results);
  Json json = {{"scores", Json::object()}};
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const Json value = line[i] ? Json(*line[i]) : Json();
    if (i >= results.tasks.size())
      json[columns[i]] = value;
    else if (line[i])
      json["scores"][columns[i]] = value;
  }
  return json;
}

}  // namespace

std::string results_text(const StudyResults& results) {
  const ResultTable grid = grid_of(results);
  TextTable table(grid.header);
  for (const auto& row : grid.rows) table.add(row);
  return fmt::format("{}\n\n{}\n{}\n", results.title, table.text(), note(results));
}

std::string results_markdown(const StudyResults& results) {
  const ResultTable grid = grid_of(results);
  const auto line = [](const std::vector<std::string>& cells) {
    std::string text = "|";
    for (const std::string& cell : cells) text += fmt::format(" {} |", markdown_text(cell));
    return text + "\n";
  };
  std::string text = fmt::format("**{}**\n\n{}|---|", markdown_text(results.title), line(grid.header));
  for (std::size_t i = 1; i < grid.header.size(); ++i) text += "---:|";
  text += "\n";
  for (const auto& row : grid.rows) text += line(row);
  return fmt::format("{}\n{}\n", text, markdown_text(note(results)));
}

std::string results_latex(const StudyResults& results) {
  return fmt::format(
      "% Needs the package booktabs.\n\\begin{{table}}\n  \\centering\n{}  \\caption{{{}. {}}}\n  \\label{{tab:{}}}\n\\end{{table}}\n",
      latex_tabular(grid_of(results), "  "), latex_text(results.title), latex_text(note(results)), results.name);
}

std::string results_csv(const StudyResults& results) {
  std::string text = "row,seed,state";
  for (const std::string& column : columns_of(results)) text += "," + csv_field(column);
  text += "\n";
  for (const RowResult& row : results.rows) {
    const RowFigures figures = figures_of(results, row);
    for (std::size_t i = 0; i < row.seeds.size(); ++i)
      text += csv_line(row.name, std::to_string(row.seeds[i].seed), row.seeds[i].state, figures.runs[i]);
    if (figures.done > 0) text += csv_line(row.name, "mean", "", figures.mean);
    if (figures.done > 1) text += csv_line(row.name, "std", "", figures.deviation);
    if (!row.published.empty()) text += csv_line(row.name, "published", "", published_line(results, row));
  }
  return text;
}

Json results_json(const StudyResults& results) {
  Json json = {{"format", kResultsFormat}, {"name", results.name},   {"title", results.title}, {"caption", note(results)},
               {"state", results.state},   {"tasks", Json::array()}, {"rows", Json::array()}};
  for (const StudyTask& task : results.tasks) json["tasks"].push_back({{"name", task.name}, {"metric", task.metric}});
  for (const RowResult& row : results.rows) {
    const RowFigures figures = figures_of(results, row);
    Json item = {{"name", row.name}, {"title", row.title}, {"runs", Json::array()}};
    for (std::size_t i = 0; i < row.seeds.size(); ++i) {
      Json run = {{"seed", row.seeds[i].seed}, {"state", row.seeds[i].state}};
      run.update(line_json(results, figures.runs[i]));
      item["runs"].push_back(std::move(run));
    }
    if (figures.done > 0) item["mean"] = line_json(results, figures.mean);
    if (figures.done > 1) item["std"] = line_json(results, figures.deviation);
    if (!row.published.empty()) item["published"] = line_json(results, published_line(results, row));
    json["rows"].push_back(std::move(item));
  }
  return json;
}

}  // namespace minbert
