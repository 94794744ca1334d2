// ModelRow: what a report is about: a run alone, or a row of a study with a run for each seed.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "minbert/report/run_data.h"
#include "minbert/stats/spread.h"

namespace minbert {

struct ModelRow {
  std::string name, title;                       ///< name: of its folder; title: for people
  std::map<std::string, double> published = {};  ///< by task, and "mean"
  std::vector<RunData> runs = {};                ///< one a seed, those that have begun
  /// Stage -> name of the row that computed it.
  std::map<std::string, std::string> shared = {};

  const RunData* first() const { return runs.empty() ? nullptr : &runs.front(); }
};

/// Dev scores of a task over the finished seeds; "" stands for the mean over tasks.
Spread dev_scores(const ModelRow& row, const std::string& task);

/// Tasks with a head of all rows, in order of appearance.
std::vector<std::string> tasks_of(const std::vector<ModelRow>& rows);

}  // namespace minbert
