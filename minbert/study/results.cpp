// Tables of a study: computes the figures once and writes them as text, CSV, Markdown, LaTeX and JSON.
#include "minbert/study/results.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <vector>

#include "minbert/data/fields.h"
#include "minbert/stats/spread.h"
#include "minbert/study/table_format.h"

namespace minbert {
namespace {

constexpr int kResultsFormat = 1;
constexpr int kScoreDecimals = 3;

/// The figures of one line: a score for each task, their mean, seconds, best epoch, wall-clock seconds.
using Line = std::vector<std::optional<double>>;

std::vector<std::string> columns_of(const StudyResults& results) {
  std::vector<std::string> columns;
  for (const StudyTask& task : results.tasks) columns.push_back(task.name);
  for (const char* other : {"mean", "seconds", "best_epoch"}) columns.emplace_back(other);
  for (std::string& column : wall_columns()) columns.push_back(std::move(column));
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
  for (const auto& seconds : wall_cells(run.phases)) line.push_back(seconds);
  return line;
}

Line published_line(const StudyResults& results, const RowResult& row) {
  Line line;
  for (const StudyTask& task : results.tasks) line.push_back(find(row.published, task.name));
  line.push_back(find(row.published, "mean"));
  line.resize(columns_of(results).size());
  return line;
}

/// The values of a column that are known.
std::vector<double> values_of(const std::vector<Line>& lines, std::size_t column) {
  std::vector<double> values;
  for (const Line& line : lines)
    if (line[column]) values.push_back(*line[column]);
  return values;
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
  for (std::size_t column = 0; column < columns_of(results).size(); ++column) {
    const std::vector<double> values = values_of(figures.runs, column);
    const Spread summary = spread(values);
    figures.mean.push_back(values.empty() ? std::nullopt : std::optional(summary.mean));
    figures.deviation.push_back(values.size() > 1 ? std::optional(summary.deviation) : std::nullopt);
  }
  return figures;
}

RowDifference difference_of(const StudyResults& results, const RowResult& a, const RowResult& b) {
  RowDifference difference{.a = a.name, .b = b.name, .seeds = {}, .tasks = {}};
  std::vector<Line> lines_a, lines_b;
  std::set<std::string> others;  // tasks that the two rows score on other dev rows
  for (const SeedResult& run : a.seeds) {
    const auto twin = std::ranges::find(b.seeds, run.seed, &SeedResult::seed);
    if (!run.done() || twin == b.seeds.end() || !twin->done()) continue;
    difference.seeds.push_back(run.seed);
    lines_a.push_back(line_of(results, run));
    lines_b.push_back(line_of(results, *twin));
    for (const auto& [task, rows] : run.dev_rows)
      if (const auto theirs = twin->dev_rows.find(task); theirs != twin->dev_rows.end() && theirs->second != rows) others.insert(task);
  }
  if (difference.seeds.size() < 2) return difference;
  const std::vector<std::string> columns = columns_of(results);
  const std::size_t mean = results.tasks.size();  // the column after the tasks'
  bool same_tasks = true;                         // else their means are of different things
  for (std::size_t column = 0; column <= mean; ++column) {
    const std::vector<double> scores_a = values_of(lines_a, column), scores_b = values_of(lines_b, column);
    const bool same_rows = !others.contains(columns[column]);
    same_tasks = same_tasks && same_rows && scores_a.size() == scores_b.size();
    if (column == mean && !same_tasks) break;
    if (same_rows && scores_a.size() == lines_a.size() && scores_b.size() == lines_b.size())
      difference.tasks.emplace_back(columns[column], compare_seeds(scores_a, scores_b));
  }
  return difference;
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

/// The wall-clock seconds of rows by phase, means over the finished runs. Rows without such a run are left out.
ResultTable wall_grid_of(const StudyResults& results) {
  ResultTable grid{.header = {"wall-clock seconds"}, .rows = {}};
  for (const std::string_view phase : kPhaseNames) grid.header.emplace_back(phase);
  grid.header.emplace_back("all");
  for (const RowResult& row : results.rows) {
    const Line mean = figures_of(results, row).mean;
    if (!mean.back()) continue;
    std::vector<std::string> cells = {row.title};
    for (std::size_t column = mean.size() - (kPhaseNames.size() + 1); column < mean.size(); ++column)
      cells.push_back(fmt::format("{:.1f}", *mean[column]));
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

/// {"scores": {task: value}, "mean", "seconds", "best_epoch", "read_seconds" ... "wall_seconds"}; unknown figures are null, unknown scores
/// are left out.
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

std::vector<RowDifference> row_differences(const StudyResults& results) {
  std::vector<RowDifference> differences;
  for (auto a = results.rows.begin(); a != results.rows.end(); ++a)
    for (auto b = a + 1; b != results.rows.end(); ++b)
      if (RowDifference difference = difference_of(results, *a, *b); difference.seeds.size() > 1)
        differences.push_back(std::move(difference));
  return differences;
}

std::string results_text(const StudyResults& results) {
  const ResultTable wall = wall_grid_of(results);
  return fmt::format("{}\n\n{}\n{}\n{}", results.title, format_table(grid_of(results), "text"), note(results),
                     wall.rows.empty() ? "" : "\n" + format_table(wall, "text"));
}

std::string results_markdown(const StudyResults& results) {
  ResultTable grid = grid_of(results);
  grid.best.clear();
  const ResultTable wall = wall_grid_of(results);
  return fmt::format("**{}**\n\n{}\n{}\n{}", markdown_text(results.title), format_table(grid, "markdown"), markdown_text(note(results)),
                     wall.rows.empty() ? "" : "\n" + format_table(wall, "markdown"));
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
  json["confidence"] = BootstrapOptions{}.confidence;
  json["differences"] = Json::array();
  for (const RowDifference& pair : row_differences(results)) {
    Json tasks = Json::array();
    for (const auto& [task, scores] : pair.tasks)
      tasks.push_back({{"task", task},
                       {"difference", scores.difference.estimate},
                       {"std", scores.deviation},
                       {"low", scores.difference.low},
                       {"high", scores.difference.high},
                       {"p_value", scores.p_value}});
    json["differences"].push_back({{"a", pair.a}, {"b", pair.b}, {"seeds", pair.seeds}, {"tasks", std::move(tasks)}});
  }
  return json;
}

std::string differences_csv(const StudyResults& results) {
  std::string text = "a,b,task,seeds,difference,std,low,high,p_value\n";
  for (const RowDifference& pair : row_differences(results))
    for (const auto& [task, scores] : pair.tasks)
      text += fmt::format("{},{},{},{},{},{},{},{},{}\n", pair.a, pair.b, csv_field(task), pair.seeds.size(), scores.difference.estimate,
                          scores.deviation, scores.difference.low, scores.difference.high, scores.p_value);
  return text;
}

}  // namespace minbert
