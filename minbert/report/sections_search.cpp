// A search: its trials by rank, and how the score goes with each hyperparameter.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "minbert/report/chart.h"
#include "minbert/report/numbers.h"
#include "minbert/report/sections.h"
#include "minbert/report/study_data.h"

namespace minbert {
namespace {

/// The scores by the k-th key of the space, if its values are numbers; on a logarithmic axis where they are spread widely.
Html value_chart(const std::vector<SearchTrial>& trials, std::size_t k) {
  std::vector<ChartPoint> points;
  double low = INFINITY, high = -INFINITY;
  const std::string key = trials.front().values[k].first;
  for (const SearchTrial& trial : trials) {
    if (k >= trial.values.size() || !trial.values[k].second.is_number()) return {};
    if (!trial.score) continue;
    const double x = trial.values[k].second.get<double>();
    points.push_back({x, *trial.score, fmt::format("trial {}: {} {:g}, score {:.4f}", trial.number, key, x, *trial.score)});
    low = std::min(low, x);
    high = std::max(high, x);
  }
  const bool wide = low > 0 && high > 20 * low;
  if (wide)
    for (ChartPoint& point : points) point.x = std::log10(point.x);
  return line_chart({.title = key,
                     .x_name = wide ? "logarithm (base 10) of the value" : "value",
                     .y_name = "score",
                     .lines = {{.name = "a trial", .style = LineStyle::kPoints, .points = points}},
                     .whole_x = false});
}

Html importance_table(const SearchData& search, Sheets& sheets) {
  Sheet sheet{.file = "importance",
              .caption =
                  "Importance: the share of the variance of the scores' ranks between groups of trials with similar values. The "
                  "trend is Spearman's correlation of value and score.",
              .columns = {"hyperparameter", "share", "trend"}};
  for (const SearchData::Importance& row : search.importance)
    sheet.rows.push_back({row.key, fixed_text(row.share, 2), row.trend ? fixed_text(*row.trend, 2) : ""});
  return sheet.rows.empty() ? Html() : sheets.show(sheet);
}

}  // namespace

Html search_section(const SearchData& search, Sheets& sheets) {
  if (search.trials.empty()) return element("p", {}, "No trial has begun.") + "\n";
  Sheet sheet{.file = "trials",
              .caption = fmt::format("All trials, the best first, by {} on dev. {} of {} planned optimizer steps were made.",
                                     search.metric == "mean" ? "the mean" : search.metric, count_text(search.steps),
                                     count_text(search.planned_steps)),
              .columns = {"rank", "trial", "state", "score"},
              .words = 3};
  const auto& space = search.trials.front().values;
  for (const auto& [key, value] : space) sheet.columns.push_back(key);
  sheet.columns.emplace_back("steps");
  Html charts;
  for (const SearchTrial& trial : search.trials) {
    std::vector<std::string> row = {std::to_string(trial.rank), std::to_string(trial.number), trial.state,
                                    trial.score ? score_text(*trial.score) : ""};
    for (const auto& [key, value] : trial.values) row.push_back(value.is_string() ? value.get<std::string>() : dump_json(value));
    row.resize(4 + space.size());
    row.push_back(std::to_string(trial.steps));
    sheet.rows.push_back(std::move(row));
  }
  for (std::size_t k = 0; k < space.size(); ++k) charts += value_chart(search.trials, k);
  return sheets.show(sheet, "trials-table") + importance_table(search, sheets) +
         (charts.empty() ? charts : element("div", {{"class", "charts"}}, charts) + "\n");
}

}  // namespace minbert
