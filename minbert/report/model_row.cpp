// Scores of a row over its seeds.
#include "minbert/report/model_row.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace minbert {

Spread spread(const std::vector<double>& values) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const auto count = static_cast<double>(values.size());
  double mean = 0, squares = 0;
  for (const double value : values) mean += value / count;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return {.count = values.size(),
          .mean = values.empty() ? kNone : mean,
          .deviation = values.size() < 2 ? kNone : std::sqrt(squares / (count - 1))};
}

Spread dev_scores(const ModelRow& row, const std::string& task) {
  std::vector<double> values;
  for (const RunData& run : row.runs) {
    const SplitResult* dev = find_split(run, "dev");
    if (dev == nullptr) continue;
    if (task.empty()) values.push_back(dev->mean);
    for (const TaskResult& result : dev->tasks)
      if (result.task == task) values.push_back(result.score);
  }
  return spread(values);
}

std::vector<std::string> tasks_of(const std::vector<ModelRow>& rows) {
  std::vector<std::string> tasks;
  for (const ModelRow& row : rows)
    for (const RunData& run : row.runs)
      for (const std::string& task : run.tasks)
        if (std::ranges::find(tasks, task) == tasks.end()) tasks.push_back(task);
  return tasks;
}

}  // namespace minbert
