// The table of a study as text, Markdown, LaTeX, CSV and JSON.
#pragma once

#include <string>

#include "minbert/base/json.h"
#include "minbert/study/study_folder.h"

namespace minbert {

/// The study as a table of text, with its title above and its caption below. A score is the mean over the row's seeds, with the standard
/// deviation (n - 1) if there are several; published scores stand in a column of their own.
std::string results_text(const StudyResults& results);
std::string results_markdown(const StudyResults& results);
/// A table environment for booktabs; the best mean of each column is bold.
std::string results_latex(const StudyResults& results);

/// Columns row, seed, state, a score for each task, mean, seconds, best_epoch and wall_columns(), in full precision. Each run has a line.
/// After a row's runs come lines whose seed column reads "mean", "std" (only for several runs) and "published" (only if there are published
/// scores).
std::string results_csv(const StudyResults& results);
/// The same figures: {"format", "name", "title", "caption", "state", "tasks": [{"name", "metric"}], "rows": [{"name", "title", "runs":
/// [{"seed", "state", "scores", "mean", "seconds", "best_epoch", "read_seconds" ... "wall_seconds"}], "mean": {...}, "std": {...},
/// "published": {...}}], "confidence", "differences": [{"a", "b", "seeds", "tasks": [{"task", "difference", "std", "low", "high",
/// "p_value"}]}]}.
Json results_json(const StudyResults& results);

/// row_differences(), b minus a, with Student's t intervals: columns a, b, task, seeds (their number), difference (their mean), std, low,
/// high, p_value.
std::string differences_csv(const StudyResults& results);

}  // namespace minbert
