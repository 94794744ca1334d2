// What a search has come to: trials by score, steps saved, importance of each hyperparameter, and the best config.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "minbert/base/json.h"
#include "minbert/study/importance.h"

namespace minbert {

struct SearchResults {
  std::string state;               ///< done: nothing is left to do; else stopped
  std::vector<Trial> trials;       ///< by score, the best first; without a score last
  std::int64_t steps = 0;          ///< of all trials
  std::int64_t planned_steps = 0;  ///< had each of them run whole
  std::int64_t saved_steps = 0;    ///< by early stopping
  std::vector<Importance> importance;

  /// The best trial that has ended; null when there is none with a score.
  const Trial* best() const;
};

SearchResults search_results(const SearchFile& file, const std::vector<Trial>& trials, std::string state);

/// For people: the best `rows` trials, or all; what was saved; importance.
std::string results_text(const SearchFile& file, const SearchResults& results, std::size_t rows = SIZE_MAX);
/// Columns rank, trial, state, score, the keys of the space, steps, planned_steps, evaluations, reason.
std::string results_csv(const SearchFile& file, const SearchResults& results);
/// {"format", "name", "metric", "stop", "state", "trials": [{"rank", "trial", "folder", "state", "reason", "score", "scores", "values",
/// "steps", "planned_steps", "curve"}], "steps", "planned_steps", "saved_steps", "best", "importance": {"method", "parameters": [{"key",
/// "share", "trend"}]}}. `curve` is {step, score} after each evaluation.
Json results_json(const SearchFile& file, const SearchResults& results);

/// Of a trial, as results.json has it but for the rank.
Json trial_json(const Trial& trial);

/// trials/007
std::filesystem::path trial_folder(std::int64_t trial);

}  // namespace minbert
