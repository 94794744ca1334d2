// ModelRow: scores over seeds, and tasks of all rows.
#include "minbert/report/model_row.h"

#include <algorithm>

namespace minbert {

Spread scores_of(const ModelRow& row, const std::string& task) {
  std::vector<double> values;
  for (const RunData& run : row.runs) {
    const SplitResult* split = find_split(run, row.split);
    if (split == nullptr) continue;
    if (task.empty()) values.push_back(split->mean);
    for (const TaskResult& result : split->tasks)
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
