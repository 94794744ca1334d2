// Results of a search: trials sorted by score, the steps that early stopping saved, and the importance of each hyperparameter.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/study/importance.h"

namespace minbert {

struct SearchResults {
  std::string state;               ///< "running", "done" when nothing is left to do, else "stopped"
  std::vector<Trial> trials;       ///< best score first; trials without a score last
  std::int64_t steps = 0;          ///< optimizer steps of all trials
  std::int64_t planned_steps = 0;  ///< steps that all trials would have made without early stopping
  std::int64_t saved_steps = 0;    ///< steps that early stopping saved
  std::vector<Importance> importance;

  /// The ended trial with the best score; null when no ended trial has one.
  const Trial* best() const;
};

SearchResults search_results(const SearchFile& file, const std::vector<Trial>& trials, std::string state);

/// A table of the best `rows` trials, the steps saved, and the importance of hyperparameters.
std::string results_text(const SearchFile& file, const SearchResults& results, std::size_t rows = SIZE_MAX);
/// Columns rank, trial, state, score, the keys of the space, steps, planned_steps, evaluations, reason, and wall_columns().
std::string results_csv(const SearchFile& file, const SearchResults& results);
/// {"format", "name", "metric", "stop", "state", "trials": [{"rank", "trial", "folder", "state", "reason", "score", "scores", "values",
/// "steps", "planned_steps", "curve", "wall_seconds", "phase_seconds"}], "steps", "planned_steps", "saved_steps", "best", "importance":
/// {"method", "parameters": [{"key", "share", "trend"}]}}. `curve` is {step, score} after each evaluation.
Json results_json(const SearchFile& file, const SearchResults& results);

/// One trial's entry of results.json, without its rank.
Json trial_json(const Trial& trial);

/// trials/007
std::filesystem::path trial_folder(std::int64_t trial);

}  // namespace minbert
