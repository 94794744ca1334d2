// The table of a study in the formats that people put it into.
#pragma once

#include <string>

#include "minbert/base/json.h"
#include "minbert/study/study_folder.h"

namespace minbert {

/// Scores as mean and, over several seeds, standard deviation (n - 1); published ones in a column beside them. With title and caption.
std::string results_text(const StudyResults& results);
std::string results_markdown(const StudyResults& results);
/// A table environment for booktabs.
std::string results_latex(const StudyResults& results);

/// Columns row, seed, state, a score for each task, mean, seconds, best_epoch. A line for each run, and after each row's runs one whose
/// seed is "mean", one "std" (of several runs) and one "published", where there are any. In full precision.
std::string results_csv(const StudyResults& results);
/// The same: {"format", "name", "title", "caption", "state", "tasks": [{"name", "metric"}], "rows": [{"name", "title", "runs": [{"seed",
/// "state", "scores", "mean", "seconds", "best_epoch"}], "mean": {...}, "std": {...}, "published": {...}}]}.
Json results_json(const StudyResults& results);

}  // namespace minbert
