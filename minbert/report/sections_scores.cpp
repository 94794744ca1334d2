// Scores: of a run with intervals, or of several models, in a study beside published ones (the paper's Table 4).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "minbert/report/numbers.h"
#include "minbert/report/sections.h"

namespace minbert {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// What a plot shows: a score (a dot), its interval (a bar) and another score (a tick). NaN for what is absent.
struct Plotted {
  double score, low = kNone, high = kNone, other = kNone;
};

/// Draws the plot on an axis from `least` to 1.
Html score_plot(const Plotted& shown, double least) {
  const auto x = [&](double value) { return fmt::format("{:.1f}", 4 + 136 * std::clamp((value - least) / (1 - least), 0.0, 1.0)); };
  const auto line = [](const char* kind, const std::string& x1, const std::string& x2, const char* y1, const char* y2) {
    return element("line", {{"class", kind}, {"x1", x1}, {"x2", x2}, {"y1", y1}, {"y2", y2}});
  };
  Html plot = line("grid", "4", "140", "12", "12") + line("grid", "4", "4", "8", "16") + line("grid", "140", "140", "8", "16");
  if (std::isfinite(shown.low)) plot += line("line solid", x(shown.low), x(shown.high), "12", "12");
  if (std::isfinite(shown.other)) plot += line("line dashed", x(shown.other), x(shown.other), "4", "20");
  plot += element("circle", {{"class", "dot solid"}, {"cx", x(shown.score)}, {"cy", "12"}, {"r", "3"}});
  return element("svg", {{"viewBox", "0 0 144 24"}}, plot);
}

void add_split(const RunData& run, const SplitResult& split, double low, Sheet& sheet) {
  for (const TaskResult& result : split.tasks) {
    const double low_bound = result.interval ? result.interval->low : kNone, high_bound = result.interval ? result.interval->high : kNone;
    const double majority = result.metric == "accuracy" ? majority_share(run, result.task, split.split).value_or(kNone) : kNone;
    sheet.rows.push_back({result.task, split.split, spoken(result.metric), std::to_string(result.rows), score_text(result.score),
                          score_text(low_bound), score_text(high_bound), score_text(majority)});
    sheet.plots.push_back(score_plot({.score = result.score, .low = low_bound, .high = high_bound, .other = majority}, low));
  }
  if (split.tasks.size() < 2) return;
  sheet.rows.push_back({"mean", split.split, "", "", score_text(split.mean), "", "", ""});
  sheet.plots.emplace_back();
}

/// The scores of the last evaluation, for a run without results.
Html latest_scores(const RunData& run, Sheets& sheets) {
  const auto eval =
      std::ranges::find_if(run.evals.rbegin(), run.evals.rend(), [](const EvalRecord& record) { return record.split == "dev"; });
  if (eval == run.evals.rend()) return element("p", {}, "No evaluation yet.") + "\n";
  Sheet sheet{
      .file = "scores",
      .caption = fmt::format("Scores on dev after epoch {} of stage {}; the run has no final evaluation yet.", eval->epoch, eval->stage),
      .columns = {"task", "score"}};
  for (const auto& [task, score] : eval->scores) sheet.rows.push_back({task, score_text(score)});
  return sheets.show(sheet, "latest-scores");
}

bool is_negative(const TaskResult& result) { return std::min(result.score, result.interval ? result.interval->low : 0) < 0; }

std::string seeds_text(const ModelRow& row) {
  const std::size_t done = scores_of(row, "").count;
  return done == row.runs.size() ? std::to_string(done) : fmt::format("{} of {}", done, row.runs.size());
}

}  // namespace

Html run_scores(const RunData& run, std::string_view file, std::string_view title, Sheets& sheets) {
  if (run.results.empty()) return latest_scores(run, sheets);
  const bool negative =
      std::ranges::any_of(run.results, [](const SplitResult& split) { return std::ranges::any_of(split.tasks, is_negative); });
  const double low = negative ? -1 : 0;
  const SplitResult& first = run.results.front();
  std::string caption(title);
  if (first.resamples > 0)
    caption += fmt::format(", with {:g} % bootstrap intervals ({} resamples)", 100 * first.confidence, count_text(first.resamples));
  Sheet sheet{
      .file = std::string(file),
      .caption =
          caption + fmt::format(". The majority class is train's most frequent label, always answered. In the plots, from {:g} to 1, the "
                                "dot is the score, the bar its interval, the tick the majority class.",
                                low),
      .columns = {"task", "split", "metric", "rows", "score", "low", "high", "majority class"},
      .words = 3};
  for (const SplitResult& split : run.results) add_split(run, split, low, sheet);
  return sheets.show(sheet, std::string(file) + "-element");
}

Html study_scores(const ModelRows& rows, Sheets& sheets) {
  std::vector<std::string> tasks = tasks_of(rows);
  if (tasks.size() > 1) tasks.emplace_back();  // the mean
  const auto key = [](const std::string& task) { return task.empty() ? std::string("mean") : task; };
  const bool several = std::ranges::any_of(rows, [](const ModelRow& row) { return row.runs.size() > 1; });
  const auto is_published = [&](const std::string& task) {
    return std::ranges::any_of(rows, [&](const ModelRow& row) { return row.published.contains(key(task)); });
  };
  const bool folds = !rows.empty() && rows.front().is_fold();
  const std::string what = folds ? "Scores on the rows that each fold did not train on" : "Dev scores of the models";
  Sheet sheet{
      .file = sheets.file(kScoresTable), .caption = sheets.caption(kScoresTable, what), .columns = {"model", folds ? "folds" : "seeds"}};
  if (several) sheet.caption += fmt::format(", mean and standard deviation (n − 1) over their {}", folds ? "folds" : "seeds");
  const bool beside = std::ranges::any_of(tasks, is_published);
  sheet.caption +=
      fmt::format("{}. In the plots of the mean, from 0 to 1, the dot is {}, the bar its deviation{}.",
                  beside ? ", beside the published ones" : "", beside ? "ours" : "the score", beside ? ", the tick the published one" : "");
  for (const std::string& task : tasks) {
    sheet.columns.push_back(key(task));
    if (is_published(task)) sheet.columns.push_back(key(task) + " published");
  }
  for (const ModelRow& row : rows) {
    std::vector<std::string> cells = {row.title, seeds_text(row)};
    for (const std::string& task : tasks) {
      const Spread scores = scores_of(row, task);
      cells.push_back(fixed_text(scores.mean, 3) + (std::isfinite(scores.deviation) ? " ± " + fixed_text(scores.deviation, 3) : ""));
      const auto published = row.published.find(key(task));
      if (is_published(task)) cells.push_back(published == row.published.end() ? "" : fixed_text(published->second, 3));
    }
    sheet.rows.push_back(cells);
    const Spread mean = scores_of(row, tasks.empty() ? "" : tasks.back());
    const auto published = row.published.find(key(tasks.empty() ? "" : tasks.back()));
    const double other = published == row.published.end() ? kNone : published->second;
    sheet.plots.push_back(mean.count == 0 ? Html()
                                          : score_plot({mean.mean, mean.mean - mean.deviation, mean.mean + mean.deviation, other}, 0));
  }
  return sheets.show(sheet, sheets.id(kScoresTable));
}

}  // namespace minbert
