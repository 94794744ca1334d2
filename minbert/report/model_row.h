// ModelRow: a model of a report, either a single run or a row of a study with one run for each seed.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "minbert/report/run_data.h"
#include "minbert/stats/spread.h"

namespace minbert {

struct ModelRow {
  std::string name, title;                       ///< the folder's name, and the title shown
  std::string split = "dev";                     ///< whose scores count: "test" for a fold, which is tested on the rows it leaves out
  std::map<std::string, double> published = {};  ///< published scores by task, and "mean"
  std::vector<RunData> runs = {};                ///< one for each seed whose run has begun
  /// Adopted stages: stage -> name of the row that trained it.
  std::map<std::string, std::string> shared = {};

  bool is_fold() const { return split == "test"; }
  const RunData* first() const { return runs.empty() ? nullptr : &runs.front(); }
};

/// Scores of a task on row.split over the finished runs; the task "" stands for the mean over tasks.
Spread scores_of(const ModelRow& row, const std::string& task);

/// All tasks of all rows that have a head, in order of appearance.
std::vector<std::string> tasks_of(const std::vector<ModelRow>& rows);

}  // namespace minbert
